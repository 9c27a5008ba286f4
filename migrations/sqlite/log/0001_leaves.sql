-- The decision log: one row per leaf. `idx` is 0-based and gap-free; `body` is the exact leaf, `hash` its
-- RFC 6962 leaf hash. No secondary index: a commit touches the right edge of one tree.
CREATE TABLE leaf (
  idx  INTEGER PRIMARY KEY CHECK (idx >= 0),
  body BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Guard rails against mistakes, not against someone who owns the file.
CREATE TRIGGER leaf_is_never_updated BEFORE UPDATE ON leaf
BEGIN
  SELECT RAISE(ABORT, 'the decision log is append-only');
END;
CREATE TRIGGER leaf_is_never_deleted BEFORE DELETE ON leaf
BEGIN
  SELECT RAISE(ABORT, 'the decision log is append-only');
END;

-- `origin` names the log, `format` is the version of its leaves, `probe` is rewritten to try whether writing works.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
