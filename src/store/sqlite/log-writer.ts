/**
 * Writes leaves into log.db; runs in a worker thread. Invariants: when `append` returns, every leaf of the batch
 * is on the disk (WAL with synchronous=FULL), with gap-free indexes; when it throws, none of them is, or the
 * failure is marked fatal and the writer refuses everything until the process has restarted.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import { hashPrefixed } from '../../decision-log/leaf-hash.ts';
import { messageOf } from '../../domain/errors.ts';
import { LEAF_VERSION } from '../../domain/log-entry.ts';
import { lockFolder } from './folder-lock.ts';
import { prefixedLeaves } from './log-batch.ts';
import { checkLog, damagedLog, refuseOldSqlite } from './log-check.ts';
import { type Migration, migrate } from './migrations.ts';

/** WAL pages after which a checkpoint moves them into the database: about 1 MiB, so that it stalls 2 to 3 ms. */
const CHECKPOINT_PAGES = 128;
/** Largest WAL that is kept for reuse, in bytes; overwriting it is faster than growing it again. */
const WAL_LIMIT_BYTES = 67_108_864;
/** Page cache in KiB. */
const CACHE_KIB = 16_384;
/** Page size of a new log: twice SQLite's default, since a leaf is about 2 KB and each page has a cost of its own. */
const PAGE_BYTES = 8_192;
/** Pages that a commit writes beside the leaves: the two edges of the tree. */
const PAGES_PER_COMMIT = 2;

export interface LogWriterOptions {
  readonly folder: string;
  readonly migrations: readonly Migration[];
  /** Origin for a log that does not exist yet. */
  readonly newOrigin: string;
  /** Instant to record for migrations, RFC 3339. */
  readonly at: string;
  /** Most pages of the database; a commit beyond fails as on a full disk. */
  readonly maxPages?: number;
}

/** A commit that failed. `fatal`: it is unknown what the disk holds, so nothing may be written until a restart. */
export class CommitError extends Error {
  readonly fatal: boolean;

  constructor(message: string, fatal: boolean, cause: unknown) {
    super(message, { cause });
    this.name = 'CommitError';
    this.fatal = fatal;
  }
}

/** SQLite result codes after which the transaction is known to be rolled back and trying again is safe. */
const TRANSIENT = /^SQLITE_(FULL|BUSY|LOCKED|NOMEM|READONLY|CANTOPEN|INTERRUPT)(_|$)/;

/** Whether a failed commit may be tried again. A failed write or fsync may not: the kernel can have lost pages. */
export function isTransient(error: unknown): boolean {
  return error instanceof SqliteDatabase.SqliteError && TRANSIENT.test(error.code);
}

export class LogWriter {
  readonly origin: string;
  /** Names of migrations of a newer version that this version can live with. */
  readonly newerMigrations: readonly string[];
  private readonly db: Database;
  private readonly lock: Database;
  private readonly insert: Statement<[number, Buffer, Uint8Array]>;
  private readonly begin: Statement<[]>;
  private readonly commit: Statement<[]>;
  private nextIndex: number;
  private walPages = 0;
  private fatal: string | undefined;

  private constructor(db: Database, lock: Database, newerMigrations: readonly string[]) {
    this.db = db;
    this.lock = lock;
    this.newerMigrations = newerMigrations;
    const { origin, size } = checkLog(db);
    this.origin = origin;
    this.nextIndex = size;
    this.insert = db.prepare('INSERT INTO leaf (idx, body, hash) VALUES (?, ?, ?)');
    this.begin = db.prepare('BEGIN IMMEDIATE');
    this.commit = db.prepare('COMMIT');
  }

