/** The key store in memory: the reference of the contract. */
import type { ApiKey } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { KeyStore } from '../../identity/ports.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryKeyStore implements KeyStore {
  readonly #outbox: MemoryOutbox;
  readonly #keys = new Map<string, ApiKey>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  list(): Promise<readonly ApiKey[]> {
    return Promise.resolve([...this.#keys.values()]);
  }

  async create(key: ApiKey, event: EventEntry): Promise<void> {
    if (this.#keys.has(key.id)) throw new AppError('ALREADY_EXISTS', `there is a key \`${key.id}\` already`);
    this.#outbox.add(event);
    this.#keys.set(key.id, key);
  }

  async revoke(id: string, at: string, event: EventEntry): Promise<boolean> {
    const key = this.#keys.get(id);
    if (key === undefined || key.revokedAt !== undefined) return false;
    this.#outbox.add(event);
    this.#keys.set(id, { ...key, revokedAt: at });
    return true;
  }
}
