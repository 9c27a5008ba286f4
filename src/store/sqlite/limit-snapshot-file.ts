/**
 * The file with what limits had counted at some size of the log, so that a start reads only the journals since. It can
 * be deleted at any time: then every journal that is kept is read. Invariant: a file under its name is complete, on the
 * disk, and about the very log that it says; anything else is refused.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ByteReader, ByteWriter } from '../../limits/counters/bytes.ts';
import { moveFile } from './log-files.ts';

/** Within the data folder. */
export const SNAPSHOT_FILE = 'limits.snapshot';
const DRAFT_SUFFIX = '.new';
const FORMAT = 'duramen limits 1';
const LENGTH_BYTES = 4;
const HASH_BYTES = 32;
/** Most bytes of a chunk: some times what the writer puts into one. */
const MAX_CHUNK_BYTES = 16_777_216;

/** What a snapshot is about. */
export interface SnapshotHead {
  /** Name of the log. */
  readonly origin: string;
  /** The journals of batches whose first entry has a lower index are in it. */
  readonly size: number;
  /** RFC 6962 hash of the entry before, hex: a log that was replaced since has another one. */
  readonly leafHash: string;
}

/** Writes a snapshot in the place of the last one. @throws Error when it cannot; the last one is still there then */
export function writeSnapshot(folder: string, head: SnapshotHead, chunks: Iterable<Uint8Array>): void {
  const file = join(folder, SNAPSHOT_FILE);
  const draft = file + DRAFT_SUFFIX;
  rmSync(draft, { force: true });
  const handle = openSync(draft, 'wx', 0o600);
  try {
    const bytes = new ByteWriter();
    bytes.text(FORMAT);
    bytes.text(head.origin);
    bytes.whole(head.size);
    bytes.text(head.leafHash);
    writeChunk(handle, bytes.take());
    for (const chunk of chunks) writeChunk(handle, chunk);
    // An empty chunk: the end. A file without it was cut off.
    writeChunk(handle, new Uint8Array());
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  // The point of no return: from here on a start begins with this snapshot. A crash before it leaves a draft, which
  // nobody reads.
  moveFile(draft, file);
}

/** A snapshot that is read; close it. */
export class SnapshotFile {
  readonly head: SnapshotHead;
  readonly #handle: number;
  #at = 0;

  private constructor(handle: number) {
    this.#handle = handle;
    const bytes = new ByteReader(this.#next());
    const format = bytes.text();
    if (format !== FORMAT) throw new Error(`its format is \`${format}\`, not \`${FORMAT}\``);
    this.head = { origin: bytes.text(), size: bytes.whole(), leafHash: bytes.text() };
  }

  /** Undefined when there is none. @throws Error when it is damaged or of another version */
  static open(folder: string): SnapshotFile | undefined {
    const handle = openIfThere(join(folder, SNAPSHOT_FILE));
    if (handle === undefined) return undefined;
    try {
      return new SnapshotFile(handle);
    } catch (error) {
      closeSync(handle);
      throw error;
    }
  }

  /** Its chunks, each as it was written. @throws Error when one of them is not, or some are missing at the end */
  *chunks(): Generator<Uint8Array> {
    for (let chunk = this.#next(); chunk.length > 0; chunk = this.#next()) yield chunk;
  }

  close(): void {
    closeSync(this.#handle);
  }

  #next(): Uint8Array {
    const frame = this.#read(LENGTH_BYTES + HASH_BYTES);
    const length = frame.readUInt32LE(0);
    if (length > MAX_CHUNK_BYTES) throw new Error('a chunk of it is too long');
    const chunk = this.#read(length);
    if (!hashOf(chunk).equals(frame.subarray(LENGTH_BYTES))) throw new Error('a chunk of it was changed');
    return chunk;
  }

  #read(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#handle, bytes, done, length - done, this.#at);
      if (count === 0) throw new Error('it ends too early');
      done += count;
      this.#at += count;
    }
    return bytes;
  }
}

function writeChunk(handle: number, chunk: Uint8Array): void {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(chunk.length);
  for (const bytes of [length, hashOf(chunk), chunk]) {
    for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done);
  }
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
