/**
 * A batch of leaves as one run of bytes that two threads share, so that nothing is cloned between them. Each
 * frame is three 32-bit lengths (little-endian), the leaf behind its RFC 6962 prefix, to be completed and hashed in
 * place, what has to be put into its blanks, if it has any (texts, then keys, then which keys), and its journal.
 * The main thread writes, hands over, and does not touch the batch until the writer has answered.
 */
import { LEAF_PREFIX } from '../../decision-log/leaf-hash.ts';
import type { LateValues } from '../../decision-log/late-values.ts';
import { MAX_LEAF_BYTES, refuseLargeLeaf } from '../../decision-log/leaf.ts';
import { AppError } from '../../domain/errors.ts';

/** Most bytes in one batch: what one commit writes, and so how long the slowest answer waits. */
const MAX_BATCH_BYTES = 1_048_576;
/** Most entries in one batch. */
export const MAX_BATCH_ENTRIES = 1_024;
/** Most bytes of the personal values of one entry, with what goes along: as many as a leaf may have. */
const MAX_LATE_BYTES = 61_440;
/** Most bytes of the journal of one entry: a hundred charges, each with a key of half a kilobyte. */
const MAX_JOURNAL_BYTES = 65_536;

const LENGTH_BYTES = 4;
const HEADER_BYTES = 3 * LENGTH_BYTES;
const FRAME_BYTES = HEADER_BYTES + 1;
/** Most bytes of one entry in a batch. */
export const MAX_FRAME_BYTES = FRAME_BYTES + MAX_LEAF_BYTES + MAX_LATE_BYTES + MAX_JOURNAL_BYTES;
/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;
/** Bytes of the key of a subject, and of a MAC. */
const KEY_BYTES = 32;
/** Which keys stand behind the texts of late values: a last byte tells. */
const HAS_SUBJECT = 1;
const HAS_MAC = 2;
/** Between those texts: JSON escapes it, and no id holds it. */
const SEPARATOR = '\n';

/** A leaf on its way into the log. */
export interface LeafFrame {
  /** LEAF_PREFIX and the leaf. */
  readonly prefixed: Buffer;
  readonly late: LateValues | undefined;
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
   * @throws AppError INVALID_REQUEST when the leaf is longer than MAX_LEAF_BYTES, or its late values or journal too long
   */
  add(text: string, late: LateValues | undefined, journal?: Uint8Array): boolean {
    const start = this.usedBytes + FRAME_BYTES;
    const lateText = late === undefined ? '' : textOf(late);
    const keyBytes = late === undefined ? 0 : keyBytesOf(late);
    const journalBytes = journal?.length ?? 0;
    if (journalBytes > MAX_JOURNAL_BYTES) refuseLargeJournal();
    if (text.length > MAX_LEAF_BYTES) refuseLargeLeaf();
    if (lateText.length + keyBytes > MAX_LATE_BYTES) refuseLargeValues();
    const room = MAX_BATCH_BYTES - start - keyBytes - journalBytes;
    if (this.entryCount >= MAX_BATCH_ENTRIES) return false;
    const written = text + lateText;
    if (written.length * MAX_UTF8 > room && Buffer.byteLength(written) > room) return false;
    const size = this.bytes.write(written, start);
    // text of ASCII alone has a byte for each of its units
    const length = size === written.length ? text.length : Buffer.byteLength(text);
    const lateBytes = size - length + keyBytes;
    if (length > MAX_LEAF_BYTES) refuseLargeLeaf();
    if (lateBytes > MAX_LATE_BYTES) refuseLargeValues();
    this.bytes.writeUInt32LE(length + 1, this.usedBytes);
    this.bytes.writeUInt32LE(lateBytes, this.usedBytes + LENGTH_BYTES);
    this.bytes.writeUInt32LE(journalBytes, this.usedBytes + 2 * LENGTH_BYTES);
    this.bytes[start - 1] = LEAF_PREFIX;
    if (late !== undefined) packKeys(late, this.bytes, start + size);
    if (journal !== undefined) this.bytes.set(journal, start + length + lateBytes);
    this.usedBytes = start + length + lateBytes + journalBytes;
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
    const lateBytes = bytes.readUInt32LE(at + LENGTH_BYTES);
    const journalBytes = bytes.readUInt32LE(at + 2 * LENGTH_BYTES);
    const late = lateBytes === 0 ? undefined : unpack(bytes.subarray(end, end + lateBytes));
    at = end + lateBytes + journalBytes;
    const journal = journalBytes === 0 ? undefined : bytes.subarray(at - journalBytes, at);
    yield { prefixed: bytes.subarray(start, end), late, journal };
  }
}

