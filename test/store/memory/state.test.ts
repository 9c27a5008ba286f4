/** The state ports in memory keep their contracts. */
import { MemoryState } from '../../../src/store/memory/state.ts';
import { describeBundleStore } from '../../conformance/bundle-store.ts';
import { describeDirectoryStore } from '../../conformance/directory-store.ts';
import { describeIdempotencyStore } from '../../conformance/idempotency.ts';
import { describeKeyStore } from '../../conformance/key-store.ts';
import { describeOutbox } from '../../conformance/outbox.ts';
import { describeRevocationStore } from '../../conformance/revocation-store.ts';
import { describeSubjectStore } from '../../conformance/subject-store.ts';
import type { OpenState, StateBackend } from '../../conformance/state-backend.ts';

const memory: StateBackend = {
  name: 'memory',
  async open(maxAnswers): Promise<OpenState> {
    const { directory, bundles, keys, revocations, outbox, idempotency, subjects } = new MemoryState(maxAnswers);
    return { directory, bundles, keys, revocations, outbox, idempotency, subjects, close: async () => undefined };
  },
};

describeDirectoryStore(memory);
describeBundleStore(memory);
describeKeyStore(memory);
describeRevocationStore(memory);
describeOutbox(memory);
describeIdempotencyStore(memory);
describeSubjectStore(memory);
