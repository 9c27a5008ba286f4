/** The state ports in memory keep their contracts. */
import { MemoryState } from '../../../src/store/memory/state.ts';
import { describeBundleStore } from '../../conformance/bundle-store.ts';
import { describeDirectoryStore } from '../../conformance/directory-store.ts';
import { describeIdempotencyStore } from '../../conformance/idempotency.ts';
import { describeKeyStore } from '../../conformance/key-store.ts';
import { describeOutbox } from '../../conformance/outbox.ts';
import { describeSubjectStore } from '../../conformance/subject-store.ts';
import type { OpenState, StateBackend } from '../../conformance/state-backend.ts';

const memory: StateBackend = {
  name: 'memory',
  async open(maxAnswers): Promise<OpenState> {
    const { directory, bundles, keys, outbox, idempotency, subjects } = new MemoryState(maxAnswers);
    return { directory, bundles, keys, outbox, idempotency, subjects, close: async () => undefined };
  },
};

describeDirectoryStore(memory);
describeBundleStore(memory);
describeKeyStore(memory);
describeOutbox(memory);
describeIdempotencyStore(memory);
describeSubjectStore(memory);
