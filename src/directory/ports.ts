/**
 * The directory's store as a contract; every backend passes test/conformance/directory-store.ts.
 */
import type { EntityBody, EntityRecord } from '../domain/entity.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';

/** One write: a new state, or a removal (`body` null). */
export interface EntityWrite {
  readonly ref: EntityRef;
  readonly body: EntityBody | null;
}

/** A group of writes that becomes visible as one revision, or not at all. */
export interface DirectoryTransaction {
  /** Adds writes; may be called many times, so that an import streams. */
  write(chunk: readonly EntityWrite[]): Promise<void>;
  /**
   * Makes every write durable under revision `current + 1`, together with `event` in the outbox.
   * @returns the new revision. Rejects with AppError STORE_UNAVAILABLE and changes nothing when it cannot.
   */
  commit(at: string, event: EventEntry): Promise<number>;
  rollback(): Promise<void>;
}

/** Entities and all their earlier states. One transaction at a time; the caller serialises them. */
export interface DirectoryStore {
  /** 0 for an empty store; grows by one with each commit. */
  revision(): Promise<number>;
  /** Every live entity, in chunks of at most 2,000, in no particular order. */
  load(): AsyncIterable<readonly EntityRecord[]>;
  begin(): Promise<DirectoryTransaction>;
  /** The state that an entity had at `revision`; undefined when it did not exist then. */
  at(ref: EntityRef, revision: number): Promise<EntityRecord | undefined>;
  /** Every live entity as of `revision`, in chunks, for replay. */
  loadAt(revision: number): AsyncIterable<readonly EntityRecord[]>;
}