  /**
   * Opens the log of a data folder, or makes it.
   * @throws AppError LOG_UNAVAILABLE or STORE_UNAVAILABLE with what to do, when the folder is in use or not
   * writable, or the database is damaged or newer
   */
  static open(options: LogWriterOptions): LogWriter {
    const lock = lockFolder(options.folder);
    const file = join(options.folder, 'log.db');
    let db: Database | undefined;
    try {
      db = new SqliteDatabase(file);
      refuseOldSqlite(db);
      configure(db);
      const { newer } = migrate(db, options.migrations, options.at);
      if (options.maxPages !== undefined) db.pragma(`max_page_count = ${options.maxPages}`);
      const name = db.prepare('INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)');
      name.run('origin', options.newOrigin);
      name.run('format', String(LEAF_VERSION));
      return new LogWriter(db, lock, newer);
    } catch (error) {
      db?.close();
      lock.close();
      throw damagedLog(file, error);
    }
  }

  /** Leaves that are durable. */
  get size(): number {
    return this.nextIndex;
  }

  /**
   * Makes a batch durable. @returns the index of its first leaf. @throws CommitError
   */
  append(shared: SharedArrayBuffer, used: number): number {
    if (this.fatal !== undefined) throw new CommitError(this.fatal, true, undefined);
    const first = this.nextIndex;
    let index = first;
    try {
      this.begin.run();
      for (const prefixed of prefixedLeaves(shared, used)) {
        this.insert.run(index++, prefixed.subarray(1), hashPrefixed(prefixed));
      }
      // The point of no return: with COMMIT the batch is in the WAL and the WAL is flushed. A crash before it
      // leaves nothing of the batch; a crash after it, before the answer, leaves entries that nobody waits for.
      this.commit.run();
    } catch (error) {
      throw this.failed(error);
    }
    this.nextIndex = index;
    this.walPages += Math.ceil(used / PAGE_BYTES) + PAGES_PER_COMMIT;
    return first;
  }

  /** Whether enough has gathered in the WAL for a checkpoint. */
  get checkpointDue(): boolean {
    return this.walPages >= CHECKPOINT_PAGES;
  }

  /**
   * Moves the WAL into the database. A reader can hold some of it back; the next checkpoint takes that along.
   * The entries are durable with or without it.
   */
  checkpoint(): void {
    try {
      this.db.pragma('wal_checkpoint(PASSIVE)');
      this.walPages = 0;
    } catch (error) {
      if (!isTransient(error)) throw this.failed(error);
      this.walPages = CHECKPOINT_PAGES / 2;
    }
  }

  /** Bytes of the write-ahead log. */
  get walBytes(): number {
    const file = `${this.db.name}-wal`;
    return existsSync(file) ? statSync(file).size : 0;
  }

  /** Writes and flushes something that is not an entry, to learn whether writing works. @throws CommitError */
  probe(at: string): void {
    if (this.fatal !== undefined) throw new CommitError(this.fatal, true, undefined);
    try {
      this.db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?)").run(at);
    } catch (error) {
      throw this.failed(error);
    }
  }

  close(): void {
    try {
      if (this.fatal === undefined) this.db.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      this.db.close();
      this.lock.close();
    }
  }

  private failed(error: unknown): CommitError {
    let fatal = !isTransient(error);
    try {
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      fatal ||= readSize(this.db) !== this.nextIndex;
    } catch {
      fatal = true;
    }
    const message = `the decision log cannot be written: ${messageOf(error)}`;
    if (fatal) this.fatal = `${message}: what the disk holds is unknown, restart duramen`;
    return new CommitError(this.fatal ?? message, fatal, error);
  }
}

function configure(db: Database): void {
  db.pragma('busy_timeout = 5000');
  // Only a database that has no page yet takes it, and none in WAL mode.
  db.pragma(`page_size = ${PAGE_BYTES}`);
  db.pragma('journal_mode = WAL');
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
  const mode: unknown = db.pragma('journal_mode', { simple: true });
  const synchronous: unknown = db.pragma('synchronous', { simple: true });
  if (mode !== 'wal' || synchronous !== 2) {
    throw new Error(`journal_mode is \`${String(mode)}\` and synchronous \`${String(synchronous)}\``);
  }
}

function readSize(db: Database): number {
  const row = db.prepare<[], { size: number }>('SELECT coalesce(max(idx) + 1, 0) AS size FROM leaf').get();
  return row?.size ?? 0;
}
