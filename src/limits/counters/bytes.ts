/**
 * Numbers and texts as bytes, for journals and snapshots of limits. Invariant: what is written is read back exactly;
 * bytes that end too early or hold no such value are refused, never guessed.
 */

const FIRST_BYTES = 4_096;
/** Most bytes of a whole number: 7 bits in each, 53 in all. */
const VARINT_BYTES = 8;
const F64_BYTES = 8;
const U32_BYTES = 4;
/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;
/** Short texts are copied by hand, which is faster than to call for it. */
const SHORT_TEXT = 64;

export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  clear(): void {
    this.#at = 0;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  /** Writes over a byte that was written. */
  patchU8(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  /** A whole number from 0 to 2^53 - 1, in as few bytes as it needs (LEB128). */
  whole(value: number): void {
    this.#room(VARINT_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
  }

  f64(value: number): void {
    this.#room(F64_BYTES);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.whole(length);
    this.#room(value.length * MAX_UTF8);
    if (length === value.length && length <= SHORT_TEXT) {
      for (let at = 0; at < length; at++) this.#bytes[this.#at + at] = value.charCodeAt(at);
      this.#at += length;
    } else {
      this.#at += this.#bytes.write(value, this.#at, 'utf8');
    }
  }

  /** Numbers of 32 bits each, little-endian. */
  words(words: Int32Array): void {
    this.#room(words.length * U32_BYTES);
    for (let at = 0; at < words.length; at++) {
      const word = words[at] ?? 0;
      this.#bytes[this.#at++] = word & 0xff;
      this.#bytes[this.#at++] = (word >>> 8) & 0xff;
      this.#bytes[this.#at++] = (word >>> 16) & 0xff;
      this.#bytes[this.#at++] = word >>> 24;
    }
  }

  /** A copy of everything written since `clear`. */
  take(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.#at);
    copy.set(this.#bytes.subarray(0, this.#at));
    return copy;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Most texts that are known: as many as there may be limits, and then some. */
const MAX_KNOWN = 16_384;
/** Spreads bytes evenly (FNV-1a). */
const FNV_START = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/** Texts that were read before, so that reading one again makes no string. */
export class KnownTexts {
  readonly #known = new Map<number, { readonly bytes: Uint8Array; readonly text: string }>();

  text(bytes: Buffer, start: number, end: number): string {
    let hash = FNV_START;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), FNV_PRIME);
    const known = this.#known.get(hash);
    if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known.text;
    const text = bytes.toString('utf8', start, end);
    // of two texts that meet here, the one that came last is known
    if (this.#known.size < MAX_KNOWN)
      this.#known.set(hash, { bytes: Uint8Array.from(bytes.subarray(start, end)), text });
    return text;
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false;
  return true;
}

export class ByteReader {
  #bytes: Buffer;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = bytes.byteLength;
  }

  /** Bytes that were read. */
  get at(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** @throws Error at the end, as all the others do */
  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined || this.#at >= this.#end) throw tooShort();
    this.#at += 1;
    return value;
  }

  whole(): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < VARINT_BYTES; length++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new Error('the bytes hold a number that is too large');
  }

  f64(): number {
    const value = this.#bytes.readDoubleLE(this.#take(F64_BYTES));
    if (!Number.isFinite(value)) throw new Error('the bytes hold what is no number');
    return value;
  }

  /** 32 bits, little-endian. */
  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(U32_BYTES));
  }

  text(): string {
    return this.characters(this.whole());
  }

  /** A text whose length in bytes was read. */
  characters(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** A text that comes again and again: the one that is known, if it is the same. */
  knownText(known: KnownTexts): string {
    const length = this.whole();
    const start = this.#take(length);
    return known.text(this.#bytes, start, start + length);
  }

  /** Fills in as many numbers of 32 bits, little-endian, as there are. */
  words(words: Int32Array): void {
    let at = this.#take(words.length * U32_BYTES);
    const bytes = this.#bytes;
    for (let word = 0; word < words.length; word++, at += U32_BYTES) words[word] = bytes.readInt32LE(at);
  }

  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#end) throw tooShort();
    this.#at = start + bytes;
    return start;
  }
}

function tooShort(): Error {
  return new Error('the bytes end too early');
}
