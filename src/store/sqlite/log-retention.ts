/**
 * Removes the entries of old shards and keeps their tiles. Invariants: only whole sealed shards go, the oldest
 * first, and none that an export has not taken; a crash at any point leaves a shard whole, or removed, and its tiles
 * readable either way.
 */
import SqliteDatabase, { type Database } from 'better-sqlite3';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import { removeDatabase, removeLargeDatabase } from './log-files.ts';
import type { LogArchive, RemovedShard, TileRow } from './log-archive.ts';
import { listShards, shardFile, type ShardName, weekStart } from './log-shard-name.ts';
import { shardBytes, type StoredLeaf, timeOf } from './log-shards.ts';

type Named = Pick<ShardName, 'name'>;

/** Tiles that are copied in one step: 1 MiB, some milliseconds during which no batch is written. */
const STEP_TILES = 128;

/** What a run of the retention did. */
export interface Pruning {
  /** Shards whose entries were removed, the oldest first. */
  readonly removed: readonly RemovedShard[];
  /** Index of the first entry that is kept. */
  readonly firstKept: number;
  /** The export because of which older entries were not removed. */
  readonly heldBackBy: string | undefined;
}

/**
 * What `prune` would remove now. A shard is as young as the youngest that its name, its first and its last entry say:
 * a clock that went back while it was written makes it no older.
 * @param before milliseconds @throws Error when a shard cannot be read
 */
export function prunable(folder: string, archive: LogArchive, before: number): Pruning {
  const removed: RemovedShard[] = [];
  const shards = listShards(folder);
  let heldBackBy: string | undefined;
  for (const [at, shard] of shards.entries()) {
    const next = shards[at + 1];
    // The newest shard always stays: the log goes on in it.
    if (next === undefined) break;
    const described = describe(folder, shard, next);
    if (Math.max(described.opened, described.sealed, weekStart(shard.week)) >= before) break;
    heldBackBy = archive.exports().find(({ acknowledged }) => acknowledged < next.first)?.name;
    if (heldBackBy !== undefined) break;
    removed.push(described);
  }
  return { removed, firstKept: shards[removed.length]?.first ?? 0, heldBackBy };
}

/**
 * The time of the newest entry that is no younger than an instant (milliseconds), as far as entries stand in the order
 * of their times; undefined when there is none. After a clock went back it may be an older entry than that.
 * @throws Error when a shard cannot be read
 */
export function lastEntryBefore(folder: string, time: number): number | undefined {
  for (const shard of listShards(folder).reverse()) {
    const db = openShard(folder, shard);
    try {
      const found = lastTimeBefore(db, time);
      if (found !== undefined) return found;
    } finally {
      db.close();
    }
  }
  return undefined;
}

function lastTimeBefore(db: Database, time: number): number | undefined {
  const leaf = db.prepare<[number], StoredLeaf>('SELECT body, hash FROM leaf WHERE idx = ?');
  const bounds = db
    .prepare<[], { first: number | null; last: number | null }>(
      'SELECT min(idx) AS first, max(idx) AS last FROM leaf',
    )
    .get();
  let low = bounds?.first ?? 0;
  let high = bounds?.last ?? -1;
  let found: number | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const at = timeOf(leaf.get(middle));
    if (at > time) high = middle - 1;
    else {
      found = at;
      low = middle + 1;
    }
  }
  return found;
}

/**
 * Removes shards whose last entry is older than `before` (milliseconds). A generator: it pauses after each step, so
 * that batches are written in between.
 * @throws Error when a shard or the archive cannot be read or written; what was not removed is whole
 */
export async function* prune(
  folder: string,
  archive: LogArchive,
  before: number,
): AsyncGenerator<undefined, Pruning> {
  const removed: RemovedShard[] = [];
  for (;;) {
    const plan = prunable(folder, archive, before);
    const [shard] = plan.removed;
    if (shard === undefined) return { ...plan, removed };
    yield* copyTiles(folder, shard, archive);
    // An export may have been made while the tiles were copied.
    if (prunable(folder, archive, before).removed[0]?.name !== shard.name) continue;
    archive.complete(shard, readCheckpoints(folder, shard));
    // The point of no return: what stays of the shard is on the disk, and the shard counts as removed. A crash from
    // here on leaves a file that the next start removes.
    await removeLargeDatabase(shardFile(folder, shard));
    removed.push(shard);
  }
}

/** Removes the files that a crash left of shards that count as removed. @throws Error when it counts those of another log */
export function finishPruning(folder: string, archive: LogArchive): void {
  const removed = new Map(archive.removed().map(shard => [shard.name, shard]));
  for (const shard of listShards(folder)) {
    const counted = removed.get(shard.name);
    if (counted === undefined) continue;
    requireSame(counted, openedAt(folder, shard));
    removeDatabase(shardFile(folder, shard));
  }
}

/** The time of its first entry, also when it came back from a backup; undefined when it cannot be read. */
function openedAt(folder: string, shard: ShardName): number | undefined {
  try {
    return describe(folder, shard, shard).opened;
  } catch {
    return undefined;
  }
}

/** First shards of logs that were begun in one week have one name. */
function requireSame({ name, opened }: RemovedShard, found: number | undefined): void {
  if (found === undefined || found === opened) return;
  throw new Error(
    `it counts the shard \`${name}\` as removed, and the file of that name begins at another time: it belongs to another log`,
  );
}

function* copyTiles(folder: string, shard: Named, archive: LogArchive): Generator<undefined> {
  const db = openShard(folder, shard);
  try {
    const read = db.prepare<[number, number], TileRow & { rowid: number }>(
      'SELECT rowid, level, n, root, data FROM tile WHERE rowid > ? ORDER BY rowid LIMIT ?',
    );
    let last = 0;
    for (;;) {
      const tiles = read.all(last, STEP_TILES);
      if (tiles.length === 0) return;
      archive.addTiles(tiles);
      last = tiles.at(-1)?.rowid ?? last;
      yield undefined;
    }
  } finally {
    db.close();
  }
}

function describe(folder: string, shard: ShardName, next: ShardName): RemovedShard {
  const db = openShard(folder, shard);
  try {
    const leaf = db.prepare<[number], StoredLeaf>('SELECT body, hash FROM leaf WHERE idx = ?');
    return {
      name: shard.name,
      first: shard.first,
      entries: next.first - shard.first,
      opened: timeOf(leaf.get(shard.first)),
      sealed: timeOf(leaf.get(next.first - 1)),
      bytes: shardBytes(folder, shard),
    };
  } finally {
    db.close();
  }
}

function readCheckpoints(
  folder: string,
  shard: Named,
): readonly Pick<SignedCheckpoint, 'size' | 'time' | 'note'>[] {
  const db = openShard(folder, shard);
  try {
    return db
      .prepare<[], Pick<SignedCheckpoint, 'size' | 'time' | 'note'>>(
        'SELECT size, time, note FROM checkpoint UNION SELECT size, time, note FROM head ORDER BY size',
      )
      .all();
  } finally {
    db.close();
  }
}

function openShard(folder: string, shard: Named): Database {
  return new SqliteDatabase(shardFile(folder, shard), { readonly: true, fileMustExist: true });
}
