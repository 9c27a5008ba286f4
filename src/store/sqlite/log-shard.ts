/**
 * One shard of the log as the writer has it: its database and statements. Invariants: a commit returns after the
 * disk has flushed it (WAL with synchronous=FULL); a new shard gets its name when it is complete, and not before.
 */
import { existsSync, statSync } from 'node:fs';
import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import type { Frontier } from '../../decision-log/frontier.ts';
import { hashPrefixed } from '../../decision-log/leaf-hash.ts';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import { LEAF_VERSION } from '../../domain/log-entry.ts';
import type { LeafFrame } from './log-batch.ts';
import { checkShard, refuseOldSqlite } from './log-check.ts';
import { moveFile, removeDatabase } from './log-files.ts';
import { type StoredTile, takeStoredTiles } from './log-frontier.ts';
import { DRAFT_SUFFIX, parseShardName, shardFile, type ShardName } from './log-shard-name.ts';
import { KeptDatabase } from './kept-file.ts';
import { makePrivate } from './private-file.ts';
import { type Migration, migrate } from './migrations.ts';

/** Largest WAL that is kept for reuse, in bytes; overwriting it is faster than growing it again. */
const WAL_LIMIT_BYTES = 67_108_864;
/** Page cache in KiB. */
const CACHE_KIB = 16_384;
/** Page size of a new shard: twice SQLite's default, since each page has a cost of its own. */
export const PAGE_BYTES = 8_192;

export interface ShardFiles {
  /** Data folder. */
  readonly folder: string;
  readonly migrations: readonly Migration[];
  /** Instant to record for migrations, RFC 3339. */
  readonly at: string;
  /** Most pages of a shard; a commit beyond fails as on a full disk. */
  readonly maxPages?: number | undefined;
}

/** What a new shard begins with. */
export interface NewShard {
  readonly name: ShardName;
  readonly origin: string;
  readonly verifierKey: string;
  /** The tree up to the shard; it grows by `opening`. */
  readonly frontier: Frontier;
  /** The first leaf; undefined for the first shard of a log. */
  readonly opening: LeafFrame | undefined;
}

export class Shard {
  readonly name: ShardName;
  readonly origin: string;
  /** Undefined in a shard of before there was a tree. */
  readonly verifierKey: string | undefined;
  /** The shard that follows; undefined while this one is open. */
  readonly next: ShardName | undefined;
  /** Leaves of the whole log when it was opened. */
  readonly size: number;
  /** Names of migrations of a newer version that this version can live with. */
  readonly newerMigrations: readonly string[];
  readonly db: Database;
  readonly insertLeaf: Statement<[number, Uint8Array, Uint8Array]>;
  /** The same with the pseudonym of the subject and the sealed personal values. */
  readonly insertOpenable: Statement<[number, Uint8Array, Uint8Array, string, Uint8Array]>;
  /** Journals of a batch under the index of its first leaf. */
  readonly insertJournal: Statement<[number, Uint8Array]>;
  readonly begin: Statement<[]>;
  private readonly commitStatement: Statement<[]>;
  private readonly kept: KeptDatabase;
  private readonly insertTile: Statement<[number, number, Uint8Array, Uint8Array]>;
  private readonly replaceHead: Statement<[number, Uint8Array, number, string]>;
  private readonly insertCheckpoint: Statement<[number, number, string]>;
  private readonly replaceMeta: Statement<[string, string]>;

