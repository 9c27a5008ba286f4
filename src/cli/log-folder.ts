/**
 * A log as a folder of static files: `checkpoint`, `log.vkey`, `tile/…`. Invariants: a file is there whole or not
 * at all, and on the disk before anything that depends on it is written; nothing outside the folder is touched.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, opendir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MAX_ENTRY_BYTES, TILE_WIDTH } from '../decision-log/tiles.ts';
import { messageOf } from '../domain/errors.ts';
import { CliError } from './exit-code.ts';

export const CHECKPOINT_FILE = 'checkpoint';
export const KEY_FILE = 'log.vkey';
/** Index of the first entry of a copy that begins where retention had removed entries; absent in a complete one. */
export const PRUNED_FILE = 'pruned-below';
/** Largest file that is read, in bytes: a full bundle of the longest entries. Anything beyond is no part of a log. */
export const MAX_FILE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);
/** Ending of a file that is being written. A crash can leave one; the next export writes over it. */
const UNFINISHED = '.new';
/** Bytes that are asked for at first of what does not tell its size, such as a pipe. */
const FIRST_READ_BYTES = 65_536;
/** Characters of a folder's name beyond which nothing in it can be a tile: those above it are looked into. */
const MAX_FOLDER_NAME = 64;
/** Writes over a file, never over what a link of that name points to. */
const WRITE_HERE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/**
 * Reads a file that the caller named, or a pipe, whole; undefined when it is not there.
 * @throws CliError when it is too large or cannot be read
 */
export function readWhole(path: string): Promise<Buffer | undefined> {
  return readBounded(path, constants.O_RDONLY, () => undefined);
}

/** Reads a file of a folder that somebody else made: nothing but a file is read, and nothing is waited for. */
function readFile(path: string): Promise<Buffer | undefined> {
  return readBounded(path, constants.O_RDONLY | constants.O_NONBLOCK, isFile => {
    if (!isFile) throw new CliError(`\`${path}\` is no file: a copy of a log has nothing but files`);
  });
}

/** @param check hears whether it is a file before anything is read */
async function readBounded(
  path: string,
  flags: number,
  check: (isFile: boolean) => void,
): Promise<Buffer | undefined> {
  try {
    const file = await open(path, flags);
    try {
      const stat = await file.stat();
      check(stat.isFile());
      if (stat.size > MAX_FILE_BYTES) throw tooLarge(path, `${stat.size}`);
      return await readAll(file, path, stat.size);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    if (isMissing(error)) return undefined;
    throw new CliError(`cannot read \`${path}\`: ${messageOf(error)}`, { cause: error });
  }
}

/** Everything up to the end, which the size that was told need not be. */
async function readAll(file: FileHandle, path: string, size: number): Promise<Buffer> {
  let bytes = Buffer.alloc(Math.max(size + 1, FIRST_READ_BYTES));
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length);
    if (bytesRead === 0) return bytes.subarray(0, length);
    length += bytesRead;
    if (length > MAX_FILE_BYTES) throw tooLarge(path, `more than ${MAX_FILE_BYTES}`);
    if (length === bytes.length) bytes = Buffer.concat([bytes], 2 * length);
  }
}

function tooLarge(path: string, size: string): CliError {
  return new CliError(`\`${path}\` has ${size} bytes: no file of a log is larger than ${MAX_FILE_BYTES}`);
}

export class LogFolder {
  readonly path: string;
  /** Folders in which a name was made that may not be durable yet. */
  readonly #touched = new Set<string>();

  constructor(path: string) {
    this.path = path;
  }

  /** @param name path within the folder, `tile/0/000` */
  read(name: string): Promise<Buffer | undefined> {
    return readFile(join(this.path, name));
  }

  /** Puts a file in place, whole; its name is durable after `flush`. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.path, name);
    try {
      await mkdir(dirname(path), { recursive: true });
      for (let folder = dirname(path); !this.#touched.has(folder); folder = dirname(folder)) {
        this.#touched.add(folder);
        if (folder === this.path || folder === dirname(folder)) break;
      }
      await writeFile(path + UNFINISHED, bytes, { flag: WRITE_HERE, flush: true });
      // The point of no return: before it the name has its former content or none, after it the new one.
      await rename(path + UNFINISHED, path);
    } catch (error) {
      throw new CliError(`cannot write \`${path}\`: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Makes the names of all files that were written durable. */
  async flush(): Promise<void> {
    for (const folder of this.#touched) {
      const handle = await open(folder, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    this.#touched.clear();
  }

  /** Removes a file, and the folder of partial tiles when it was the last one. */
  async remove(name: string): Promise<void> {
    await rm(join(this.path, name), { force: true });
    const folder = dirname(name);
    if (!folder.endsWith('.p')) return;
    try {
      await rmdir(join(this.path, folder));
    } catch {
      // it holds others: they stay
    }
  }

  /** Names of all files below `tile`, in no order, and of folders that are too deep to hold one of a log. */
  async *tileFiles(below = 'tile'): AsyncGenerator<string> {
    try {
      for await (const entry of await opendir(join(this.path, below))) {
        const name = `${below}/${entry.name}`;
        if (entry.isDirectory() && name.length <= MAX_FOLDER_NAME) yield* this.tileFiles(name);
        else if (!name.endsWith(UNFINISHED)) yield name;
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
      if (isMissing(error)) return;
      throw new CliError(`cannot read \`${join(this.path, below)}\`: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** First entry of a copy that retention had overtaken before it was made; 0 for a complete one. */
export async function prunedBelow(folder: LogFolder): Promise<number> {
  const text = (await folder.read(PRUNED_FILE))?.toString('utf8').trim();
  if (text === undefined) return 0;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new CliError(`\`${PRUNED_FILE}\` of the copy does not hold the index of an entry`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
