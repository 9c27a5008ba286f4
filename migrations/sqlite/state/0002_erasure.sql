--! breaking
-- Erasures that have begun and are finished at the next start at the latest. `pseudonym` leads to the row of
-- subjects.db that is to go; NULL: the principal was never registered.
CREATE TABLE erasing (
  sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
  pseudonym BLOB
) STRICT;

-- The history of an entity goes only with an erasure, and never while the entity lives.
DROP TRIGGER entity_revision_is_kept;
CREATE TRIGGER entity_revision_is_kept BEFORE DELETE ON entity_revision
WHEN NOT EXISTS (SELECT 1 FROM erasing) OR EXISTS (SELECT 1 FROM entity WHERE name = OLD.name)
BEGIN SELECT RAISE(ABORT, 'an earlier state of an entity is never deleted'); END;
