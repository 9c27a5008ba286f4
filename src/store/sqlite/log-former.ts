/**
 * Makes the first shard of a `log.db`, the form of the log before it had a tree. Invariants: no leaf is copied,
 * changed or lost, origin and indexes stay; a crash at any point leaves a file that the next start goes on with.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { leafHash } from '../../decision-log/leaf-hash.ts';
import { AppError } from '../../domain/errors.ts';
import { checkShard, refuseOldSqlite } from './log-check.ts';
import { moveFile } from './log-files.ts';
import { frontierAt, takeStoredTiles } from './log-frontier.ts';
import { configure, type ShardFiles } from './log-shard.ts';
import { isoWeek, listShards, shardFile, shardName } from './log-shard-name.ts';
import { type StoredLeaf, timeOf } from './log-shards.ts';
import { TILE_WIDTH } from '../../decision-log/tiles.ts';
import { migrate } from './migrations.ts';

/** The former log, within the data folder. */
export const FORMER_FILE = 'log.db';
/** Leaves whose tiles are committed together: a crash repeats as many. */
const STEP_LEAVES = 65_536;

/** @param now milliseconds since the epoch @param say told about the progress @throws Error with what is wrong */
export function adoptFormerLog(files: ShardFiles, now: number, say: (progress: string) => void): void {
  const file = join(files.folder, FORMER_FILE);
  if (!existsSync(file)) return;
  if (listShards(files.folder).length > 0) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `\`${file}\` is a log of a former version beside the log of this one: move one of them away`,
    );
  }
  const db = new SqliteDatabase(file);
  let first: StoredLeaf | undefined;
  try {
    refuseOldSqlite(db);
    configure(db, 'wal');
    // From here on former versions refuse the file: they would add leaves and no tiles.
    migrate(db, files.migrations, files.at);
    const { size } = checkShard(db, { first: 0 });
    if (size > 0) say(`building the tree of ${size} entries`);
    buildTiles(db, size, say);
    first = db.prepare<[], StoredLeaf>('SELECT body, hash FROM leaf WHERE idx = 0').get();
    // One file, without anything beside it that a move could leave behind.
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.pragma('journal_mode = DELETE');
  } finally {
    db.close();
  }
  // The point of no return: a crash before the move repeats what is above, after it the log is the new one. The
  // week is that of the oldest entry, so that the shard is sealed with its first new batch, unless that is this week.
  const week = isoWeek(first === undefined ? now : timeOf(first));
  moveFile(file, shardFile(files.folder, shardName(week, 0)));
}

/** Adds the tiles that are not there yet, after comparing each leaf with its hash. */
function buildTiles(db: Database, size: number, say: (progress: string) => void): void {
  const done = db.prepare<[], number>('SELECT count(*) FROM tile WHERE level = 0').pluck().get() ?? 0;
  const frontier = frontierAt(db, 0, done * TILE_WIDTH);
  const leaves = db.prepare<[number, number], StoredLeaf & { idx: number }>(
    'SELECT idx, body, hash FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?',
  );
  const insert = db.prepare('INSERT INTO tile (level, n, root, data) VALUES (?, ?, ?, ?)');
  while (frontier.size < size) {
    db.exec('BEGIN IMMEDIATE');
    for (const { idx, body, hash } of leaves.iterate(frontier.size, STEP_LEAVES)) {
      if (idx !== frontier.size) throw new Error(`entry ${frontier.size} is missing`);
      if (!hash.equals(leafHash(body))) throw new Error(`entry ${idx} does not match its hash`);
      frontier.append(hash);
    }
    for (const { level, n, root, data } of takeStoredTiles(frontier)) insert.run(level, n, root, data);
    db.exec('COMMIT');
    db.pragma('wal_checkpoint(TRUNCATE)');
    say(`built the tree of ${frontier.size} of ${size} entries`);
  }
}
