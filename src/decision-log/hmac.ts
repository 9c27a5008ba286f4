/**
 * HMAC-SHA-256 (RFC 2104, FIPS 198-1) over two one-shot hashes. An entry may need several, and Node's `createHmac`
 * makes a native object for each, which costs twenty times as much as the hashing; the tests hold both equal.
 */
import { hash } from 'node:crypto';

/** Block of SHA-256 in bytes. */
const BLOCK_BYTES = 64;
const INNER = 0x36;
const OUTER = 0x5c;
/** Bytes of a MAC. */
export const MAC_BYTES = 32;

/** Room for messages that need no buffer of their own, in bytes. */
const SHORT_BYTES = 448;
/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;

/** A MAC as a string, which the one-shot hash makes faster than a buffer: one character for each byte, or base64url. */
export type MacEncoding = 'binary' | 'base64url';

/** A key, ready to be used more than once. */
export class HmacKey {
  readonly #inner: Buffer;
  readonly #outer: Buffer;
  /** Beginnings of `#inner` by their length: to make one costs as much as to hash it. */
  readonly #views: (Buffer | undefined)[] = [];

  /** @param key at most 64 bytes */
  constructor(key: Uint8Array) {
    this.#inner = Buffer.allocUnsafe(BLOCK_BYTES + SHORT_BYTES);
    this.#outer = Buffer.allocUnsafe(BLOCK_BYTES + MAC_BYTES);
    this.rekey(key);
  }

  /**
   * Puts another key in the place of this one: cheaper than a new object where a key is used once.
   * @param key at most 64 bytes
   */
  rekey(key: Uint8Array): void {
    if (key.length > BLOCK_BYTES) throw new RangeError('a key longer than a block has to be hashed first');
    for (let at = 0; at < BLOCK_BYTES; at += 1) {
      const byte = key[at] ?? 0;
      this.#inner[at] = byte ^ INNER;
      this.#outer[at] = byte ^ OUTER;
    }
  }

  /** The MAC of a text's UTF-8 bytes. */
  mac(text: string, encoding: MacEncoding): string {
    this.#outer.write(this.#innerHash(text), BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#outer, encoding);
  }

  #innerHash(text: string): string {
    if (text.length * MAX_UTF8 <= SHORT_BYTES) {
      const end = BLOCK_BYTES + this.#inner.write(text, BLOCK_BYTES);
      return hash('sha256', (this.#views[end] ??= this.#inner.subarray(0, end)), 'binary');
    }
    const block = this.#inner.subarray(0, BLOCK_BYTES);
    return hash('sha256', Buffer.concat([block, Buffer.from(text)]), 'binary');
  }
}
