/**
 * What keys of limits are called on the disk. Keys name persons, whom the log must be able to forget; so the disk holds
 * keyed digests of them alone. Invariant: a key has one alias as long as the secret is the same, and without the secret
 * no alias tells whether a guessed key is behind it.
 */
import { WORDS } from './word-index.ts';

/** Fills in the alias of a key: 128 bits, in four words. */
export type KeyAlias = (key: string, alias: Int32Array) => void;

const WORD_BYTES = 4;

/** @param mac HMAC-SHA-256 of a text under a secret of at least 32 random bytes, a character for each byte */
export function keyedAlias(mac: (text: string) => string): KeyAlias {
  return (key, alias) => {
    const bytes = mac(key);
    for (let word = 0; word < WORDS; word++) {
      const at = word * WORD_BYTES;
      alias[word] =
        bytes.charCodeAt(at) |
        (bytes.charCodeAt(at + 1) << 8) |
        (bytes.charCodeAt(at + 2) << 16) |
        (bytes.charCodeAt(at + 3) << 24);
    }
  };
}

/** For what never leaves the memory: four hashes (FNV-1a, each with a start of its own) tell keys apart there. */
export function plainAlias(key: string, alias: Int32Array): void {
  let word0 = 0x811c_9dc5;
  let word1 = 0x1b87_3593;
  let word2 = 0x9e37_79b9;
  let word3 = 0x85eb_ca6b;
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    word0 = Math.imul(word0 ^ code, 0x0100_0193);
    word1 = Math.imul(word1 ^ (code + at), 0x0100_0193);
    word2 = Math.imul(word2 ^ (word0 >>> 15), 0x0100_0193);
    word3 = Math.imul(word3 ^ (word1 >>> 13), 0x0100_0193);
  }
  alias[0] = word0;
  alias[1] = word1;
  alias[2] = word2;
  alias[3] = word3;
}
