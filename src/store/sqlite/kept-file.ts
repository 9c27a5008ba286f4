/**
 * Notices that an open database is no longer what its name stands for: somebody removed it, moved it, or put another
 * file in its place. Writing goes on without an error then, into a file that nobody finds again. Invariant: what is
 * checked beside a commit, before its answer, goes into the file that the next start opens.
 */
import { statSync } from 'node:fs';

export class KeptDatabase {
  readonly #file: string;
  readonly #identity: string | undefined;
  #wal: string | undefined;

  /** @param file of a database in WAL mode that was opened just now */
  constructor(file: string) {
    this.#file = file;
    this.#identity = identityOf(file);
    this.#wal = identityOf(walOf(file));
  }

  /** @throws Error that names what is gone */
  requireInPlace(): void {
    const file = this.#file;
    if (identityOf(file) !== this.#identity) refuse(file);
    const wal = identityOf(walOf(file));
    // it is made with the first write, and stays as long as the database is open
    this.#wal ??= wal;
    if (wal !== this.#wal) refuse(walOf(file));
  }
}

function walOf(file: string): string {
  return `${file}-wal`;
}

/** Device and inode; undefined: there is no such file. */
function identityOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

function refuse(file: string): never {
  throw new Error(`\`${file}\` was removed or replaced while it was in use`);
}
