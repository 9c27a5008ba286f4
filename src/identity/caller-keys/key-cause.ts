/**
 * Why a caller's key was not accepted: a closed set for the log and the metrics. Invariant: a cause repeats nothing
 * of the key.
 */
import type { RefusalCode } from '../jwt/token-cause.ts';

export type KeyCause = keyof typeof CAUSES;

/** Each cause with the code that the caller sees. What a key was is told of proven keys alone. */
const CAUSES = {
  key_malformed: 'UNAUTHENTICATED',
  key_checksum: 'UNAUTHENTICATED',
  key_unknown: 'UNAUTHENTICATED',
  key_mismatch: 'UNAUTHENTICATED',
  key_pepper: 'UNAUTHENTICATED',
  key_not_yet: 'UNAUTHENTICATED',
  key_expired: 'CREDENTIAL_EXPIRED',
  key_revoked: 'CREDENTIAL_REVOKED',
  key_owner: 'CREDENTIAL_SCOPE',
} as const satisfies Readonly<Record<string, RefusalCode>>;

/** The code that a cause is answered with. */
export function codeOfKeyCause(cause: KeyCause): RefusalCode {
  return CAUSES[cause];
}
