-- The index of the decision log, rebuilt from the leaves whenever this file is missing, damaged or of another log.
-- An inverted index: every fact of a leaf (leaf-facts.ts) is a term, and its postings say which leaves have it.
-- Postings and times are kept in blocks of 1,024 consecutive leaves, so that indexing costs a few statements per leaf.

-- Which log this is, and the first entry that is not indexed yet.
CREATE TABLE progress (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  next   INTEGER NOT NULL
) STRICT;

-- Earliest and latest time in a block, so that a range of time becomes a range of blocks even when clocks step.
CREATE TABLE block (
  block    INTEGER PRIMARY KEY,
  earliest INTEGER NOT NULL,
  latest   INTEGER NOT NULL
) STRICT;

-- The times of a block's entries, in order, as 64-bit floats, little-endian.
CREATE TABLE block_time (
  block INTEGER PRIMARY KEY,
  times BLOB NOT NULL
) STRICT;

-- Distinct facts as small integers. `alias` is a second spelling: a principal's id without its type.
CREATE TABLE term (
  code  INTEGER PRIMARY KEY,
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  alias TEXT,
  UNIQUE (field, value)
) STRICT;
CREATE INDEX term_alias ON term (field, alias) WHERE alias IS NOT NULL;

-- Which entries of a block have a term: see query-block.ts for `slots`.
CREATE TABLE posting (
  term  INTEGER NOT NULL,
  block INTEGER NOT NULL,
  slots BLOB NOT NULL,
  PRIMARY KEY (term, block)
) STRICT, WITHOUT ROWID;

-- Facts that are nearly unique (ids, request ids): a term for each would only make the dictionary large.
CREATE TABLE lookup (
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  idx   INTEGER NOT NULL,
  PRIMARY KEY (field, value, idx)
) STRICT, WITHOUT ROWID;
