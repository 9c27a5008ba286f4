/**
 * Opens state.db and subjects.db and guards their transactions. Invariants: one process per data folder; a
 * transaction is whole and durable (synchronous=FULL) when it returns, and leaves no trace when it throws; after an
 * I/O error nothing is written any more, because it is unknown what reached the disk; what is deleted is overwritten.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { AppError, messageOf } from '../../domain/errors.ts';
import { listShards, LOG_FOLDER } from './log-shard-name.ts';
import { KeptDatabase } from './kept-file.ts';
import { migrate, readMigrations } from './migrations.ts';
import { makePrivate } from './private-file.ts';

/** How long a starter waits for a predecessor that is just ending, in milliseconds. */
const LOCK_WAIT_MS = 2_000;
/** Page cache in KiB. */
const CACHE_KIB = 16_384;
/** Largest WAL that is kept for reuse, in bytes. */
const WAL_LIMIT_BYTES = 67_108_864;

export interface StateFolder {
  /** Data folder; must exist. */
  readonly folder: string;
  /** Instant to record for migrations, RFC 3339. */
  readonly at: string;
  /** Most pages of state.db; a write beyond fails as on a full disk. */
  readonly maxPages?: number;
  /** Most answers by Idempotency-Key; default MAX_ANSWERS. */
  readonly maxAnswers?: number;
}

/** What begins anew with an empty database. */
const LOST = {
  state: 'directory, policies and keys begin anew',
  subjects: 'nobody behind the pseudonyms of the log can be named any more',
} as const;

/** Largest database that is rewritten in memory; a larger one takes a temporary file. In bytes. */
const COMPACT_IN_MEMORY_BYTES = 268_435_456;

/** One open database. */
export class StateDatabase {
  readonly db: Database;
  /** Names of migrations of a newer version that this version can live with. */
  readonly newerMigrations: readonly string[];
  readonly #file: string;
  readonly #kept: KeptDatabase;
  /** Held by the database that is opened first. */
  readonly #lock: Database | undefined;
  /** Why nothing may be written any more. */
  #broken: string | undefined;

  private constructor(db: Database, lock: Database | undefined, file: string, newer: readonly string[]) {
    this.db = db;
    this.newerMigrations = newer;
    this.#file = file;
    this.#kept = new KeptDatabase(file);
    this.#lock = lock;
  }

