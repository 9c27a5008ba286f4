--! breaking
-- API keys of end callers, revoked and expired ones too. Only keyed hashes, never a key.
CREATE TABLE caller_key (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id       TEXT NOT NULL UNIQUE,
  -- Type and id of the owner with a space between: an erasure deletes by it.
  owner    TEXT NOT NULL,
  -- The key as JSON.
  record   TEXT NOT NULL
) STRICT;
CREATE INDEX caller_key_by_owner ON caller_key (owner);

-- The last use of each key, apart from it, so that a use never rewrites what a key may do.
CREATE TABLE caller_key_use (
  id      TEXT PRIMARY KEY REFERENCES caller_key (id) ON DELETE CASCADE,
  -- Minutes since the epoch.
  minute  INTEGER NOT NULL,
  -- /24 or /48 of the address; NULL: not known.
  network TEXT
) STRICT, WITHOUT ROWID;
