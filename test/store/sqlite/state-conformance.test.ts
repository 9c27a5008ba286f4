/** The state ports on SQLite keep their contracts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateStore } from '../../../src/store/sqlite/state-client.ts';
import { describeBundleStore } from '../../conformance/bundle-store.ts';
import { describeCallerKeyStore } from '../../conformance/caller-key-store.ts';
import { describeDirectoryStore } from '../../conformance/directory-store.ts';
import { describeIdempotencyStore } from '../../conformance/idempotency.ts';
import { describeKeyStore } from '../../conformance/key-store.ts';
import { describeOutbox } from '../../conformance/outbox.ts';
import { describePenaltyStore } from '../../conformance/penalty-store.ts';
import { describeProfileStore } from '../../conformance/pep-profile-store.ts';
import { describeRevocationStore } from '../../conformance/revocation-store.ts';
import { describeSubjectStore } from '../../conformance/subject-store.ts';
import { AT, type OpenState, type StateBackend } from '../../conformance/state-backend.ts';

const sqlite: StateBackend = {
  name: 'sqlite',
  async open(maxAnswers): Promise<OpenState> {
    const folder = mkdtempSync(join(tmpdir(), 'duramen-state-'));
    const store = await StateStore.open({
      folder,
      at: AT,
      ...(maxAnswers === undefined ? {} : { maxAnswers }),
    });
    const { directory, bundles, keys, callerKeys, profiles, penalties, revocations } = store;
    const { outbox, idempotency, subjects } = store;
    const close = async (): Promise<void> => {
      await store.close();
      rmSync(folder, { recursive: true });
    };
    return {
      directory,
      bundles,
      keys,
      callerKeys,
      profiles,
      penalties,
      revocations,
      outbox,
      idempotency,
      subjects,
      close,
    };
  },
};

describeDirectoryStore(sqlite);
describeBundleStore(sqlite);
describeKeyStore(sqlite);
describeCallerKeyStore(sqlite);
describeProfileStore(sqlite);
describePenaltyStore(sqlite);
describeRevocationStore(sqlite);
describeOutbox(sqlite);
describeIdempotencyStore(sqlite);
describeSubjectStore(sqlite);
