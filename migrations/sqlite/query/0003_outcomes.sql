-- Decisions have a fact `outcome`, which leaves that were indexed before lack: everything is indexed again, in the
-- background, from the leaves.
DELETE FROM posting;
DELETE FROM lookup;
DELETE FROM term;
DELETE FROM block_time;
DELETE FROM block;
DELETE FROM progress;