/** One leaf that is made in the writer's thread itself. */
export function frameOf(text: string): LeafFrame {
  const prefixed = Buffer.concat([Buffer.of(LEAF_PREFIX), Buffer.from(text)]);
  return { prefixed, late: undefined, journal: undefined };
}

function refuseLargeJournal(): never {
  throw new AppError(
    'INVALID_REQUEST',
    `what limits count for the request would take more than ${MAX_JOURNAL_BYTES} bytes in the decision log`,
    { problems: [{ message: 'too many limits match it', hint: 'declare fewer limits for such requests' }] },
  );
}

/** The texts of late values: two ids, the message of the MAC, and the claims. */
function textOf({ claims, decisionId, mac, subject }: LateValues): string {
  if (mac?.message.includes(SEPARATOR) === true) throw new Error('the message of a MAC has a line break');
  let text = `${decisionId}${SEPARATOR}${subject?.pseudonym ?? ''}${SEPARATOR}${mac?.message ?? ''}`;
  for (const claim of claims) text += SEPARATOR + claim;
  return text;
}

/** Bytes of the keys of late values, and of what tells which they are. */
function keyBytesOf({ mac, subject }: LateValues): number {
  for (const key of [mac?.key, subject?.key]) {
    if (key !== undefined && key.length !== KEY_BYTES) throw new Error('a key of late values is 32 bytes');
  }
  return (subject === undefined ? 0 : KEY_BYTES) + (mac === undefined ? 0 : KEY_BYTES) + 1;
}

function refuseLargeValues(): never {
  throw new AppError(
    'INVALID_REQUEST',
    `the personal values of the entry would take more than ${MAX_LATE_BYTES} bytes in the decision log`,
    {
      problems: [{ message: `they are at most ${MAX_LATE_BYTES} bytes`, hint: 'send a smaller context' }],
    },
  );
}

function packKeys({ mac, subject }: LateValues, bytes: Buffer, start: number): void {
  let at = start;
  if (subject !== undefined) {
    bytes.set(subject.key, at);
    at += KEY_BYTES;
  }
  if (mac !== undefined) {
    bytes.set(mac.key, at);
    at += KEY_BYTES;
  }
  bytes[at] = (subject === undefined ? 0 : HAS_SUBJECT) | (mac === undefined ? 0 : HAS_MAC);
}

/** Its keys are views of the batch, to be used before the next one comes. */
function unpack(packed: Buffer): LateValues {
  let end = packed.length - 1;
  const flags = packed[end] ?? 0;
  const keyIf = (flag: number): Uint8Array | undefined => {
    if ((flags & flag) === 0) return undefined;
    end -= KEY_BYTES;
    return packed.subarray(end, end + KEY_BYTES);
  };
  const macKey = keyIf(HAS_MAC);
  const subjectKey = keyIf(HAS_SUBJECT);
  const [decisionId = '', pseudonym = '', message = '', ...claims] = packed
    .toString('utf8', 0, end)
    .split(SEPARATOR);
  return {
    decisionId,
    subject: subjectKey === undefined ? undefined : { pseudonym, key: subjectKey },
    claims,
    mac: macKey === undefined ? undefined : { key: macKey, message },
  };
}
