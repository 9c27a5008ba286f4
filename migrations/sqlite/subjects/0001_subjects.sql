--! breaking
-- What leads from the pseudonyms and digests of the decision log back to persons and contents. A file of its own, so
-- that what is erased here is erased: secure_delete is on, and its backups are to be short-lived. Times are
-- milliseconds since the epoch.

CREATE TABLE subject (
  -- `AI::User::"acme/alice"`
  entity    TEXT PRIMARY KEY,
  -- 128 random bits: an index that kept them unique would cost more than everything else.
  pseudonym BLOB NOT NULL CHECK (length(pseudonym) = 16),
  -- The tenant by the id; empty: none.
  tenant    TEXT NOT NULL,
  -- AES-256 key of the subject's openings.
  key       BLOB NOT NULL CHECK (length(key) = 32),
  created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys of digests of inputs: `<tenant>/<month>`, or `/<month>` for every tenant that has none.
CREATE TABLE input_key (
  kid     TEXT PRIMARY KEY,
  key     BLOB NOT NULL CHECK (length(key) = 32),
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys of the pseudonyms of principals that were never registered: `/<month>`, 256 parts of 32 bytes.
CREATE TABLE unregistered_key (
  kid     TEXT PRIMARY KEY,
  key     BLOB NOT NULL CHECK (length(key) = 8192),
  created INTEGER NOT NULL
) STRICT;
