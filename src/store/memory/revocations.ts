/** Revocations in memory: the reference of the contract. */
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { Revocation, RevocationStore } from '../../identity/ports.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryRevocationStore implements RevocationStore {
  readonly #outbox: MemoryOutbox;
  readonly #revocations = new Map<string, Revocation>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  list(): Promise<readonly Revocation[]> {
    return Promise.resolve([...this.#revocations.values()]);
  }

  async add(revocation: Revocation, event: EventEntry): Promise<void> {
    const { id, at } = revocation;
    if ((this.#revocations.get(id)?.forgetAt ?? '') > at) {
      throw new AppError('ALREADY_EXISTS', `there is a revocation \`${id}\` already`);
    }
    for (const [known, { forgetAt }] of this.#revocations) {
      if (forgetAt <= at) this.#revocations.delete(known);
    }
    this.#outbox.add(event);
    this.#revocations.set(id, revocation);
  }
}
