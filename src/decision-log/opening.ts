/**
 * Seals the personal values of an entry under the key of its subject: AES-256-GCM, as nonce ‖ ciphertext ‖ tag.
 * Invariant: what was sealed opens only with that key and for that decision; without the key nothing of it remains.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { PlainOpening } from './leaf-privacy.ts';

/** Bytes of a nonce and of a tag (NIST SP 800-38D §5.2.1.1 and §5.2.1.2). */
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const ALGORITHM = 'aes-256-gcm';

/** @param nonce 12 random bytes, never used again with that key */
export function sealOpening(opening: PlainOpening, nonce: Uint8Array): Uint8Array {
  const { subject, disclosures, decisionId } = opening;
  const cipher = createCipheriv(ALGORITHM, subject.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(decisionId));
  return Buffer.concat([nonce, cipher.update(disclosures, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/**
 * The disclosures, joined by `~`; undefined when the key is another one, the decision is another one, or a byte
 * was changed.
 * @param key 32 bytes
 */
export function openOpening(sealed: Uint8Array, key: Uint8Array, decisionId: string): string | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(decisionId));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch {
    // The only failure of `final`: the tag does not match.
    return undefined;
  }
}
