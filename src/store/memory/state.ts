/** All state in memory behind the ports of the SQLite state store; for tests and for trying things out. */
import { MAX_ANSWERS } from '../../identity/ports.ts';
import { MemoryBundleStore } from './bundles.ts';
import { MemoryCallerKeyStore } from './caller-keys.ts';
import { MemoryDirectoryStore } from './directory.ts';
import { MemoryIdempotencyStore } from './idempotency.ts';
import { MemoryKeyStore } from './keys.ts';
import { MemoryOutbox } from './outbox.ts';
import { MemoryPenaltyStore } from './penalties.ts';
import { MemoryProfileStore } from './pep-profiles.ts';
import { MemoryRevocationStore } from './revocations.ts';
import { MemorySubjectStore } from './subjects.ts';

export class MemoryState {
  readonly outbox = new MemoryOutbox();
  readonly directory = new MemoryDirectoryStore(this.outbox);
  readonly bundles = new MemoryBundleStore(this.outbox);
  readonly keys = new MemoryKeyStore(this.outbox);
  readonly callerKeys = new MemoryCallerKeyStore(this.outbox);
  readonly profiles = new MemoryProfileStore(this.outbox);
  readonly penalties = new MemoryPenaltyStore(this.outbox);
  readonly revocations = new MemoryRevocationStore(this.outbox);
  readonly idempotency: MemoryIdempotencyStore;
  readonly subjects: MemorySubjectStore;

  /** @param maxAnswers most answers by Idempotency-Key */
  constructor(maxAnswers: number = MAX_ANSWERS) {
    this.idempotency = new MemoryIdempotencyStore(maxAnswers);
    this.subjects = new MemorySubjectStore(this);
  }
}
