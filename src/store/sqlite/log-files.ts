/** Files of the log beside SQLite's own. Invariant: a name that was made, moved or removed stays so after a power cut. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SIDE_FILES } from './log-shard-name.ts';

/** Makes the names in a folder durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Moves a file, which must be flushed, durably. */
export function moveFile(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
  if (dirname(from) !== dirname(to)) syncFolder(dirname(from));
}

/** Removes a database with what SQLite keeps beside it, durably. */
export function removeDatabase(file: string): void {
  // The database last: without it the others mean nothing, and a crash in between leaves it to be removed again.
  for (const suffix of [...SIDE_FILES, '']) rmSync(file + suffix, { force: true });
  syncFolder(dirname(file));
}

/** The same in the background: the file system takes its time for a file of gigabytes. */
export async function removeLargeDatabase(file: string): Promise<void> {
  for (const suffix of [...SIDE_FILES, '']) await rm(file + suffix, { force: true });
  const handle = await open(dirname(file), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
