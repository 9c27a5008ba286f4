/**
 * The decision log as a contract. Each sentence of these interfaces is a named test in
 * test/conformance/decision-log.ts, which every backend passes.
 */
import type { EventEntry, LogEntry } from '../domain/log-entry.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { NamedAges } from './store-ages.ts';

/** Where an entry stands in the log. */
export interface LogPosition {
  /** Name of the log, RFC 3986 without scheme: `duramen.local/3f2a…`. */
  readonly origin: string;
  /** 0-based, gap-free. */
  readonly index: number;
  /** Leaves of the log when the batch with this entry became durable: a tree of this size includes it. */
  readonly size: number;
}

/** A checkpoint of the log (c2sp.org/tlog-checkpoint) with its signed note. */
export interface SignedCheckpoint {
  readonly origin: string;
  /** Number of leaves. */
  readonly size: number;
  /** RFC 6962 tree head, 32 bytes. */
  readonly root: Uint8Array;
  /** Milliseconds since the epoch at which it was signed; not part of the note. */
  readonly time: number;
  /** The signed note, exact bytes as text. */
  readonly note: string;
}

/** Appends entries. Indexes follow the order of the calls. */
export interface DecisionLog {
  readonly origin: string;
  /** Entries that are durable. */
  readonly size: number;
  /** Accepts no entry now: the next `append` would reject with LOG_BACKPRESSURE. */
  readonly saturated: boolean;
  /**
   * Resolves after the entry is durable (survives kill -9 and power loss), never before.
   * Rejects with AppError LOG_BACKPRESSURE when the queue is full (nothing was written), LOG_UNAVAILABLE when
   * the commit failed (the entry is not in the log, or the process must restart to know), INVALID_REQUEST when
   * the leaf would exceed MAX_LEAF_BYTES.
   * @param journal what changed with the entry in the state of limits: kept in the same transaction, in the order of
   * the calls, and no part of the leaf
   */
  append(entry: LogEntry, journal?: Uint8Array): Promise<LogPosition>;
  /**
   * The newest checkpoint as a C2SP signed note: of a size that was durable when it was signed, and at least the
   * size that was durable when this was called. Never contradicts a checkpoint that was given out before.
   * Rejects with AppError LOG_UNAVAILABLE.
   */
  signCheckpoint(): Promise<SignedCheckpoint>;
  /** Resolves when everything accepted so far is durable or has failed; then refuses new entries. */
  close(): Promise<void>;
}

/** Journals as they lie beside their entries. */
export interface JournalChunk {
  /** Each behind its length, 32 bits, little-endian; in the order in which they were appended. */
  readonly body: Uint8Array;
  /** Where to go on: the index behind the last batch that is in it. */
  readonly next: number;
}

/** The journals that were appended with entries. */
export interface LogJournals {
  /**
   * The next durable journals of batches whose first entry has at least this index; undefined: there are no more.
   * Rejects with AppError LOG_UNAVAILABLE.
   */
  chunk(from: number): Promise<JournalChunk | undefined>;
  /** Tells somebody of each journal when it is durable, before its `append` resolves. One listens; it must not throw. */
  listen(listener: (journal: Uint8Array) => void): void;
}

/** Filters of GET /v1/decisions: each list is an OR, `negated` inverts it, filters are ANDed. */
export interface ValueFilter {
  readonly values: readonly string[];
  readonly negated: boolean;
}

export const DECISION_FILTERS = [
  'tenant',
  'principal',
  'model',
  'action',
  'decision',
  'code',
  'policy',
  'bundle',
  'requestId',
  'level',
  'outcome',
] as const;
export type DecisionFilterName = (typeof DECISION_FILTERS)[number];

export interface DecisionQuery {
  /** Inclusive, milliseconds. */
  readonly from?: number;
  /** Exclusive, milliseconds. */
  readonly to?: number;
  readonly filters: Partial<Record<DecisionFilterName, ValueFilter>>;
  /**
   * Further names by which leaves know the principals of the filter `principal`: their pseudonyms, `p:…` or `u:…`.
   * A cursor is not bound to them, so that it survives a new month and an erasure between two pages.
   */
  readonly pseudonyms?: readonly string[];
  /** Tenants that the asker may see; undefined: all. */
  readonly tenants?: readonly string[];
  /** 1–1000. */
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  /** Opaque keyset cursor of an earlier page. */
  readonly cursor?: string;
}

export interface EventQuery {
  readonly from?: number;
  readonly to?: number;
  readonly kind?: ValueFilter;
  readonly tenants?: readonly string[];
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly cursor?: string;
}

