/** The state ports in memory keep their contracts. */
import { MemoryState } from '../../../src/store/memory/state.ts';
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
import type { OpenState, StateBackend } from '../../conformance/state-backend.ts';

const memory: StateBackend = {
  name: 'memory',
  async open(maxAnswers): Promise<OpenState> {
    const state = new MemoryState(maxAnswers);
    const { directory, bundles, keys, callerKeys, profiles, penalties, revocations } = state;
    const { outbox, idempotency, subjects } = state;
    const ports = {
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
    };
    return { ...ports, close: async () => undefined };
  },
};

describeDirectoryStore(memory);
describeBundleStore(memory);
describeKeyStore(memory);
describeCallerKeyStore(memory);
describeProfileStore(memory);
describePenaltyStore(memory);
describeRevocationStore(memory);
describeOutbox(memory);
describeIdempotencyStore(memory);
describeSubjectStore(memory);
