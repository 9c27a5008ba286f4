/**
 * A batch of leaves as one run of bytes that two threads share, so that nothing is cloned between them. Each
 * frame is three 32-bit lengths (little-endian), the leaf behind its RFC 6962 prefix, ready to be hashed in place,
 * what opens its personal values, if it has any, and its journal, if there is one.
 * The main thread writes, hands over, and does not touch the batch until the writer has answered.
 */
import { LEAF_PREFIX } from '../../decision-log/leaf-hash.ts';
import type { PlainOpening } from '../../decision-log/leaf-privacy.ts';
import { MAX_LEAF_BYTES, refuseLargeLeaf } from '../../decision-log/leaf.ts';
import { AppError } from '../../domain/errors.ts';

/** Most bytes in one batch: what one commit writes, and so how long the slowest answer waits. */
const MAX_BATCH_BYTES = 1_048_576;
/** Most entries in one batch. */
export const MAX_BATCH_ENTRIES = 1_024;
/** Most bytes of the personal values of one entry, with what goes along: as many as a leaf may have. */
const MAX_OPENING_BYTES = 61_440;
/** Most bytes of the journal of one entry: a hundred charges, each with a key of half a kilobyte. */
const MAX_JOURNAL_BYTES = 65_536;

const LENGTH_BYTES = 4;
const HEADER_BYTES = 3 * LENGTH_BYTES;
const FRAME_BYTES = HEADER_BYTES + 1;
/** Most bytes of one entry in a batch. */
export const MAX_FRAME_BYTES = FRAME_BYTES + MAX_LEAF_BYTES + MAX_OPENING_BYTES + MAX_JOURNAL_BYTES;
/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;
/** Bytes of a subject's key, in front of an opening. */
const KEY_BYTES = 32;
/** Between the texts of an opening; none of them holds it. */
const SEPARATOR = '\n';

/** A leaf on its way into the log. */
export interface LeafFrame {
  /** LEAF_PREFIX and the leaf. */
  readonly prefixed: Uint8Array;
  readonly opening: PlainOpening | undefined;
  /** What the entry changed beside the log; see `DecisionLog.append`. */
  readonly journal: Uint8Array | undefined;
}

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
   * @throws AppError INVALID_REQUEST when the leaf is longer than MAX_LEAF_BYTES, or its opening or journal too long
   */
  add(text: string, opening: PlainOpening | undefined, journal?: Uint8Array): boolean {
    const start = this.usedBytes + FRAME_BYTES;
    const openingBytes = opening === undefined ? 0 : packedLength(opening);
    const journalBytes = journal?.length ?? 0;
    if (journalBytes > MAX_JOURNAL_BYTES) refuseLargeJournal();
    const room = MAX_BATCH_BYTES - start - openingBytes - journalBytes;
    if (text.length > MAX_LEAF_BYTES) refuseLargeLeaf();
    if (this.entryCount >= MAX_BATCH_ENTRIES) return false;
    if (text.length * MAX_UTF8 > room && Buffer.byteLength(text) > room) return false;
    const length = this.bytes.write(text, start);
    if (length > MAX_LEAF_BYTES) refuseLargeLeaf();
    this.bytes.writeUInt32LE(length + 1, this.usedBytes);
    this.bytes.writeUInt32LE(openingBytes, this.usedBytes + LENGTH_BYTES);
    this.bytes.writeUInt32LE(journalBytes, this.usedBytes + 2 * LENGTH_BYTES);
    this.bytes[start - 1] = LEAF_PREFIX;
    if (opening !== undefined) packOpening(opening, this.bytes, start + length);
    if (journal !== undefined) this.bytes.set(journal, start + length + openingBytes);
    this.usedBytes = start + length + openingBytes + journalBytes;
    this.entryCount++;
    return true;
  }

  clear(): void {
    this.usedBytes = 0;
    this.entryCount = 0;
  }
}

/** The reading side: each leaf in order, as views of the batch. */
export function* leafFrames(shared: SharedArrayBuffer, used: number): Generator<LeafFrame> {
  const bytes = Buffer.from(shared, 0, used);
  for (let at = 0; at < used; ) {
    const start = at + HEADER_BYTES;
    const end = start + bytes.readUInt32LE(at);
    const openingBytes = bytes.readUInt32LE(at + LENGTH_BYTES);
    const journalBytes = bytes.readUInt32LE(at + 2 * LENGTH_BYTES);
    const opening = openingBytes === 0 ? undefined : unpackOpening(bytes.subarray(end, end + openingBytes));
    at = end + openingBytes + journalBytes;
    const journal = journalBytes === 0 ? undefined : bytes.subarray(at - journalBytes, at);
    yield { prefixed: bytes.subarray(start, end), opening, journal };
  }
}

/** One leaf that is made in the writer's thread itself. */
export function frameOf(text: string): LeafFrame {
  const prefixed = Buffer.concat([Buffer.of(LEAF_PREFIX), Buffer.from(text)]);
  return { prefixed, opening: undefined, journal: undefined };
}

function refuseLargeJournal(): never {
  throw new AppError(
    'INVALID_REQUEST',
    `what limits count for the request would take more than ${MAX_JOURNAL_BYTES} bytes in the decision log`,
    { problems: [{ message: 'too many limits match it', hint: 'declare fewer limits for such requests' }] },
  );
}

/** Its texts are ASCII: a pseudonym, an id, base64url. */
function packedLength({ subject, decisionId, disclosures }: PlainOpening): number {
  if (subject.key.length !== KEY_BYTES) throw new Error('the key of a subject is 32 bytes');
  const length = KEY_BYTES + subject.pseudonym.length + decisionId.length + disclosures.length + 2;
  if (length <= MAX_OPENING_BYTES) return length;
  throw new AppError(
    'INVALID_REQUEST',
    `the personal values of the entry would take more than ${MAX_OPENING_BYTES} bytes in the decision log`,
    {
      problems: [{ message: `they are at most ${MAX_OPENING_BYTES} bytes`, hint: 'send a smaller context' }],
    },
  );
}

function packOpening({ subject, decisionId, disclosures }: PlainOpening, bytes: Buffer, start: number): void {
  bytes.set(subject.key, start);
  const texts = `${subject.pseudonym}${SEPARATOR}${decisionId}${SEPARATOR}${disclosures}`;
  bytes.write(texts, start + KEY_BYTES, 'latin1');
}

function unpackOpening(packed: Buffer): PlainOpening {
  const [pseudonym = '', decisionId = '', disclosures = ''] = packed
    .toString('latin1', KEY_BYTES)
    .split(SEPARATOR);
  // A copy: the batch is used again.
  const key = new Uint8Array(packed.subarray(0, KEY_BYTES));
  return { subject: { pseudonym, key }, decisionId, disclosures };
}
