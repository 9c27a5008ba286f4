/**
 * One process per data folder. The lock is SQLite's own exclusive file lock on `log.lock`, which the operating
 * system releases when the process ends, however it ends: a crash leaves nothing to clean up.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { AppError, messageOf } from '../../domain/errors.ts';

const LOCK_FILE = 'log.lock';
/** How long a starter waits for a predecessor that is just ending, in milliseconds. */
const LOCK_WAIT_MS = 2_000;

/**
 * Takes the lock of a data folder until the returned handle is closed.
 * @throws AppError LOG_UNAVAILABLE when another process holds it, or the folder cannot be written
 */
export function lockFolder(folder: string): Database {
  const file = join(folder, LOCK_FILE);
  let handle: Database | undefined;
  try {
    handle = new SqliteDatabase(file, { timeout: LOCK_WAIT_MS });
    handle.pragma('journal_mode = DELETE');
    handle.exec('BEGIN EXCLUSIVE');
    return handle;
  } catch (error) {
    handle?.close();
    throw refusal(folder, error);
  }
}

/** Whether a process holds the lock of a data folder. Nothing is created or locked by asking. */
export function isFolderLocked(folder: string): boolean {
  const file = join(folder, LOCK_FILE);
  if (!existsSync(file)) return false;
  const handle = new SqliteDatabase(file, { readonly: true, timeout: 0 });
  try {
    handle.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    // anything else says that it is no lock of ours, so nobody holds it
    return error instanceof SqliteDatabase.SqliteError && error.code.startsWith('SQLITE_BUSY');
  } finally {
    handle.close();
  }
}

function refusal(folder: string, error: unknown): AppError {
  const code = error instanceof SqliteDatabase.SqliteError ? error.code : '';
  if (code.startsWith('SQLITE_BUSY')) {
    return new AppError(
      'LOG_UNAVAILABLE',
      `the data folder \`${folder}\` is in use by another duramen process: stop that process, or choose ` +
        'another data folder',
      { cause: error },
    );
  }
  return new AppError(
    'LOG_UNAVAILABLE',
    `the data folder \`${folder}\` cannot be written: ${messageOf(error)}: create it, and let the user that ` +
      'runs duramen write to it',
    { cause: error },
  );
}
