/**
 * Keyed digests: what stands in a leaf for an input or an output, and for a principal that nobody registered.
 * Invariant: every use has its own label in front of what is hashed, and parts are separated by a zero byte, which
 * none of them can hold, so that no digest of one use or tenant can pass for another's.
 */
import { timingSafeEqual } from 'node:crypto';
import { HmacKey } from './hmac.ts';
import type { InputReference } from './leaf-privacy.ts';

/** What was hashed: each kind is a domain of its own. */
export type DigestKind = 'input' | 'output';

const SEPARATOR = '\0';
/** Characters of a pseudonym's digest: 22 of base64url are 132 bits, of which 128 are kept. */
const NAME_BYTES = 16;

/** A key of `contentMac` or `nameMac`. */
export type DigestKey = HmacKey;

export function digestKey(bytes: Uint8Array): DigestKey {
  return new HmacKey(bytes);
}

/** HMAC-SHA-256 over `contentMessage`; base64url. */
export function contentMac(kind: DigestKind, reference: InputReference, key: DigestKey): string {
  return key.mac(contentMessage(kind, reference), 'base64url');
}

/** `duramen/<kind>/v1`, tenant, resource and the hash as the PEP gave it. */
export function contentMessage(kind: DigestKind, { tenant, resource, hash }: InputReference): string {
  return `duramen/${kind}/v1${SEPARATOR}${tenant}${SEPARATOR}${resource}${SEPARATOR}${hash}`;
}

/** 22 base64url characters for a name under a key. */
export function nameMac(name: string, key: DigestKey): string {
  const mac = key.mac(`duramen/unregistered/v1${SEPARATOR}${name}`, 'binary');
  return Buffer.from(mac, 'latin1').toString('base64url', 0, NAME_BYTES);
}

/** Whether two texts are the same; how long it takes tells only their lengths. */
export function sameText(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one, 'utf8'), Buffer.from(other, 'utf8')];
  return first.length === second.length && timingSafeEqual(first, second);
}
