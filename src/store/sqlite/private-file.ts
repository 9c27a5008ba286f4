/**
 * Files that only their owner can read, whatever the umask and the mode of the folder are: databases with names and keys
 * of principals, and secrets. SQLite gives the files beside a database the mode of the database.
 */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { AppError, type ErrorCode, messageOf } from '../../domain/errors.ts';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/** Makes an empty file, which SQLite takes for a new database; one that exists stays as it is. @throws Error of the system */
export function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', OWNER_ONLY));
}

/** The text of a secret that exists. @throws AppError of the code when it is no file, or others can read it, or nobody */
export function readPrivate(file: string, code: ErrorCode): string {
  let found: { readonly isFile: boolean; readonly mode: number };
  try {
    const stats = statSync(file);
    found = { isFile: stats.isFile(), mode: stats.mode };
    if (found.isFile && (found.mode & OTHERS) === 0) return readFileSync(file, 'utf8');
  } catch (error) {
    throw new AppError(
      code,
      `\`${file}\` cannot be read: ${messageOf(error)}: let the user that runs duramen read it`,
      { cause: error },
    );
  }
  if (found.isFile) throw new AppError(code, `\`${file}\` can be read by others: run \`chmod 600 ${file}\``);
  throw new AppError(code, `\`${file}\` is not a file: move it away, and restore the file from a backup`);
}
