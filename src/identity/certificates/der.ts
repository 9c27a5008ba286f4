/**
 * A reader of DER (ITU-T X.690 §10–11), as far as certificates need it. Invariant: it accepts one encoding of each
 * value, the canonical one; what BER would also allow (indefinite or padded lengths, trailing bytes) is an error, so
 * that nobody can show one thing to OpenSSL and another to us.
 */
import { timestamp } from '../../domain/clock.ts';
import { CertificateError } from './certificate-error.ts';

/** Tags that certificates use (X.690 §8.1.2), with the constructed bit where it belongs. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag of `[number]` with a constructed content. */
export const constructedTag = (number: number): number => 0xa0 + number;
/** The tag of `[number]` with a primitive content. */
export const primitiveTag = (number: number): number => 0x80 + number;

/** One value: its tag, what is in it, and the whole of it. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Reads values one after the other. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next value; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** @param tag that the value must have; absent: any. @throws CertificateError */
  next(tag?: number): DerElement {
    const start = this.#at;
    const found = this.#byte();
    if (tag !== undefined && found !== tag) {
      throw new CertificateError(`a value has the tag ${hex(found)} where ${hex(tag)} is expected`);
    }
    if ((found & 0x1f) === 0x1f) throw new CertificateError('a tag has more than one byte');
    const length = this.#length();
    const from = this.#at;
    if (from + length > this.#bytes.length) throw new CertificateError('a value is cut off');
    this.#at = from + length;
    return {
      tag: found,
      content: this.#bytes.subarray(from, this.#at),
      bytes: this.#bytes.subarray(start, this.#at),
    };
  }

  /** The next value if it has this tag. */
  optional(tag: number): DerElement | undefined {
    return this.tag === tag ? this.next() : undefined;
  }

  /** A reader of what is in the next value. */
  inside(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }

  /** @throws CertificateError when something is left. */
  end(): void {
    if (!this.isAtEnd) throw new CertificateError('there are bytes behind the last value');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new CertificateError('a value is cut off');
    this.#at += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new CertificateError('a length is indefinite or too large');
    let length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte();
    const isMinimal = length >= 0x80 && length >= 256 ** (count - 1);
    if (!isMinimal) throw new CertificateError('a length is not written in its shortest form');
    return length;
  }
}

/** Reads the one value that the bytes hold. @throws CertificateError */
export function readWhole(bytes: Uint8Array, tag: number): DerReader {
  const reader = new DerReader(bytes);
  const inside = reader.inside(tag);
  reader.end();
  return inside;
}

/** `2.5.29.17` */
export function readObjectId(content: Uint8Array): string {
  const parts: number[] = [];
  let value = 0;
  let isFresh = true;
  for (const byte of content) {
    if (isFresh && byte === 0x80) throw new CertificateError('an object identifier is padded');
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER / 128)
      throw new CertificateError('an object identifier is too large');
    isFresh = byte < 0x80;
    if (!isFresh) continue;
    if (parts.length === 0) {
      const first = Math.min(Math.floor(value / 40), 2);
      parts.push(first, value - first * 40);
    } else parts.push(value);
    value = 0;
  }
  if (!isFresh || parts.length === 0) throw new CertificateError('an object identifier is cut off');
  return parts.join('.');
}

/** A positive integer as upper-case hex without leading zeros, as OpenSSL prints serial numbers. */
export function readSerial(content: Uint8Array): string {
  checkInteger(content);
  if ((content[0] ?? 0) >= 0x80) throw new CertificateError('a serial number is negative');
  const text = Buffer.from(content).toString('hex').toUpperCase().replace(/^0+/, '');
  return text === '' ? '0' : text.length % 2 === 1 ? `0${text}` : text;
}

/** A small non-negative integer. */
export function readSmallInteger(content: Uint8Array): number {
  checkInteger(content);
  if (content.length > 4 || (content[0] ?? 0) >= 0x80)
    throw new CertificateError('an integer is out of range');
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

function checkInteger(content: Uint8Array): void {
  const [first, second] = content;
  if (first === undefined) throw new CertificateError('an integer is empty');
  if (second === undefined) return;
  const isPadded = (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
  if (isPadded) throw new CertificateError('an integer is padded');
}

/** DER knows two booleans: 00 and FF (X.690 §11.1). */
export function readBoolean(content: Uint8Array): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw new CertificateError('a boolean is neither 00 nor FF');
  }
  return content[0] === 0xff;
}

/** The bits of a named bit list, the first at index 0 (X.690 §11.2: no trailing zero bits). */
export function readBits(content: Uint8Array): readonly boolean[] {
  const [unused, ...bytes] = content;
  if (unused === undefined || unused > 7 || (bytes.length === 0 && unused !== 0)) {
    throw new CertificateError('a bit string is malformed');
  }
  const last = bytes.at(-1);
  if (last !== undefined && ((last >> unused) & 1) === 0) {
    throw new CertificateError('a bit string is not written in its shortest form');
  }
  if (last !== undefined && (last & ((1 << unused) - 1)) !== 0) {
    throw new CertificateError('a bit string has padding that is not zero');
  }
  return bytes.flatMap(byte => [7, 6, 5, 4, 3, 2, 1, 0].map(bit => ((byte >> bit) & 1) === 1));
}

/** The bytes of a bit string that holds whole bytes, such as a signature. */
export function readBitBytes(content: Uint8Array): Uint8Array {
  if (content[0] !== 0) throw new CertificateError('a bit string does not hold whole bytes');
  return content.subarray(1);
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** Milliseconds since the epoch, as RFC 5280 §4.1.2.5 writes times: to the second, in UTC. */
export function readTime({ tag, content }: DerElement): number {
  const text = Buffer.from(content).toString('latin1');
  const match = tag === TAG.utcTime ? UTC_TIME.exec(text) : GENERALIZED_TIME.exec(text);
  if ((tag !== TAG.utcTime && tag !== TAG.generalizedTime) || match === null) {
    throw new CertificateError('a time is not written as RFC 5280 writes it');
  }
  const [given = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const year = tag === TAG.utcTime ? given + (given >= 50 ? 1900 : 2000) : given;
  const iso = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}.000Z`;
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  // the year 0 to 99 and days such as 31 February would be read as others
  if (timestamp(time) !== iso) throw new CertificateError('a time does not exist');
  return time;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0').toUpperCase();
}
