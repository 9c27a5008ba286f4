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

/** Seals openings one after the other, on buffers that it keeps: it is on the way of each entry into the log. */
export class OpeningSealer {
  readonly #keyed = new HmacKey(new Uint8Array(0));

  /** @returns ciphertext ‖ tag: 16 bytes more than the disclosures have characters */
  seal({ subject, disclosures, decisionId }: PlainOpening): Uint8Array {
    const { length } = disclosures;
    this.#keyed.rekey(subject.key);
    const sealed = Buffer.allocUnsafe(length + TAG_BYTES);
    sealed.write(disclosures, 'latin1');
    applyKeystream(sealed, length, this.#keyed, decisionId);
    sealed.write(tagOf(sealed, length, this.#keyed, decisionId), length, TAG_BYTES, 'latin1');
    return sealed;
  }
}

/**
 * The disclosures, joined by `~`; undefined when the key is another one, the decision is another one, or a byte
 * was changed.
 * @param key 32 bytes
 */
export function openOpening(sealed: Uint8Array, key: Uint8Array, decisionId: string): string | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const keyed = new HmacKey(key);
  const length = sealed.length - TAG_BYTES;
  const bytes = Buffer.from(sealed.subarray(0, length));
  const tag = Buffer.from(tagOf(bytes, length, keyed, decisionId), 'latin1').subarray(0, TAG_BYTES);
  if (!timingSafeEqual(tag, sealed.subarray(length))) return undefined;
  applyKeystream(bytes, length, keyed, decisionId);
  return bytes.toString('latin1');
}

/** A MAC over the first `length` bytes, one character for each of its own; the first TAG_BYTES are the tag. */
function tagOf(ciphertext: Buffer, length: number, keyed: HmacKey, decisionId: string): string {
  const text = ciphertext.toString('latin1', 0, length);
  return keyed.mac(`tag${SEPARATOR}${LABEL}${SEPARATOR}${decisionId}${SEPARATOR}${text}`, 'binary');
}

/** XORs the keystream into the first `length` bytes, in place. */
function applyKeystream(bytes: Buffer, length: number, keyed: HmacKey, decisionId: string): void {
  for (let start = 0; start < length; start += MAC_BYTES) {
    const counter = start / MAC_BYTES + 1;
    const block = keyed.mac(`${counter}${SEPARATOR}${LABEL}${SEPARATOR}${decisionId}`, 'binary');
    const end = Math.min(length, start + MAC_BYTES);
    for (let at = start; at < end; at += 1) {
      bytes[at] = bytes.readUInt8(at) ^ block.charCodeAt(at - start);
    }
  }
}
