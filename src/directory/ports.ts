/**
 * What the directory needs of others: a store as a contract, which every backend passes in
 * test/conformance/directory-store.ts, and the active schema as a parser of entities.
 */
import type { EntityBody, EntityRecord } from '../domain/entity.ts';
import type { Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { RecordValue } from '../domain/value.ts';

/** An entity that fits the schema, or everything that is wrong with it. */
export type ParsedEntity =
  | {
      readonly ok: true;
      readonly attributes: RecordValue;
      readonly tags: RecordValue;
      /** The body with the defaults that the schema calls for. */
      readonly body: EntityBody;
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** What the directory must know of an entity type. */
export interface EntityTraits {
  /** A request can name it as principal or resource, so that disabling it has an effect. */
  readonly requestable: boolean;
  /** It has a required attribute, so that it can be a parent only when it is an entity. */
  readonly mustExist: boolean;
}

/** The active schema as the directory sees it. Types are short names: `User`. */
export interface EntityParser {
  /** undefined: the schema has no such type. */
  traits(type: string): EntityTraits | undefined;
  /** What is wrong with a type that the schema does not have; undefined: it has it. */
  unknownType(type: string): Problem | undefined;
  /** Problems point into the body: `/attributes/tier`. Total: never throws for data. */
  parse(ref: EntityRef, body: EntityBody): ParsedEntity;
}

/** One write: a new state, or a removal (`body` null). */
export interface EntityWrite {
  readonly ref: EntityRef;
  readonly body: EntityBody | null;
}

/** A group of writes that becomes visible as one revision, or not at all. */
export interface DirectoryTransaction {
  /** Adds writes; may be called many times, so that an import streams. A later write of an entity counts. */
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
  /**
   * Every live entity, in chunks of at most 2,000, in no particular order. To see one revision, the caller
   * commits nothing meanwhile.
   */
  load(): AsyncIterable<readonly EntityRecord[]>;
  begin(): Promise<DirectoryTransaction>;
  /** The state that an entity had at `revision`; undefined when it did not exist then. */
  at(ref: EntityRef, revision: number): Promise<EntityRecord | undefined>;
  /** Every live entity as of `revision`, in chunks, for replay. */
  loadAt(revision: number): AsyncIterable<readonly EntityRecord[]>;
}
