-- What stays of the log when the entries of a shard are deleted: its tiles and its checkpoints, so that every proof
-- can still be made. Beside it, the exports that hold the deletion back.
-- A shard is here when everything below has been copied from it: its file may go, or is gone.
CREATE TABLE shard (
  first   INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,
  entries INTEGER NOT NULL CHECK (entries > 0),
  -- Milliseconds of its first and its last entry.
  opened  INTEGER NOT NULL,
  sealed  INTEGER NOT NULL,
  bytes   INTEGER NOT NULL
) STRICT;

CREATE TABLE tile (
  level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 6),
  n     INTEGER NOT NULL CHECK (n >= 0),
  root  BLOB NOT NULL CHECK (length(root) = 32),
  data  BLOB NOT NULL CHECK (length(data) = 8192),
  PRIMARY KEY (level, n)
) STRICT;

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;

CREATE TABLE export (
  name         TEXT PRIMARY KEY,
  acknowledged INTEGER NOT NULL CHECK (acknowledged >= 0),
  created      INTEGER NOT NULL,
  updated      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