/** The personal values of one entry, sealed under the key of its subject (see leaf-privacy.ts). */
export interface SealedOpening {
  /** Pseudonym of the subject. */
  readonly subject: string;
  /** Ciphertext ‖ tag (16), see opening.ts. */
  readonly sealed: Uint8Array;
}

/** One leaf as it is answered: its place, its hash and its content. */
export interface LoggedLeaf {
  readonly index: number;
  /** RFC 6962 leaf hash, SHA-256(0x00 ‖ leaf), hex. */
  readonly leafHash: string;
  /** The exact leaf, canonical JSON: cheaper to splice into an answer than `content` is to serialise again. */
  readonly json: string;
  /** The leaf parsed, on first use. */
  readonly content: JsonObject;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/**
 * Reads the log. A query sees every entry whose `append` resolved before the query was made.
 * Asked on behalf of some tenants, it shows an entry when one of them is the tenant whose data was used, the
 * principal's or the resource's (for an event: the tenant it concerns); any other entry is as if missing.
 * A page can have fewer items than its limit, even none, and still a `nextCursor`: a query looks at a bounded
 * number of entries per page. `nextCursor` is null exactly when nothing follows.
 * Rejects with AppError INVALID_REQUEST when a cursor belongs to another query, NOT_READY when the index has to
 * catch up with too many entries first (it does so in the background).
 */
export interface LogReader {
  decisions(query: DecisionQuery): Promise<Page<LoggedLeaf>>;
  decision(id: string, tenants?: readonly string[]): Promise<LoggedLeaf | undefined>;
  /** The first `decision.outcome` of a decision. @param id of the decision */
  outcome(id: string): Promise<LoggedLeaf | undefined>;
  /** An event that was appended twice (its append was repeated after a crash) is answered once. */
  events(query: EventQuery): Promise<Page<LoggedLeaf>>;
  /** Exact leaf bytes. */
  leaf(index: number): Promise<Uint8Array | undefined>;
  /** What the newest of the entries `from` to `to`, exclusive, name; those that retention removed are passed over. */
  named(from: number, to: number): Promise<NamedAges>;
  /** Sealed openings of entries, by index; an entry without one, or whose opening was erased, is absent. */
  openings(indexes: readonly number[]): Promise<ReadonlyMap<number, SealedOpening>>;
  /** Entries not yet in the query index. */
  lag(): Promise<number>;
  close(): Promise<void>;
}

/** One file of entries: a week, or as many leaves as it may hold. */
export interface ShardInfo {
  /** `2026-W47-000000000000` */
  readonly name: string;
  /** Index of its first leaf. */
  readonly first: number;
  /** Leaves that it holds. */
  readonly entries: number;
  /** Nothing is ever added to a sealed shard. */
  readonly sealed: boolean;
  /** Whether its entries are still there; its tiles always are. */
  readonly kept: boolean;
  /** Milliseconds of its first and last entry. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/**
 * The RFC 6962 tree over the log, read (c2sp.org/tlog-tiles). Everything asked about must be within the size that
 * is durable, else the promise rejects with AppError INVALID_REQUEST. Hashes are 32 bytes.
 */
export interface LogTree {
  /** Tree head of the first `size` leaves. */
  root(size: number): Promise<Uint8Array>;
  /** `width` hashes (1–256) of tile `n` at `level`; what was pruned keeps its tiles. */
  hashTile(level: number, n: number, width: number): Promise<Uint8Array>;
  /** An entry bundle of `width` leaves (1–256); undefined when some of its entries were pruned. */
  entryBundle(n: number, width: number): Promise<Uint8Array | undefined>;
  /** Audit path from the leaf's sibling up (RFC 6962 §2.1.1). */
  inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]>;
  /** RFC 6962 §2.1.2; empty when `from` is 0 or equals `to`. */
  consistencyProof(from: number, to: number): Promise<readonly Uint8Array[]>;
  /** Index of the first entry that is kept. */
  firstKept(): Promise<number>;
  shards(): Promise<readonly ShardInfo[]>;
}

/** How far a consumer has copied the log: entries from there on are not removed by retention. */
export interface LogExport {
  /** 1–64 characters of `[A-Za-z0-9._-]`. */
  readonly name: string;
  /** It holds the first `acknowledged` leaves. */
  readonly acknowledged: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The exports of a log; durable when a promise resolves. */
export interface LogExports {
  /** By name. */
  list(): Promise<readonly LogExport[]>;
  /** Creates or replaces. Rejects with AppError INVALID_REQUEST when there would be more than MAX_LOG_EXPORTS. */
  save(name: string, acknowledged: number, time: number): Promise<LogExport>;
  /** @returns whether there was one */
  remove(name: string): Promise<boolean>;
}

/** Most exports of one log: each holds retention back. */
export const MAX_LOG_EXPORTS = 64;

/** Administrative events that were committed with their change and are not yet in the log. */
export interface Outbox {
  /** Oldest first. */
  pending(limit: number): Promise<readonly EventEntry[]>;
  /** Forgets events that are durable in the log. */
  acknowledge(ids: readonly string[]): Promise<void>;
}

/** Subjects in parallel lists: an entity key, 16 bytes of a pseudonym and 32 bytes of a key at the same place. */
export interface SubjectChunk {
  readonly entities: readonly string[];
  readonly pseudonyms: Uint8Array;
  readonly keys: Uint8Array;
}

/** A secret of one month (UTC). */
export interface MonthKey {
  /** The month, `2026-11`, after a slash and what it is for: `acme/2026-11`, or `/2026-11` for every tenant. */
  readonly kid: string;
  readonly key: Uint8Array;
}

/** The month keys: of digests of inputs, and of names of principals that were never registered. */
export interface MonthKeys {
  readonly input: readonly MonthKey[];
  readonly unregistered: readonly MonthKey[];
}

/** What is to be forgotten about a principal. */
export interface Erasure {
  readonly principal: EntityRef;
  /** 16 bytes; absent when it was never registered. */
  readonly pseudonym?: Uint8Array;
  /** Keys that take the place of those of the same `kid`, which are lost with it. */
  readonly unregistered: readonly MonthKey[];
  /** Its entity lives and stays with all that is about it: only the pseudonym is forgotten. */
  readonly stays?: boolean;
}

/** What an erasure removed, and where else the state names the principal. */
export interface ErasedTraces {
  /** Earlier states of its entity. */
  readonly revisions: number;
  /** Answers kept for repetitions by Idempotency-Key. */
  readonly answers: number;
  /** Live entities and stored bundles that still name its id: not touched. */
  readonly namedBy: { readonly entities: number; readonly bundles: number };
}

/**
 * The erasable side of the log: who stands behind a pseudonym, the keys of openings and the month keys. What was
 * written is durable when a promise resolves, and what was erased is in none of the store's files. Rejects with
 * AppError STORE_UNAVAILABLE; then nothing is known to have changed.
 */
export interface SubjectStore {
  /** Every subject, in chunks of at most 10,000, in no particular order. */
  load(): AsyncIterable<SubjectChunk>;
  /**
   * Keeps subjects, all or none. An entity that is known keeps its pseudonym and key.
   * @param at milliseconds since the epoch @returns those of the entities that were known, as they are kept
   */
  add(subjects: SubjectChunk, at: number): Promise<SubjectChunk>;
  monthKeys(): Promise<MonthKeys>;
  /** Keeps keys, all or none; a `kid` that is known keeps its key. @returns all of these `kid`s as they are kept */
  addMonthKeys(keys: MonthKeys, at: number): Promise<MonthKeys>;
  /** Destroys the keys of months before this one. @returns how many */
  dropMonthKeys(before: string): Promise<number>;
  /**
   * Forgets a principal: its subject, every earlier state of its entity and the kept answers that name it, and puts
   * `event` into the outbox, with `erased` added to its details. Once begun it is finished, also after a crash.
   * Rejects with AppError PRINCIPAL_EXISTS while the entity lives and does not stay, LOG_UNAVAILABLE while the outbox
   * holds an event that names it; then nothing has changed.
   */
  erase(erasure: Erasure, event: EventEntry): Promise<ErasedTraces>;
  /** Puts other keys of names in the place of those of the same `kid`, which are destroyed. */
  replaceNameKeys(keys: readonly MonthKey[]): Promise<void>;
}

/** Who stands behind the pseudonyms of leaves. */
export interface SubjectResolver {
  /** Entity keys (`AI::User::"acme/alice"`) by pseudonym; an erased or never registered one is absent. */
  resolve(pseudonyms: Iterable<string>): Promise<ReadonlyMap<string, string>>;
  /**
   * Every pseudonym under which the log may know a principal: its own, and those of the retained months in which
   * it was not registered. @param type without namespace; undefined: every type of principals
   */
  pseudonymsOf(type: string | undefined, id: string): Promise<readonly string[]>;
  /** Keys of openings by pseudonym, 32 bytes each; those of erased subjects are absent. */
  keys(pseudonyms: Iterable<string>): Promise<ReadonlyMap<string, Uint8Array>>;
}
