--! breaking
-- The RFC 6962 tree over the leaves, in the tiles of c2sp.org/tlog-tiles. This database is one shard of the log:
-- the indexes of its leaves and tiles are those of the whole log.

-- Tiles that a leaf of this shard filled: 256 hashes of 32 bytes. `root` is their own root, which is a hash of the
-- level above; it stands before `data` so that it is read without it.
CREATE TABLE tile (
  level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 6),
  n     INTEGER NOT NULL CHECK (n >= 0),
  root  BLOB NOT NULL CHECK (length(root) = 32),
  data  BLOB NOT NULL CHECK (length(data) = 8192),
  PRIMARY KEY (level, n)
) STRICT;

-- Hashes of the tiles that were partly filled when this shard was opened: the tree grows on from them.
CREATE TABLE carry (
  level INTEGER PRIMARY KEY CHECK (level BETWEEN 0 AND 6),
  data  BLOB NOT NULL CHECK (length(data) % 32 = 0)
) STRICT;

-- The newest checkpoint that was signed: a note of c2sp.org/tlog-checkpoint.
CREATE TABLE head (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  time INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;

-- Checkpoints that were given out.
CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;

-- Personal values of an entry, sealed under the key of its subject. The leaf itself holds digests of them alone.
ALTER TABLE leaf ADD COLUMN subject TEXT;
ALTER TABLE leaf ADD COLUMN sealed BLOB;

CREATE TRIGGER tile_is_never_updated BEFORE UPDATE ON tile
BEGIN
  SELECT RAISE(ABORT, 'the decision log is append-only');
END;
CREATE TRIGGER tile_is_never_deleted BEFORE DELETE ON tile
BEGIN
  SELECT RAISE(ABORT, 'the decision log is append-only');
END;
