/** What the databases of a log hold, as rows for its verification. Invariant: a row is what is stored, not what should be. */
import type { StoredLeaf } from '../../decision-log/log-source.ts';
import { HASH_BYTES } from '../../decision-log/tree-hash.ts';
import type { EvidenceDatabase } from './log-evidence-files.ts';
import type { ShardName } from './log-shard-name.ts';

export interface Head {
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
}

export interface TileRow {
  readonly root: Buffer;
  readonly data: Buffer;
}

/** A table that was made anew can hold anything in its columns. */
export interface LeafRow {
  readonly idx: number;
  readonly body: unknown;
  readonly hash: unknown;
}

/**
 * What of a row can be judged: an entry that is no bytes is missing, a hash of another form is none.
 * @param find hears what is wrong
 */
export function leavesOf(
  { idx, body, hash }: LeafRow,
  find: (index: number, code: string, message: string) => void,
): StoredLeaf[] {
  if (!(body instanceof Uint8Array)) {
    find(idx, 'SHARD_DAMAGED', `entry ${idx} is not stored as bytes`);
    return [];
  }
  if (hash instanceof Uint8Array && hash.length === HASH_BYTES) return [{ index: idx, bytes: body, hash }];
  find(idx, 'LEAF_HASH_CHANGED', `what is stored as the hash of entry ${idx} is no hash`);
  return [{ index: idx, bytes: body }];
}

export function metaOf(db: EvidenceDatabase): Map<string, string> {
  const rows = db.prepare<[], { key: string; value: string }>('SELECT key, value FROM meta').all();
  return new Map(rows.map(({ key, value }) => [key, value]));
}

export interface State {
  readonly meta: ReadonlyMap<string, string>;
  readonly head: Head | undefined;
  readonly size: number;
  readonly published: number;
  readonly hasPublished: boolean;
}

/** What the newest shard holds at one instant. */
export function stateOf(db: EvidenceDatabase, shard: ShardName): State {
  return db.transaction((): State => {
    const last = db.prepare<[], number | null>('SELECT max(idx) FROM leaf').pluck().get();
    const published = db.prepare<[], number | null>('SELECT max(size) FROM checkpoint').pluck().get();
    return {
      meta: metaOf(db),
      head: db.prepare<[], Head>('SELECT size, root, note FROM head WHERE id = 1').get(),
      size: typeof last === 'number' ? last + 1 : shard.first,
      published: published ?? shard.first,
      hasPublished: typeof published === 'number',
    };
  })();
}

export function carryOf(db: EvidenceDatabase, level: number): Buffer | undefined {
  return db.prepare<[number], Buffer>('SELECT data FROM carry WHERE level = ?').pluck().get(level);
}
