/**
 * A batch of leaves as one run of bytes that two threads share, so that nothing is cloned between them. Each
 * frame is a 32-bit length (little-endian) and the leaf behind its RFC 6962 prefix, ready to be hashed in place.
 * The main thread writes, hands over, and does not touch the batch until the writer has answered.
 */
import { LEAF_PREFIX } from '../../decision-log/leaf-hash.ts';
import { MAX_LEAF_BYTES, refuseLargeLeaf } from '../../decision-log/leaf.ts';

/** Most bytes in one batch: what one commit writes, and so how long the slowest answer waits. */
const MAX_BATCH_BYTES = 1_048_576;
/** Most entries in one batch. */
const MAX_BATCH_ENTRIES = 1_024;

const LENGTH_BYTES = 4;
const FRAME_BYTES = LENGTH_BYTES + 1;
/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;

/** The writing side. */
export class LeafBatch {
  readonly shared: SharedArrayBuffer;
  private readonly bytes: Buffer;
  private usedBytes = 0;
  private entryCount = 0;

  constructor() {
    this.shared = new SharedArrayBuffer(MAX_BATCH_BYTES);
    this.bytes = Buffer.from(this.shared);
  }

  get used(): number {
    return this.usedBytes;
  }

  get count(): number {
    return this.entryCount;
  }

  /**
   * Adds a leaf. False when it does not fit any more; an empty batch takes every leaf.
   * @throws AppError INVALID_REQUEST when the leaf is longer than MAX_LEAF_BYTES
   */
  add(text: string): boolean {
    const start = this.usedBytes + FRAME_BYTES;
    const room = MAX_BATCH_BYTES - start;
    if (text.length > MAX_LEAF_BYTES) refuseLargeLeaf();
    if (this.entryCount >= MAX_BATCH_ENTRIES) return false;
    if (text.length * MAX_UTF8 > room && Buffer.byteLength(text) > room) return false;
    const length = this.bytes.write(text, start);
    if (length > MAX_LEAF_BYTES) refuseLargeLeaf();
    this.bytes.writeUInt32LE(length + 1, this.usedBytes);
    this.bytes[start - 1] = LEAF_PREFIX;
    this.usedBytes = start + length;
    this.entryCount++;
    return true;
  }

  clear(): void {
    this.usedBytes = 0;
    this.entryCount = 0;
  }
}

/** The reading side: each leaf with its prefix, in order, as views of the batch. */
export function* prefixedLeaves(shared: SharedArrayBuffer, used: number): Generator<Buffer> {
  const bytes = Buffer.from(shared, 0, used);
  for (let at = 0; at < used; ) {
    const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    yield bytes.subarray(at + LENGTH_BYTES, end);
    at = end;
  }
}
