/** The store of callers' keys in memory: the reference of the contract. */
import type { CallerKey, CallerKeyUse } from '../../domain/caller-key.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { CallerKeyChange, CallerKeyStore, StoredCallerKey } from '../../identity/caller-keys/ports.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryCallerKeyStore implements CallerKeyStore {
  readonly #outbox: MemoryOutbox;
  readonly #keys = new Map<string, CallerKey>();
  readonly #uses = new Map<string, CallerKeyUse>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  async *load(): AsyncIterableIterator<readonly StoredCallerKey[]> {
    const stored = [...this.#keys.values()].map(key => {
      const lastUse = this.#uses.get(key.id);
      return lastUse === undefined ? { key } : { key, lastUse };
    });
    if (stored.length > 0) yield stored;
  }

  async commit({ created, changed }: CallerKeyChange, events: readonly EventEntry[]): Promise<void> {
    const taken = created.find(
      ({ id }, at) => this.#keys.has(id) || created.findIndex(one => one.id === id) < at,
    );
    if (taken !== undefined) throw new AppError('ALREADY_EXISTS', `there is a key \`${taken.id}\` already`);
    const missing = changed.find(({ id }) => !this.#keys.has(id) && !created.some(one => one.id === id));
    if (missing !== undefined) throw new AppError('NOT_FOUND', `there is no key \`${missing.id}\``);
    for (const event of events) this.#outbox.add(event);
    for (const key of [...created, ...changed]) this.#keys.set(key.id, key);
  }

  async recordUses(uses: readonly CallerKeyUse[]): Promise<void> {
    for (const use of uses) {
      if (this.#keys.has(use.id) && use.minute >= (this.#uses.get(use.id)?.minute ?? 0)) {
        this.#uses.set(use.id, use);
      }
    }
  }

  async remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.#keys.delete(id);
      this.#uses.delete(id);
    }
  }

  /** What an erasure of the owner takes along. */
  forgetOwner({ type, id }: EntityRef): void {
    const owned = [...this.#keys.values()].filter(({ owner }) => owner.type === type && owner.id === id);
    void this.remove(owned.map(key => key.id));
  }
}
