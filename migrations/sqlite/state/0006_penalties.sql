-- Blocks of those who violated limits again and again: the last one of each, to be brought back by the next start.
CREATE TABLE penalty (
  -- `principal` or `address`.
  kind    TEXT NOT NULL,
  -- Key of the principal's uid, or the address.
  subject TEXT NOT NULL,
  -- Milliseconds since the epoch.
  since   INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  -- How many blocks, less those that were forgotten.
  level   INTEGER NOT NULL,
  -- Name of the limit whose denial began it.
  "limit" TEXT NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX penalty_by_end ON penalty (until);
