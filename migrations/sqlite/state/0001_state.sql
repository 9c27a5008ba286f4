--! breaking
-- The state that administrators change: directory, bundles, keys. One file, so that a change and its event in
-- the outbox are one transaction. Times are RFC 3339 UTC texts except where a column says milliseconds.

-- One row for each commit of the directory; the greatest is the current revision.
CREATE TABLE directory_revision (
  revision INTEGER PRIMARY KEY,
  at       TEXT NOT NULL,
  event_id TEXT NOT NULL
) STRICT;

-- Every state that an entity ever had. `name` is type and id with a space between, `body` the JSON of
-- {attributes, parents, tags, status}; NULL: deleted in that revision.
CREATE TABLE entity_revision (
  name     TEXT NOT NULL,
  revision INTEGER NOT NULL REFERENCES directory_revision (revision),
  body     TEXT,
  PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;

-- The live entities and the revision that holds their state, so that loading does not read the history.
CREATE TABLE entity (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  FOREIGN KEY (name, revision) REFERENCES entity_revision (name, revision)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entity_revision_is_final BEFORE UPDATE ON entity_revision
BEGIN SELECT RAISE(ABORT, 'an earlier state of an entity is never changed'); END;
CREATE TRIGGER entity_revision_is_kept BEFORE DELETE ON entity_revision
BEGIN SELECT RAISE(ABORT, 'an earlier state of an entity is never deleted'); END;

-- Bundles are immutable. The large columns come last, so that lists do not read them.
CREATE TABLE bundle (
  sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
  digest    TEXT NOT NULL UNIQUE,
  layer     TEXT NOT NULL,
  manifest  TEXT NOT NULL,
  report    TEXT NOT NULL,
  pushed_by TEXT NOT NULL,
  pushed_at TEXT NOT NULL,
  files     TEXT NOT NULL,
  archive   BLOB NOT NULL
) STRICT;
CREATE INDEX bundle_by_layer ON bundle (layer, sequence);

-- The history of each layer; its last row is what is active.
CREATE TABLE activation (
  layer    TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  digest   TEXT NOT NULL REFERENCES bundle (digest),
  previous TEXT,
  actor    TEXT NOT NULL,
  reason   TEXT NOT NULL,
  kind     TEXT NOT NULL CHECK (kind IN ('activate', 'rollback')),
  at       TEXT NOT NULL,
  PRIMARY KEY (layer, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  -- The key without `revokedAt` as JSON; holds the keyed hash, never the key.
  record     TEXT NOT NULL,
  revoked_at TEXT
) STRICT;

-- Events that were committed with their change and are not yet known to be in the decision log.
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id       TEXT NOT NULL UNIQUE,
  event    TEXT NOT NULL
) STRICT;

-- Answers to POST requests with an Idempotency-Key.
CREATE TABLE answer (
  credential   TEXT NOT NULL,
  key          TEXT NOT NULL,
  saved_ms     INTEGER NOT NULL,
  request_hash TEXT NOT NULL,
  status       INTEGER NOT NULL,
  headers      TEXT NOT NULL,
  body         TEXT NOT NULL,
  PRIMARY KEY (credential, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_by_age ON answer (saved_ms);
