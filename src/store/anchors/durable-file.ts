/**
 * Small files that are replaced as a whole. Invariant: after a crash at any instant a file has its former or its new
 * content, never part of one; what was written is on the disk when the promise resolves.
 */
import { mkdir, open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Readable for auditors, writable for the service. */
const FILE_MODE = 0o644;

/**
 * The text of a file; undefined when there is none.
 * Rejects when it cannot be read, is not a regular file, or has more than `maxBytes`.
 */
export async function readSmallFile(file: string, maxBytes: number): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error(`\`${file}\` is not a file`);
    if (found.size > maxBytes)
      throw new Error(`\`${file}\` has ${found.size} bytes, at most ${maxBytes} are read`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Replaces a file. Its folder must exist. Gives up before the replacement when the signal says so. */
export async function replaceFile(file: string, text: string, signal?: AbortSignal): Promise<void> {
  const folder = dirname(file);
  const draft = join(folder, `.${basename(file)}.new`);
  const handle = await open(draft, 'w', FILE_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  signal?.throwIfAborted();
  // The point of no return: readers see the new content from here. A crash before the next line may bring the
  // former content back, which is why nobody hears of success before it.
  await rename(draft, file);
  await flushFolder(folder);
}

/** Makes a folder and those above it, down from `root`, which must exist; each is on the disk afterwards. */
export async function makeFolder(root: string, ...below: readonly string[]): Promise<string> {
  let folder = root;
  for (const name of below) {
    const parent = folder;
    folder = join(parent, name);
    try {
      await mkdir(folder);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      continue;
    }
    await flushFolder(parent);
  }
  return folder;
}

/** Makes names that were added to a folder durable. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
