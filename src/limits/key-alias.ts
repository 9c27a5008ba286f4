/**
 * What keys of limits are called on the disk. Keys name persons, whom the log must be able to forget; so the disk holds
 * keyed digests of them alone. Invariant: a key has one alias as long as the secret is the same, and without the secret
 * no alias tells whether a guessed key is behind it.
 */
import { createHmac } from 'node:crypto';

/** The alias of a key: a short text. */
export type KeyAlias = (key: string) => string;

/** Characters of an alias: 132 bits, so that no two keys ever share one. */
const LENGTH = 22;

/** @param secret at least 32 random bytes */
export function keyedAlias(secret: Uint8Array): KeyAlias {
  return key => createHmac('sha256', secret).update(key).digest('base64url').slice(0, LENGTH);
}

/** Keys as they are, for what never leaves the memory. */
export function plainAlias(key: string): string {
  return key;
}
