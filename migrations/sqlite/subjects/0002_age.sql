-- How old this database is, for the comparison with the log at a start: the log names the number of changes.
CREATE TABLE age (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  -- Commits that changed a subject or a key.
  changes INTEGER NOT NULL,
  -- Name of the log that it goes with; empty: it was begun anew and goes with any; NULL: not known yet.
  log     TEXT,
  -- Name of the log at whose first start the erasures of the logs before it were repeated.
  repeated TEXT
) STRICT;

INSERT INTO age (id, changes, log)
SELECT 1, 0, CASE WHEN NOT EXISTS (SELECT 1 FROM subject) AND NOT EXISTS (SELECT 1 FROM input_key) THEN '' END;