  private constructor(db: Database, name: ShardName, newerMigrations: readonly string[]) {
    const { origin, verifierKey, next, size } = checkShard(db, name);
    this.db = db;
    this.name = name;
    this.origin = origin;
    this.verifierKey = verifierKey;
    this.next = next === undefined ? undefined : parseShardName(next);
    this.size = size;
    this.newerMigrations = newerMigrations;
    this.insertLeaf = db.prepare('INSERT INTO leaf (idx, body, hash) VALUES (?, ?, ?)');
    this.insertOpenable = db.prepare(
      'INSERT INTO leaf (idx, body, hash, subject, sealed) VALUES (?, ?, ?, ?, ?)',
    );
    this.insertJournal = db.prepare('INSERT INTO journal (idx, body) VALUES (?, ?)');
    this.insertTile = db.prepare('INSERT INTO tile (level, n, root, data) VALUES (?, ?, ?, ?)');
    this.replaceHead = db.prepare(
      'INSERT OR REPLACE INTO head (id, size, root, time, note) VALUES (1, ?, ?, ?, ?)',
    );
    this.insertCheckpoint = db.prepare(
      'INSERT OR IGNORE INTO checkpoint (size, time, note) VALUES (?, ?, ?)',
    );
    this.replaceMeta = db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)');
    this.begin = db.prepare('BEGIN IMMEDIATE');
    this.commitStatement = db.prepare('COMMIT');
    this.kept = new KeptDatabase(db.name);
  }

  /** Opens a shard for writing. @throws Error with what is wrong with it */
  static open(files: ShardFiles, name: ShardName): Shard {
    const db = new SqliteDatabase(shardFile(files.folder, name), { fileMustExist: true });
    try {
      refuseOldSqlite(db);
      configure(db, 'wal');
      const { newer } = migrate(db, files.migrations, files.at);
      if (files.maxPages !== undefined) db.pragma(`max_page_count = ${files.maxPages}`);
      return new Shard(db, name, newer);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Builds a shard and opens it. Repeated after a crash, it starts again, or finds what is done. @throws Error */
  static create(files: ShardFiles, shard: NewShard): Shard {
    const file = shardFile(files.folder, shard.name);
    if (!existsSync(file)) {
      const draft = file.replace(/\.db$/, DRAFT_SUFFIX);
      removeDatabase(draft);
      writeDraft(draft, files, shard);
      // The point of no return: with its name the shard is part of the log. A crash before it leaves a draft, which
      // nobody reads; what it would hold is made again from the shard before it.
      moveFile(draft, file);
    }
    return Shard.open(files, shard.name);
  }

  /** Durable when this returns, in the file that the next start opens. @throws Error when that is gone */
  commit(): void {
    this.commitStatement.run();
    this.kept.requireInPlace();
  }

  addTiles(tiles: readonly StoredTile[]): void {
    for (const { level, n, root, data } of tiles) this.insertTile.run(level, n, root, data);
  }

  setHead({ size, root, time, note }: SignedCheckpoint): void {
    this.replaceHead.run(size, root, time, note);
  }

  publish({ size, time, note }: SignedCheckpoint): void {
    this.insertCheckpoint.run(size, time, note);
  }

  setMeta(key: 'verifierKey' | 'format' | 'sealed' | 'probe', value: string): void {
    this.replaceMeta.run(key, value);
  }

  head(): SignedCheckpoint | undefined {
    const row = this.db
      .prepare<[], Omit<SignedCheckpoint, 'origin'>>('SELECT size, root, time, note FROM head')
      .get();
    return row === undefined ? undefined : { origin: this.origin, ...row };
  }

  /** Leaves of the whole log, as the disk has it. */
  readSize(): number {
    const last = this.db.prepare<[], number | null>('SELECT max(idx) FROM leaf').pluck().get();
    return typeof last === 'number' ? last + 1 : this.name.first;
  }

  /** Bytes of the write-ahead log. */
  get walBytes(): number {
    return statSync(`${this.db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  close(): void {
    this.db.close();
  }
}

/** A shard with everything that it begins with, in one transaction of a database of its own. */
function writeDraft(file: string, files: ShardFiles, shard: NewShard): void {
  const { name, frontier, opening } = shard;
  makePrivate(file);
  const db = new SqliteDatabase(file);
  try {
    // Without a write-ahead log: what is moved is one file.
    configure(db, 'delete');
    migrate(db, files.migrations, files.at);
    db.exec('BEGIN IMMEDIATE');
    const meta = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
    meta.run('origin', shard.origin);
    meta.run('format', String(LEAF_VERSION));
    meta.run('verifierKey', shard.verifierKey);
    const carry = db.prepare('INSERT INTO carry (level, data) VALUES (?, ?)');
    for (const [level, data] of frontier.partialTiles().entries()) carry.run(level, data);
    if (opening !== undefined) {
      const hash = hashPrefixed(opening.prefixed);
      db.prepare('INSERT INTO leaf (idx, body, hash) VALUES (?, ?, ?)').run(
        name.first,
        opening.prefixed.subarray(1),
        hash,
      );
      frontier.append(hash);
      const insert = db.prepare('INSERT INTO tile (level, n, root, data) VALUES (?, ?, ?, ?)');
      for (const { level, n, root, data } of takeStoredTiles(frontier)) insert.run(level, n, root, data);
    }
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

/** @throws Error when SQLite does not do as it is told */
export function configure(db: Database, mode: 'wal' | 'delete'): void {
  db.pragma('busy_timeout = 5000');
  // Only a database that has no page yet takes it, and none in WAL mode.
  db.pragma(`page_size = ${PAGE_BYTES}`);
  db.pragma(`journal_mode = ${mode}`);
  // The driver's default in WAL mode is NORMAL, under which a power cut takes back answered decisions.
  db.pragma('synchronous = FULL');
  db.pragma('fullfsync = ON');
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${WAL_LIMIT_BYTES}`);
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma('temp_store = MEMORY');
  db.pragma('mmap_size = 0');
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
  const found: unknown = db.pragma('journal_mode', { simple: true });
  const synchronous: unknown = db.pragma('synchronous', { simple: true });
  if (found !== mode || synchronous !== 2) {
    throw new Error(`journal_mode is \`${String(found)}\` and synchronous \`${String(synchronous)}\``);
  }
}
