/**
 * Keyed hashes of API keys. Invariant: comparison time does not depend on the content of either side, and a
 * reader of the store, who lacks the pepper, can neither verify a guess nor mint a key.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

/** Bytes of HMAC-SHA-256. */
export const HASH_BYTES = 32;

/** Hashes keys under the server's pepper. A fast hash suffices: the secrets have 256 bits, not a word's worth. */
export class KeyHasher {
  readonly #pepper: KeyObject;

  /** @param pepper at least 32 bytes, kept outside the store. */
  constructor(pepper: Uint8Array) {
    if (pepper.length < HASH_BYTES) throw new Error(`the pepper has fewer than ${HASH_BYTES} bytes`);
    this.#pepper = createSecretKey(pepper);
  }

  hash(token: string): Buffer {
    return createHmac('sha256', this.#pepper).update(token, 'utf8').digest();
  }
}

/** Whether two hashes are equal, in constant time. */
export function sameHash(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
