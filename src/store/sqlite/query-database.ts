/**
 * Opens query.db, the index of the decision log. Invariant: it is only ever a copy of what the leaves say; when it
 * is missing, damaged, newer, or about another log, it is deleted and built again, and nothing is lost.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { AppError, messageOf } from '../../domain/errors.ts';
import type { LeafSource } from './query-leaves.ts';
import { makePrivate } from './private-file.ts';
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

/** @throws AppError STORE_UNAVAILABLE when it can be neither opened nor built anew */
export function openQueryDatabase(options: QueryDatabaseOptions, leaves: LeafSource): OpenedQueryDatabase {
  const file = join(options.folder, 'query.db');
  try {
    return { db: open(file, options, leaves), rebuilt: undefined };
  } catch (error) {
    const reason = messageOf(error);
    try {
      deleteQueryDatabase(options.folder);
      return { db: open(file, options, leaves), rebuilt: reason };
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

function open(file: string, options: QueryDatabaseOptions, leaves: LeafSource): Database {
  makePrivate(file);
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
    bind(db, leaves);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

interface ProgressRow {
  readonly origin: string;
  readonly next: number;
  readonly last: Buffer | null;
}

/** Makes sure that the index is about this log, and about this history of it. */
function bind(db: Database, leaves: LeafSource): void {
  db.prepare('INSERT OR IGNORE INTO progress (id, origin, next) VALUES (1, ?, 0)').run(leaves.origin);
  const row = db.prepare<[], ProgressRow>('SELECT origin, next, last FROM progress').get();
  if (row?.origin !== leaves.origin) throw new Error('it belongs to another decision log');
  const { next, last } = row;
  const size = leaves.size();
  if (next > size) throw new Error(`it knows ${next} entries and the log has ${size}: the log was replaced`);
  const leaf = last === null ? undefined : leaves.leaf(next - 1);
  if (last !== null && leaf !== undefined && !leaf.hash.equals(last)) {
    throw new Error(`entry ${next - 1} of the log is another one than it knows: the log was replaced`);
  }
}
