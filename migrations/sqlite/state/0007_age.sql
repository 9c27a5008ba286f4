-- How old this database is, for the comparison with the log at a start: the log names the number of changes.
CREATE TABLE age (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  -- Changes that went to the log as events.
  changes INTEGER NOT NULL,
  -- Name of the log that it goes with; empty: it was begun anew and goes with any; NULL: not known yet.
  log     TEXT
) STRICT;

INSERT INTO age (id, changes, log)
SELECT 1, coalesce(max(seq), 0), CASE WHEN coalesce(max(seq), 0) = 0 THEN '' END
  FROM sqlite_sequence WHERE name = 'outbox';
