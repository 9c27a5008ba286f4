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
    const length = this.whole();
    const start = this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
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
