/**
 * Leaves as the query index reads them, whatever files hold them (log-shards.ts). Invariant: reading never changes the
 * log, and what is read was durable.
 */
/** A leaf on its way into the index. */
export interface LeafRow {
  readonly idx: number;
  readonly json: string;
}

/** A leaf as it is stored. */
export interface StoredLeaf {
  readonly body: Buffer;
  /** RFC 6962 leaf hash, 32 bytes. */
  readonly hash: Buffer;
}

export interface LeafSource {
  /** Name of the log. */
  readonly origin: string;
  /** Leaves that are durable now, those that retention removed included. */
  size(): number;
  /** Index of the first leaf that is kept; at most `size()`. */
  firstKept(): number;
  /** Leaves from an index on, in order; at least one when there is one at `from`, at most `limit`. */
  rows(from: number, limit: number): readonly LeafRow[];
  leaf(index: number): StoredLeaf | undefined;
  close(): void;
}
