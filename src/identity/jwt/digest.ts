/** SHA-256 of tokens, proofs and certificates. Invariant: what is remembered of a credential is its digest alone. */
import { createHash } from 'node:crypto';

/** SHA-256 of ASCII or UTF-8 text, base64url. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64url');
}
