-- Entries that retention removed leave the index too: `pruned` says up to which entry that is done. `last` is the
-- hash of the last indexed leaf, by which an index notices that its log was replaced by another history.
ALTER TABLE progress ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN last BLOB;
