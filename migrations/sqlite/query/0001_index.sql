-- The index of the decision log, rebuilt from the leaves whenever this file is missing, damaged or of another log.
-- An inverted index: every fact of a leaf (leaf-facts.ts) is a term, and a posting says which leaf has which term.

-- Which log this is, and the first entry that is not indexed yet.
CREATE TABLE progress (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  next   INTEGER NOT NULL
) STRICT;

-- Every entry: when it was made, and whether it is an event (a repeated event is 2: counted, never answered).
CREATE TABLE entry (
  idx   INTEGER PRIMARY KEY,
  time  INTEGER NOT NULL,
  event INTEGER NOT NULL
) STRICT;

-- First and last entry of each minute, so that a range of time becomes a range of indexes even when clocks step.
CREATE TABLE minute (
  minute INTEGER PRIMARY KEY,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL
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

CREATE TABLE posting (
  term INTEGER NOT NULL,
  idx  INTEGER NOT NULL,
  PRIMARY KEY (term, idx)
) STRICT, WITHOUT ROWID;

-- Facts that are nearly unique (ids, request ids): a term for each would only make the dictionary large.
CREATE TABLE lookup (
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  idx   INTEGER NOT NULL,
  PRIMARY KEY (field, value, idx)
) STRICT, WITHOUT ROWID;
