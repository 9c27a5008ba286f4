/**
 * Seals the personal values of an entry under the key of its subject: XOR with a keystream of HMAC-SHA-256 in counter
 * mode (the construction of NIST SP 800-108 §4.1), then a MAC over the result. Both name the decision, so no part of a
 * keystream serves twice. Invariant: what was sealed opens only with that key, for that decision, unchanged; without
 * the key nothing of the values remains but their length. docs/adr/0008 says why this is not AES-GCM.
 */
import { timingSafeEqual } from 'node:crypto';
import { HmacKey, MAC_BYTES } from './hmac.ts';
import type { PlainOpening } from './leaf-privacy.ts';

const LABEL = 'duramen/opening/v1';
/** Between the parts of what is hashed; none of them holds it. */
const SEPARATOR = '\0';
/** Bytes of the MAC that are kept: 128 bits. */
const TAG_BYTES = 16;

/** @returns ciphertext ‖ tag: 16 bytes more than the disclosures have characters */
export function sealOpening({ subject, disclosures, decisionId }: PlainOpening): Uint8Array {
  const keyed = new HmacKey(subject.key);
  const bytes = Buffer.from(disclosures, 'latin1');
  applyKeystream(bytes, keyed, decisionId);
  return Buffer.concat([bytes, tagOf(bytes, keyed, decisionId)]);
}

/**
 * The disclosures, joined by `~`; undefined when the key is another one, the decision is another one, or a byte
 * was changed.
 * @param key 32 bytes
 */
export function openOpening(sealed: Uint8Array, key: Uint8Array, decisionId: string): string | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const keyed = new HmacKey(key);
  const bytes = Buffer.from(sealed.subarray(0, -TAG_BYTES));
  if (!timingSafeEqual(tagOf(bytes, keyed, decisionId), sealed.subarray(-TAG_BYTES))) return undefined;
  applyKeystream(bytes, keyed, decisionId);
  return bytes.toString('latin1');
}

function tagOf(ciphertext: Buffer, keyed: HmacKey, decisionId: string): Uint8Array {
  const text = ciphertext.toString('latin1');
  const tag = keyed.mac(`tag${SEPARATOR}${LABEL}${SEPARATOR}${decisionId}${SEPARATOR}${text}`, 'binary');
  return Buffer.from(tag, 'latin1').subarray(0, TAG_BYTES);
}

/** XORs the keystream into the bytes, in place. */
function applyKeystream(bytes: Buffer, keyed: HmacKey, decisionId: string): void {
  for (let start = 0; start < bytes.length; start += MAC_BYTES) {
    const counter = start / MAC_BYTES + 1;
    const block = keyed.mac(`${counter}${SEPARATOR}${LABEL}${SEPARATOR}${decisionId}`, 'binary');
    const end = Math.min(bytes.length, start + MAC_BYTES);
    for (let at = start; at < end; at += 1) {
      bytes[at] = bytes.readUInt8(at) ^ block.charCodeAt(at - start);
    }
  }
}
