/**
 * Database files that only their owner can read, whatever the umask and the mode of the folder are: names and keys of
 * principals lie in them. SQLite gives the files beside a database the mode of the database.
 */
import { closeSync, openSync } from 'node:fs';

const OWNER_ONLY = 0o600;

/** Makes an empty file, which SQLite takes for a new database; one that exists stays as it is. @throws Error of the system */
export function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', OWNER_ONLY));
}
