/** The store of callers' keys as a contract; every backend passes test/conformance/caller-key-store.ts. */
import type { CallerKey, CallerKeyUse } from '../../domain/caller-key.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';

/** A key with its last use; without one it was never used, as far as the store was told. */
export interface StoredCallerKey {
  readonly key: CallerKey;
  readonly lastUse?: CallerKeyUse;
}

export interface CallerKeyStore {
  /** All keys in chunks, oldest first. To be read to its end before anything is changed. */
  load(): AsyncIterable<readonly StoredCallerKey[]>;
  /**
   * Makes keys and replaces others, with their events, all or nothing; durable when it resolves. Rejects with AppError
   * ALREADY_EXISTS when the id of a new one is taken, NOT_FOUND when a changed one is not there.
   */
  commit(change: CallerKeyChange, events: readonly EventEntry[]): Promise<void>;
  /** Keeps the newest use of each key, in one transaction. Uses of keys that are gone are dropped. */
  recordUses(uses: readonly CallerKeyUse[]): Promise<void>;
  /** Deletes keys with their uses. Ids that are not there are skipped. */
  remove(ids: readonly string[]): Promise<void>;
}

export interface CallerKeyChange {
  readonly created: readonly CallerKey[];
  readonly changed: readonly CallerKey[];
}

/** The directory as keys see it. */
export interface KeyOwners {
  /** undefined when there is no such principal. */
  find(
    owner: EntityRef,
  ): { readonly tenant: string | undefined; readonly status: 'active' | 'disabled' } | undefined;
}
