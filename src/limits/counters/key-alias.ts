/**
 * What keys of limits are called on the disk. Keys name persons, whom the log must be able to forget; so the disk holds
 * keyed digests of them alone. Invariant: a key has one alias as long as the secret is the same, and without the secret
 * no alias tells whether a guessed key is behind it.
 */
/** The alias of a key: a short text. */
export type KeyAlias = (key: string) => string;

/** Characters of an alias: 132 bits, so that no two keys ever share one. */
const LENGTH = 22;

/** @param mac HMAC-SHA-256 of a text under a secret of at least 32 random bytes, as base64url */
export function keyedAlias(mac: (text: string) => string): KeyAlias {
  return key => mac(key).slice(0, LENGTH);
}

/** Keys as they are, for what never leaves the memory. */
export function plainAlias(key: string): string {
  return key;
}
