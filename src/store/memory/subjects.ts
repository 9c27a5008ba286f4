/** Subjects and month keys in memory: the reference of the contract. */
import type {
  ErasedTraces,
  Erasure,
  MonthKey,
  MonthKeys,
  SubjectChunk,
  SubjectStore,
} from '../../decision-log/ports.ts';
import { entityKey } from '../../decision-log/subject-name.ts';
import { PSEUDONYM_BYTES, SUBJECT_KEY_BYTES } from '../../decision-log/subject-table.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { MemoryBundleStore } from './bundles.ts';
import type { MemoryCallerKeyStore } from './caller-keys.ts';
import type { MemoryDirectoryStore } from './directory.ts';
import type { MemoryIdempotencyStore } from './idempotency.ts';
import type { MemoryOutbox } from './outbox.ts';
import type { MemoryPenaltyStore } from './penalties.ts';

interface Stores {
  readonly outbox: MemoryOutbox;
  readonly directory: MemoryDirectoryStore;
  readonly bundles: MemoryBundleStore;
  readonly callerKeys: MemoryCallerKeyStore;
  readonly idempotency: MemoryIdempotencyStore;
  readonly penalties: MemoryPenaltyStore;
}

interface Secrets {
  readonly pseudonym: Uint8Array;
  readonly key: Uint8Array;
}

export class MemorySubjectStore implements SubjectStore {
  readonly #stores: Stores;
  /** By entity. */
  readonly #subjects = new Map<string, Secrets>();
  /** By kid. */
  readonly #input = new Map<string, Uint8Array>();
  readonly #unregistered = new Map<string, Uint8Array>();

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  async *load(): AsyncIterableIterator<SubjectChunk> {
    if (this.#subjects.size > 0) yield toChunk([...this.#subjects]);
  }

  async add({ entities, pseudonyms, keys }: SubjectChunk): Promise<SubjectChunk> {
    const known: [string, Secrets][] = [];
    entities.forEach((entity, at) => {
      const kept = this.#subjects.get(entity);
      if (kept !== undefined) known.push([entity, kept]);
      else {
        this.#subjects.set(entity, {
          pseudonym: pseudonyms.slice(at * PSEUDONYM_BYTES, (at + 1) * PSEUDONYM_BYTES),
          key: keys.slice(at * SUBJECT_KEY_BYTES, (at + 1) * SUBJECT_KEY_BYTES),
        });
      }
    });
    return toChunk(known);
  }

  async monthKeys(): Promise<MonthKeys> {
    return { input: listOf(this.#input), unregistered: listOf(this.#unregistered) };
  }

  async addMonthKeys({ input, unregistered }: MonthKeys): Promise<MonthKeys> {
    return { input: keep(this.#input, input), unregistered: keep(this.#unregistered, unregistered) };
  }

  async dropMonthKeys(before: string): Promise<number> {
    let dropped = 0;
    for (const keys of [this.#input, this.#unregistered]) {
      for (const kid of keys.keys()) if (kid.slice(-before.length) < before && keys.delete(kid)) dropped += 1;
    }
    return dropped;
  }

  async replaceNameKeys(keys: readonly MonthKey[]): Promise<void> {
    for (const { kid, key } of keys) if (this.#unregistered.has(kid)) this.#unregistered.set(kid, key);
  }

  async erase({ principal, unregistered, stays }: Erasure, event: EventEntry): Promise<ErasedTraces> {
    const { outbox, directory, bundles, callerKeys, idempotency, penalties } = this.#stores;
    const text = JSON.stringify(principal.id);
    if (stays !== true && directory.isLive(principal)) {
      throw new AppError('PRINCIPAL_EXISTS', 'the principal is in the directory: delete it first');
    }
    if (outbox.names(principal.id)) {
      throw new AppError(
        'LOG_UNAVAILABLE',
        'an event about the principal waits for the decision log: try again',
      );
    }
    await this.replaceNameKeys(unregistered);
    const erased =
      stays === true
        ? { revisions: 0, answers: 0 }
        : { revisions: directory.forget(principal), answers: idempotency.forget(text) };
    if (stays !== true) {
      callerKeys.forgetOwner(principal);
      penalties.forget('principal', entityKey(principal));
    }
    this.#subjects.delete(entityKey(principal));
    outbox.add({ ...event, details: { ...event.details, erased } });
    return { ...erased, namedBy: { entities: directory.naming(text), bundles: bundles.naming(text) } };
  }
}

/** The first key of a name stands. */
function keep(into: Map<string, Uint8Array>, keys: readonly MonthKey[]): readonly MonthKey[] {
  return keys.map(({ kid, key }) => {
    const kept = into.get(kid) ?? key;
    into.set(kid, kept);
    return { kid, key: kept };
  });
}

function listOf(keys: ReadonlyMap<string, Uint8Array>): readonly MonthKey[] {
  return [...keys].map(([kid, key]) => ({ kid, key }));
}

function toChunk(subjects: readonly (readonly [string, Secrets])[]): SubjectChunk {
  return {
    entities: subjects.map(([entity]) => entity),
    pseudonyms: Buffer.concat(subjects.map(([, { pseudonym }]) => pseudonym)),
    keys: Buffer.concat(subjects.map(([, { key }]) => key)),
  };
}
