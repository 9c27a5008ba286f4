/**
 * Salted commitments to values that a leaf must not show: disclosures of RFC 9901 (SD-JWT) §4.2.1 and §4.2.3.
 * Invariant: without the disclosure a digest tells nothing, because its salt has 128 random bits.
 */
import { hash } from 'node:crypto';
import type { JsonValue } from '../domain/json.ts';

/** Characters of a digest: 32 bytes in base64url. */
export const DIGEST_LENGTH = 43;

/** A key and its value as they stand in a disclosure: `"ip","10.1.2.3"`. */
export type Claim = string;

export interface Commitment {
  /** SHA-256 of the disclosure's ASCII bytes, base64url. */
  readonly digest: string;
  /** base64url of the JSON `[salt, key, value]`. */
  readonly disclosure: string;
}

/** What a disclosure says, once its digest was found in a leaf. */
export interface Disclosed {
  readonly key: string;
  readonly value: JsonValue;
}

export function claimOf(key: string, value: JsonValue): Claim {
  return `${JSON.stringify(key)},${JSON.stringify(value)}`;
}

/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UTF8 = 3;

/**
 * @param salt base64url, at least 128 bits
 * @param room for the bytes in between, so that short claims need no buffer of their own
 */
export function commit(salt: string, claim: Claim, room: Buffer): Commitment {
  const text = `["${salt}",${claim}]`;
  const disclosure =
    text.length * MAX_UTF8 <= room.length
      ? room.toString('base64url', 0, room.write(text))
      : Buffer.from(text).toString('base64url');
  return { digest: digestOf(disclosure), disclosure };
}

/** Opens a disclosure; undefined when it is none, or none of these digests is its own. */
export function openDisclosure(disclosure: string, digests: ReadonlySet<string>): Disclosed | undefined {
  if (!digests.has(digestOf(disclosure))) return undefined;
  const parsed: unknown = JSON.parse(Buffer.from(disclosure, 'base64url').toString('utf8'));
  if (!isJsonList(parsed)) return undefined;
  const [, key, value] = parsed;
  return typeof key === 'string' && value !== undefined ? { key, value } : undefined;
}

function digestOf(disclosure: string): string {
  return hash('sha256', disclosure, 'base64url');
}

/** Of what JSON.parse returned, which holds nothing but JSON. */
function isJsonList(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value);
}
