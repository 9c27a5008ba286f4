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

/** A key that is used more than once. */
export class HmacKey {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** @param key at most 64 bytes */
  constructor(key: Uint8Array) {
    if (key.length > BLOCK_BYTES) throw new RangeError('a key longer than a block has to be hashed first');
    this.#inner = Buffer.alloc(BLOCK_BYTES, INNER);
    this.#outer = Buffer.alloc(BLOCK_BYTES, OUTER);
    for (const [at, byte] of key.entries()) {
      this.#inner[at] = byte ^ INNER;
      this.#outer[at] = byte ^ OUTER;
    }
  }

  /** The MAC of a text's UTF-8 bytes: 32 bytes. */
  mac(text: string): Buffer {
    const inner = hash('sha256', Buffer.concat([this.#inner, Buffer.from(text)]), 'buffer');
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'buffer');
  }
}
