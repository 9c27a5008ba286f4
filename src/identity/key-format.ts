/**
 * The text of an API key: `dmn_<id>_<secret><checksum>`, all base62; keys of end callers begin with `dmc_`.
 * Invariants: the secret holds at least 256 bits of randomness; a typo is told from a wrong key without looking
 * anything up; no secret in the id; no key of one kind reads as one of the other.
 */

/** First characters of every key, for people and for secret scanners: `dmn` of gateways and administrators, `dmc` of callers. */
export type KeyPrefix = 'dmn' | 'dmc';
/** 16 characters of base62 are 95 bits: ids do not collide by chance. */
const KEY_ID_LENGTH = 16;
/** Behind a prefix and its underscore. */
const ID_START = 4;
/** 43 characters of base62 are 256.03 bits. */
const KEY_SECRET_LENGTH = 43;
/** 6 characters of base62 hold the 32 bits of a CRC. */
const CHECKSUM_LENGTH = 6;

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = ALPHABET.length;
/** Bytes from here on would favour the first letters: 248 is the greatest multiple of 62 below 256. */
const REJECT_FROM = 248;
const KEY_PATTERNS: Readonly<Record<KeyPrefix, RegExp>> = {
  dmn: /^dmn_([0-9A-Za-z]{16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/,
  dmc: /^dmc_([0-9A-Za-z]{16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/,
};

/** Bytes of a cryptographically secure source. */
export type RandomBytes = (size: number) => Uint8Array;

export interface NewKey {
  readonly id: string;
  /** The whole key, shown once. */
  readonly token: string;
}

/** Makes a key. */
export function makeKey(random: RandomBytes, prefix: KeyPrefix = 'dmn'): NewKey {
  const id = randomText(random, KEY_ID_LENGTH);
  const body = `${prefix}_${id}_${randomText(random, KEY_SECRET_LENGTH)}`;
  return { id, token: body + checksum(body) };
}

/** What the text of a presented key says about itself. */
export type KeyReading =
  | { readonly kind: 'key'; readonly id: string }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'checksum' };

/** Reads a key without knowing any. */
export function readKey(token: string, prefix: KeyPrefix = 'dmn'): KeyReading {
  const match = KEY_PATTERNS[prefix].exec(token);
  const id = match?.[1];
  if (id === undefined) return { kind: 'malformed' };
  const body = token.slice(0, -CHECKSUM_LENGTH);
  return checksum(body) === match?.[3] ? { kind: 'key', id } : { kind: 'checksum' };
}

/** Where a key has its id, of any text of its length; `readKey` says whether it is one. */
export function idIn(token: string): string {
  return token.slice(ID_START, ID_START + KEY_ID_LENGTH);
}

function randomText(random: RandomBytes, length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < REJECT_FROM && text.length < length) text += ALPHABET.charAt(byte % BASE);
    }
  }
  return text;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let encoded = '';
  for (let digit = 0; digit < CHECKSUM_LENGTH; digit += 1) {
    encoded = ALPHABET.charAt(rest % BASE) + encoded;
    rest = Math.floor(rest / BASE);
  }
  return encoded;
}

/** CRC-32 of one nibble each (reflected polynomial 0xEDB88320, as in zlib and PNG). */
const CRC_OF_NIBBLE = [
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
  0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
] as const;

/** CRC-32 of ASCII text, unsigned. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at += 1) {
    crc ^= text.charCodeAt(at);
    crc = (crc >>> 4) ^ (CRC_OF_NIBBLE[crc & 15] ?? 0);
    crc = (crc >>> 4) ^ (CRC_OF_NIBBLE[crc & 15] ?? 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
