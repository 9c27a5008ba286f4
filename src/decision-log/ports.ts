/**
 * The decision log as a contract. Each sentence of these interfaces is a named test in
 * test/conformance/decision-log.ts, which every backend passes.
 */
import type { EventEntry, LogEntry } from '../domain/log-entry.ts';
import type { JsonObject } from '../domain/json.ts';

/** Where an entry stands in the log. */
export interface LogPosition {
  /** Name of the log, RFC 3986 without scheme: `duramen.local/3f2a…`. */
  readonly origin: string;
  /** 0-based, gap-free. */
  readonly index: number;
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
   */
  append(entry: LogEntry): Promise<LogPosition>;
  /** Resolves when everything accepted so far is durable or has failed; then refuses new entries. */
  close(): Promise<void>;
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
] as const;
export type DecisionFilterName = (typeof DECISION_FILTERS)[number];

export interface DecisionQuery {
  /** Inclusive, milliseconds. */
  readonly from?: number;
  /** Exclusive, milliseconds. */
  readonly to?: number;
  readonly filters: Partial<Record<DecisionFilterName, ValueFilter>>;
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
  /** An event that was appended twice (its append was repeated after a crash) is answered once. */
  events(query: EventQuery): Promise<Page<LoggedLeaf>>;
  /** Exact leaf bytes. */
  leaf(index: number): Promise<Uint8Array | undefined>;
  /** Entries not yet in the query index. */
  lag(): Promise<number>;
  close(): Promise<void>;
}

/** Administrative events that were committed with their change and are not yet in the log. */
export interface Outbox {
  /** Oldest first. */
  pending(limit: number): Promise<readonly EventEntry[]>;
  /** Forgets events that are durable in the log. */
  acknowledge(ids: readonly string[]): Promise<void>;
}
