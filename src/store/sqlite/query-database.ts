/**
 * Opens query.db, the index of the decision log. Invariant: it is only ever a copy of what the leaves say; when it
 * is missing, damaged, newer, or about another log, it is deleted and built again, and nothing is lost.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { AppError, messageOf } from '../../domain/errors.ts';
import { type Migration, migrate } from './migrations.ts';

/** WAL pages between checkpoints: 16 MiB, since postings touch many pages that the next chunk touches again. */
const CHECKPOINT_PAGES = 4_096;
/** Page cache in KiB. */
const CACHE_KIB = 32_768;

export interface QueryDatabaseOptions {
  readonly folder: string;
  readonly migrations: readonly Migration[];
  /** Instant to record for migrations, RFC 3339. */
  readonly at: string;
}

export interface OpenedQueryDatabase {
  readonly db: Database;
  /** Why it was built anew, when it was not simply missing. */
  readonly rebuilt: string | undefined;
}

/** Opens log.db for reading. @throws Error when there is none */
export function openLogForReading(folder: string): Database {
  const db = new SqliteDatabase(join(folder, 'log.db'), { readonly: true, fileMustExist: true });
  db.pragma('busy_timeout = 5000');
  db.pragma('trusted_schema = OFF');
  db.pragma('mmap_size = 0');
  return db;
}

/** Origin and number of leaves of a log. */
function readLogState(log: Database): { readonly origin: string; readonly size: number } {
  const origin = log.prepare<[], string>("SELECT value FROM meta WHERE key = 'origin'").pluck().get();
  return { origin: origin ?? '', size: readLogSize(log) };
}

/** Leaves that are durable now. */
export function readLogSize(log: Database): number {
  return log.prepare<[], number>('SELECT coalesce(max(idx) + 1, 0) FROM leaf').pluck().get() ?? 0;
}

/** @throws AppError STORE_UNAVAILABLE when it can be neither opened nor built anew */
export function openQueryDatabase(options: QueryDatabaseOptions, log: Database): OpenedQueryDatabase {
  const file = join(options.folder, 'query.db');
  try {
    return { db: open(file, options, log), rebuilt: undefined };
  } catch (error) {
    const reason = messageOf(error);
    try {
      deleteQueryDatabase(options.folder);
      return { db: open(file, options, log), rebuilt: reason };
    } catch (cause) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        `the query index \`${file}\` can be neither opened (${reason}) nor built anew: ${messageOf(cause)}: check ` +
          'the permissions and the free space of the data folder',
        { cause },
      );
    }
  }
}

/** Deletes the index; the leaves stay. */
export function deleteQueryDatabase(folder: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    rmSync(join(folder, `query.db${suffix}`), { force: true });
  }
}

function open(file: string, options: QueryDatabaseOptions, log: Database): Database {
  const db = new SqliteDatabase(file);
  try {
    db.pragma('busy_timeout = 5000');
    db.pragma('journal_mode = WAL');
    // A power cut may take back the last chunks; they are indexed again from the leaves.
    db.pragma('synchronous = NORMAL');
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma('temp_store = MEMORY');
    db.pragma('mmap_size = 0');
    db.pragma('trusted_schema = OFF');
    migrate(db, options.migrations, options.at);
    bind(db, readLogState(log));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Makes sure that the index is about this log. */
function bind(db: Database, state: { readonly origin: string; readonly size: number }): void {
  db.prepare('INSERT OR IGNORE INTO progress (id, origin, next) VALUES (1, ?, 0)').run(state.origin);
  const row = db.prepare<[], { origin: string; next: number }>('SELECT origin, next FROM progress').get();
  if (row?.origin !== state.origin) throw new Error('it belongs to another decision log');
  if (row.next > state.size) {
    throw new Error(`it knows ${row.next} entries and the log has ${state.size}: the log was replaced`);
  }
}
