--! breaking
-- Profiles of gateways, every state that one ever had. The newest row of a name is in force.
CREATE TABLE pep_profile_revision (
  -- One for each change of any profile; never given twice.
  revision INTEGER PRIMARY KEY,
  name     TEXT NOT NULL,
  at       TEXT NOT NULL,
  actor    TEXT NOT NULL,
  -- The profile as JSON; NULL: it was removed.
  profile  TEXT
) STRICT;
CREATE INDEX pep_profile_by_name ON pep_profile_revision (name, revision);

CREATE TRIGGER pep_profile_revision_is_kept BEFORE DELETE ON pep_profile_revision
BEGIN SELECT RAISE(ABORT, 'an earlier state of a profile is never deleted'); END;
CREATE TRIGGER pep_profile_revision_is_final BEFORE UPDATE ON pep_profile_revision
BEGIN SELECT RAISE(ABORT, 'an earlier state of a profile never changes'); END;
