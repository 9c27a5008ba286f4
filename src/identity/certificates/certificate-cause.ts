/**
 * Why a client certificate was not accepted: a closed set for the log and the metrics. Invariant: a cause names what
 * was wrong and repeats nothing of the certificate.
 */
import type { ReasonCode } from '../../domain/reason.ts';

type Code = Extract<ReasonCode, 'UNAUTHENTICATED' | 'CREDENTIAL_EXPIRED' | 'CREDENTIAL_REVOKED'>;

/** Each cause with the reason code of a decision about a caller with such a certificate. */
const CAUSES = {
  certificate_missing: 'UNAUTHENTICATED',
  certificate_malformed: 'UNAUTHENTICATED',
  certificate_handshake: 'UNAUTHENTICATED',
  certificate_untrusted: 'UNAUTHENTICATED',
  certificate_weak: 'UNAUTHENTICATED',
  certificate_constraints: 'UNAUTHENTICATED',
  certificate_usage: 'UNAUTHENTICATED',
  certificate_not_yet_valid: 'UNAUTHENTICATED',
  certificate_expired: 'CREDENTIAL_EXPIRED',
  certificate_revoked: 'CREDENTIAL_REVOKED',
  certificate_revocation_unknown: 'UNAUTHENTICATED',
  certificate_identity: 'UNAUTHENTICATED',
  certificate_unmapped: 'UNAUTHENTICATED',
  forwarding_not_allowed: 'UNAUTHENTICATED',
  forwarded_untrusted: 'UNAUTHENTICATED',
  forwarded_duplicate: 'UNAUTHENTICATED',
  forwarded_foreign: 'UNAUTHENTICATED',
  forwarded_malformed: 'UNAUTHENTICATED',
  forwarded_incomplete: 'UNAUTHENTICATED',
  forwarded_unverified: 'UNAUTHENTICATED',
  forwarded_mismatch: 'UNAUTHENTICATED',
} as const satisfies Readonly<Record<string, Code>>;

export type CertificateCause = keyof typeof CAUSES;

/** The code that a cause is answered with. */
export function certificateCode(cause: CertificateCause): Code {
  return CAUSES[cause];
}
