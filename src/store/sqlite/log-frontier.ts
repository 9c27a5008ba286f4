/**
 * The growing edge of the tree, made again from what a shard holds. Invariant: a frontier that is given out agrees
 * with every tile and with the newest signed checkpoint of its shard; where they differ the log is damaged.
 */
import type { Database } from 'better-sqlite3';
import { Frontier, type FullTile } from '../../decision-log/frontier.ts';
import { MAX_TILE_LEVEL, TILE_WIDTH } from '../../decision-log/tiles.ts';
import { HASH_BYTES, packedRoot, sameHash } from '../../decision-log/tree-hash.ts';

/** Leaf hashes that are read at a time. */
const CHUNK_LEAVES = 65_536;
/** Tiles of each level that are checked at a start: those over a thousand leaves, and some above. */
const CHECKED_TILES = 4;

/** A full tile and its own root, which is a hash of the level above. */
export interface StoredTile extends FullTile {
  readonly root: Uint8Array;
}

/** The tiles that became full since the last call; no hash is computed for their roots. */
export function takeStoredTiles(frontier: Frontier): readonly StoredTile[] {
  const full = frontier.takeTiles();
  return full.map(tile => {
    const level = tile.level + 1;
    const n = Math.floor(tile.n / TILE_WIDTH);
    const above = full.find(one => one.level === level && one.n === n)?.data ?? frontier.partialTile(level);
    const at = (tile.n % TILE_WIDTH) * HASH_BYTES;
    return { ...tile, root: above.subarray(at, at + HASH_BYTES) };
  });
}

/**
 * The frontier at the end of a shard.
 * @param first index of the shard's first leaf
 * @param size leaves of the whole log
 * @param head newest signed checkpoint of the shard
 * @throws Error when the leaves, the tiles and the checkpoint do not fit together
 */
export function checkedFrontier(
  db: Database,
  first: number,
  size: number,
  head: { readonly size: number; readonly root: Uint8Array } | undefined,
): Frontier {
  if (head !== undefined && (head.size > size || head.size < first)) {
    throw new Error(`a checkpoint over ${head.size} entries was signed, and the log has ${size}`);
  }
  const frontier = frontierAt(db, first, head?.size ?? size);
  if (head !== undefined && !sameHash(frontier.root(), head.root)) {
    throw new Error(`the tree of ${head.size} entries has not the root that was signed`);
  }
  growFrontier(db, frontier, size);
  return frontier;
}

/**
 * Compares the newest tiles of a shard with the leaves and with their own roots: as much as is read of the leaves at
 * each start. @param first index of the shard's first leaf
 * @throws Error when one differs
 */
export function checkNewestTiles(db: Database, first: number): void {
  const newest = db.prepare<[number, number], StoredTile>(
    'SELECT level, n, root, data FROM tile WHERE level = ? ORDER BY n DESC LIMIT ?',
  );
  const levels = Array.from({ length: MAX_TILE_LEVEL + 1 }, (_, level) => level);
  const tiles = levels.flatMap(level => newest.all(level, CHECKED_TILES));
  const hashes = db
    .prepare<[number, number], Buffer>('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
    .pluck();
  for (const { level, n, root, data } of tiles) {
    const start = n * TILE_WIDTH;
    const leaves =
      level === 0 && start >= first ? Buffer.concat(hashes.all(start, start + TILE_WIDTH)) : data;
    if (!sameHash(packedRoot(data), root) || !sameHash(leaves, data)) {
      throw new Error(`tile ${n} of level ${level} does not match its entries`);
    }
  }
}

/** The frontier of the first `size` leaves, which end in this shard. @throws Error as `checkedFrontier` */
export function frontierAt(db: Database, first: number, size: number): Frontier {
  const hashes = db
    .prepare<[number, number], Buffer>('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
    .pluck();
  const roots = db
    .prepare<[number, number, number], Buffer>(
      'SELECT root FROM tile WHERE level = ? AND n >= ? AND n < ? ORDER BY n',
    )
    .pluck();
  const carry = db.prepare<[number], Buffer>('SELECT data FROM carry WHERE level = ?').pluck();
  const partials: Uint8Array[] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    const tileStart = count - (count % TILE_WIDTH);
    const before = Math.floor(first / TILE_WIDTH ** level);
    // Of this very tile, the hashes from before the shard; another tile's do not matter any more.
    const carried = before > tileStart ? (carry.get(level) ?? Buffer.alloc(0)) : Buffer.alloc(0);
    const from = Math.max(tileStart, before);
    const own = level === 0 ? hashes.all(from, count) : roots.all(level - 1, from, count);
    partials.push(Buffer.concat([carried.subarray(0, (from - tileStart) * HASH_BYTES), ...own]));
  }
  return new Frontier(size, partials);
}

/** Adds the leaves up to `size`. @throws Error when a leaf is missing, or a tile is not what its leaves make it */
function growFrontier(db: Database, frontier: Frontier, size: number): void {
  const hashes = db
    .prepare<[number, number], Buffer>('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
    .pluck();
  const stored = db.prepare<[number, number], { root: Buffer; data: Buffer }>(
    'SELECT root, data FROM tile WHERE level = ? AND n = ?',
  );
  while (frontier.size < size) {
    const chunk = hashes.all(frontier.size, Math.min(size, frontier.size + CHUNK_LEAVES));
    if (chunk.length === 0) throw new Error(`entry ${frontier.size} is missing`);
    for (const hash of chunk) frontier.append(hash);
    for (const { level, n, root, data } of takeStoredTiles(frontier)) {
      const tile = stored.get(level, n);
      if (tile === undefined || !sameHash(tile.data, data) || !sameHash(tile.root, root)) {
        throw new Error(`tile ${n} of level ${level} does not match its entries`);
      }
    }
  }
}
