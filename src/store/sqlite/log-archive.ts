/**
 * What outlives the entries of the log: tiles and checkpoints of removed shards, and the exports that hold removal
 * back. Invariant: the file of a shard is removed only after everything that stays of it is on the disk here.
 */
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { type LogExport, MAX_LOG_EXPORTS, type SignedCheckpoint } from '../../decision-log/ports.ts';
import { AppError } from '../../domain/errors.ts';
import { configure } from './log-shard.ts';
import { LOG_FOLDER } from './log-shard-name.ts';
import { ARCHIVE_FILE } from './log-shards.ts';
import { makePrivate } from './private-file.ts';
import { type Migration, migrate } from './migrations.ts';

/** A shard whose entries go, or are gone. */
export interface RemovedShard {
  readonly name: string;
  readonly first: number;
  readonly entries: number;
  /** Milliseconds of its first and last entry. */
  readonly opened: number;
  readonly sealed: number;
  readonly bytes: number;
}

/** A tile as it is copied. */
export interface TileRow {
  readonly level: number;
  readonly n: number;
  readonly root: Uint8Array;
  readonly data: Uint8Array;
}

/** Pages of the WAL after which it moves into the database: 8 MiB. */
const CHECKPOINT_PAGES = 1_024;
const EXPORT_NAME = /^[A-Za-z0-9._-]{1,64}$/;

export class LogArchive {
  private readonly db: Database;

  private constructor(db: Database) {
    this.db = db;
  }

  /** @param folder data folder @throws Error when it cannot be opened */
  static open(folder: string, migrations: readonly Migration[], at: string): LogArchive {
    const file = join(folder, LOG_FOLDER, ARCHIVE_FILE);
    makePrivate(file);
    const db = new SqliteDatabase(file);
    try {
      configure(db, 'wal');
      db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      migrate(db, migrations, at);
      return new LogArchive(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Shards that are copied: their files may be removed, and may be gone. The oldest first. */
  removed(): readonly RemovedShard[] {
    return this.db
      .prepare<[], RemovedShard>(
        'SELECT name, first, entries, opened, sealed, bytes FROM shard ORDER BY first',
      )
      .all();
  }

  /** Leaves that belong to shards that are copied. */
  get end(): number {
    const last = this.removed().at(-1);
    return last === undefined ? 0 : last.first + last.entries;
  }

  addTiles(tiles: readonly TileRow[]): void {
    const insert = this.db.prepare('INSERT OR IGNORE INTO tile (level, n, root, data) VALUES (?, ?, ?, ?)');
    this.db.transaction(() => {
      for (const { level, n, root, data } of tiles) insert.run(level, n, root, data);
    })();
  }

  /** Durable when it returns: from then on the shard counts as removed. Its tiles must be here already. */
  complete(
    shard: RemovedShard,
    checkpoints: readonly Pick<SignedCheckpoint, 'size' | 'time' | 'note'>[],
  ): void {
    const checkpoint = this.db.prepare(
      'INSERT OR IGNORE INTO checkpoint (size, time, note) VALUES (?, ?, ?)',
    );
    const insert = this.db.prepare(
      `INSERT OR REPLACE INTO shard (name, first, entries, opened, sealed, bytes)
       VALUES (@name, @first, @entries, @opened, @sealed, @bytes)`,
    );
    this.db.transaction(() => {
      for (const { size, time, note } of checkpoints) checkpoint.run(size, time, note);
      insert.run(shard);
    })();
  }

  exports(): readonly LogExport[] {
    return this.db
      .prepare<[], LogExport>(
        'SELECT name, acknowledged, created AS createdAt, updated AS updatedAt FROM export ORDER BY name',
      )
      .all();
  }

  /** @throws AppError INVALID_REQUEST when the name is none, the size is beyond the log, or there are too many */
  saveExport(name: string, acknowledged: number, size: number, time: number): LogExport {
    if (!EXPORT_NAME.test(name))
      throw invalid('the name of an export has 1 to 64 of the characters `A-Za-z0-9._-`');
    if (!Number.isSafeInteger(acknowledged) || acknowledged < 0 || acknowledged > size) {
      throw invalid(`\`acknowledged\` is not a whole number from 0 to ${size}, the size of the log`);
    }
    const others = this.exports().filter(one => one.name !== name);
    if (others.length >= MAX_LOG_EXPORTS)
      throw invalid(`the log has ${MAX_LOG_EXPORTS} exports already: remove one`);
    this.db
      .prepare(
        `INSERT INTO export (name, acknowledged, created, updated) VALUES (?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET acknowledged = excluded.acknowledged, updated = excluded.updated`,
      )
      .run(name, acknowledged, time, time);
    const saved = this.exports().find(one => one.name === name);
    if (saved === undefined) throw new Error('an export that was saved is not there');
    return saved;
  }

  /** @returns whether there was one */
  removeExport(name: string): boolean {
    return this.db.prepare('DELETE FROM export WHERE name = ?').run(name).changes > 0;
  }

  /** Writes and flushes, to learn whether writing works. @throws SqliteError */
  probe(): void {
    this.db.prepare("DELETE FROM export WHERE name = ''").run();
    this.db.pragma('wal_checkpoint(PASSIVE)');
  }

  close(): void {
    this.db.close();
  }
}

function invalid(message: string): AppError {
  return new AppError('INVALID_REQUEST', message, { problems: [{ message }] });
}