  /** state.db, with the lock of the folder. @throws AppError STORE_UNAVAILABLE with what to do about it */
  static open({ folder, at, maxPages }: StateFolder): StateDatabase {
    const lock = lockFolder(folder);
    try {
      return StateDatabase.#openFile(folder, 'state', at, lock, maxPages);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** subjects.db of a folder whose lock is held. @throws as `open` */
  static openSubjects({ folder, at }: StateFolder): StateDatabase {
    return StateDatabase.#openFile(folder, 'subjects', at, undefined, undefined);
  }

  static #openFile(
    folder: string,
    name: 'state' | 'subjects',
    at: string,
    lock: Database | undefined,
    maxPages: number | undefined,
  ): StateDatabase {
    const file = join(folder, `${name}.db`);
    let db: Database | undefined;
    try {
      const unclean = hasContent(`${file}-wal`);
      requireKept(folder, file, name);
      makePrivate(file);
      db = new SqliteDatabase(file);
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      db.pragma('fullfsync = ON');
      db.pragma('foreign_keys = ON');
      db.pragma('trusted_schema = OFF');
      db.pragma('cell_size_check = ON');
      db.pragma('secure_delete = ON');
      db.pragma(`cache_size = -${CACHE_KIB}`);
      db.pragma(`journal_size_limit = ${WAL_LIMIT_BYTES}`);
      if (maxPages !== undefined) db.pragma(`max_page_count = ${maxPages}`);
      if (unclean) checkPages(db, file);
      const migrations = readMigrations(join(import.meta.dirname, `../../../migrations/sqlite/${name}`));
      const { newer } = migrate(db, migrations, at);
      return new StateDatabase(db, lock, file, newer);
    } catch (error) {
      db?.close();
      throw explain(error, file);
    }
  }

  /**
   * Runs `change` as one transaction.
   * @throws what `change` throws; AppError STORE_UNAVAILABLE when the database fails. Nothing is changed then.
   */
  write<T>(change: () => T): T {
    if (this.#broken !== undefined) throw this.#refusal(this.#broken);
    try {
      this.db.exec('BEGIN IMMEDIATE');
      const result = change();
      this.#requireInPlace();
      // Durable when this returns: the WAL has been flushed. A crash before it leaves no trace.
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      if (error instanceof SqliteDatabase.SqliteError && error.code.startsWith('SQLITE_IOERR')) {
        this.#broken = messageOf(error);
      }
      throw explain(error, this.#file);
    }
  }

  /** Runs a query. @throws AppError STORE_UNAVAILABLE when the database fails */
  read<T>(query: () => T): T {
    try {
      return query();
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  /**
   * Rewrites the file, so that it and its WAL hold nothing but what can still be read: a page may keep the bytes of
   * a row that was moved before it was deleted. Takes about a second per 100 MB.
   * @throws AppError STORE_UNAVAILABLE; what can be read is unchanged then
   */
  compact(): void {
    this.read(() => {
      const pages = Number(this.db.pragma('page_count', { simple: true }));
      const bytes = pages * Number(this.db.pragma('page_size', { simple: true }));
      this.db.pragma(`temp_store = ${bytes > COMPACT_IN_MEMORY_BYTES ? 'FILE' : 'MEMORY'}`);
      this.db.exec('VACUUM');
      this.db.pragma('wal_checkpoint(TRUNCATE)');
    });
  }

  close(): void {
    this.db.close();
    this.#lock?.close();
  }

  /** Before the commit, so that nothing is changed: the next start would not find it. */
  #requireInPlace(): void {
    try {
      this.#kept.requireInPlace();
    } catch (error) {
      throw unavailable(
        `${messageOf(error)}: put back what was there, or restart; nothing was changed`,
        error,
      );
    }
  }

  #refusal(cause: string): AppError {
    return new AppError(
      'STORE_UNAVAILABLE',
      `\`${this.#file}\` failed and it is unknown what reached the disk: ${cause}: check the disk, then restart`,
    );
  }
}

/** SQLite's own file lock, which the operating system releases however the process ends. */
function lockFolder(folder: string): Database {
  let handle: Database | undefined;
  try {
    handle = new SqliteDatabase(join(folder, 'state.lock'), { timeout: LOCK_WAIT_MS });
    handle.exec('BEGIN EXCLUSIVE');
    return handle;
  } catch (error) {
    handle?.close();
    if (error instanceof SqliteDatabase.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `the data folder \`${folder}\` is in use by another duramen process: stop it, or choose another folder`,
        { cause: error },
      );
    }
    throw explain(error, folder);
  }
}

/** After an unclean end the pages are checked before they are trusted. */
function checkPages(db: Database, file: string): void {
  const result: unknown = db.pragma('quick_check(1)', { simple: true });
  if (result !== 'ok') throw damaged(file, String(result));
}

function hasContent(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** A log is never there before the databases: without them beside it, something was lost, and this is no first start. */
function requireKept(folder: string, file: string, name: keyof typeof LOST): void {
  const hasLog = existsSync(join(folder, LOG_FOLDER)) && listShards(folder).length > 0;
  if (!hasLog || existsSync(file)) return;
  throw new AppError(
    'STORE_UNAVAILABLE',
    `\`${file}\` is missing, and there is a log beside it: restore it from a backup; if there is none, make an empty file of this name: ${LOST[name]}`,
  );
}

/** SQLite's failures in the words of the operator, with what to do. Other errors stay what they are. */
function explain(error: unknown, file: string): unknown {
  if (error instanceof AppError) return error;
  const code = error instanceof SqliteDatabase.SqliteError ? error.code : '';
  const text = messageOf(error);
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return damaged(file, text, error);
  if (code.startsWith('SQLITE_FULL')) {
    return unavailable(
      `no room is left to write \`${file}\`: free some disk space; nothing was changed`,
      error,
    );
  }
  if (error instanceof Error && 'syscall' in error) {
    return unavailable(
      `\`${file}\` cannot be opened: ${text}: let the user of duramen write to it; if something else is in its place, put the database back from a backup`,
      error,
    );
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code) || text.includes('directory does not exist')) {
    return unavailable(
      `\`${file}\` cannot be written: ${text}: create the data folder and let the user of duramen write to it`,
      error,
    );
  }
  if (/^SQLITE_(BUSY|LOCKED|IOERR|NOMEM|PROTOCOL)/.test(code)) {
    return unavailable(`\`${file}\` cannot be used: ${text}`, error);
  }
  return error;
}

function damaged(file: string, text: string, cause?: unknown): AppError {
  return unavailable(
    `the database \`${file}\` is damaged: ${text}: restore a backup, or move the file away and make an empty one of its name to begin anew`,
    cause,
  );
}

function unavailable(message: string, cause: unknown): AppError {
  return new AppError('STORE_UNAVAILABLE', message, { retryAfterSeconds: 1, cause });
}
