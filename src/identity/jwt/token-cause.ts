/**
 * Why a credential was not accepted: a closed set for the log and the metrics. Invariant: a cause names what was
 * wrong and repeats nothing of the credential.
 */
import type { ReasonCode } from '../../domain/reason.ts';

export type TokenCause = keyof typeof CAUSES;

/** The reason codes that a refused credential leads to. */
export type RefusalCode = Extract<
  ReasonCode,
  'UNAUTHENTICATED' | 'CREDENTIAL_EXPIRED' | 'CREDENTIAL_REVOKED' | 'CREDENTIAL_SCOPE'
>;

/** Each cause with the code that the caller sees. Expired, revoked and scope are told of proven tokens alone. */
const CAUSES = {
  missing: 'UNAUTHENTICATED',
  too_long: 'UNAUTHENTICATED',
  malformed: 'UNAUTHENTICATED',
  header: 'UNAUTHENTICATED',
  algorithm: 'UNAUTHENTICATED',
  type: 'UNAUTHENTICATED',
  issuer: 'UNAUTHENTICATED',
  unknown_key: 'UNAUTHENTICATED',
  keys_unavailable: 'UNAUTHENTICATED',
  signature: 'UNAUTHENTICATED',
  claims: 'UNAUTHENTICATED',
  audience: 'UNAUTHENTICATED',
  id_token: 'UNAUTHENTICATED',
  not_yet_valid: 'UNAUTHENTICATED',
  lifetime: 'UNAUTHENTICATED',
  expired: 'CREDENTIAL_EXPIRED',
  revoked: 'CREDENTIAL_REVOKED',
  inactive: 'CREDENTIAL_REVOKED',
  introspection_unavailable: 'UNAUTHENTICATED',
  introspection_mismatch: 'UNAUTHENTICATED',
  introspection_flood: 'UNAUTHENTICATED',
  requirement: 'UNAUTHENTICATED',
  subject: 'UNAUTHENTICATED',
  mapping: 'UNAUTHENTICATED',
  tenant: 'CREDENTIAL_SCOPE',
  scope: 'CREDENTIAL_SCOPE',
  principal_type: 'CREDENTIAL_SCOPE',
  binding: 'UNAUTHENTICATED',
  proof_missing: 'UNAUTHENTICATED',
  proof_unbound: 'UNAUTHENTICATED',
  proof_malformed: 'UNAUTHENTICATED',
  proof_key: 'UNAUTHENTICATED',
  proof_signature: 'UNAUTHENTICATED',
  proof_request: 'UNAUTHENTICATED',
  proof_token: 'UNAUTHENTICATED',
  proof_time: 'UNAUTHENTICATED',
  proof_replayed: 'UNAUTHENTICATED',
  proof_flood: 'UNAUTHENTICATED',
  certificate: 'UNAUTHENTICATED',
  delegation: 'UNAUTHENTICATED',
  principal_mismatch: 'UNAUTHENTICATED',
  enrolment: 'UNAUTHENTICATED',
} as const satisfies Readonly<Record<string, RefusalCode>>;

/** The code that a cause is answered with. */
export function codeOf(cause: TokenCause): RefusalCode {
  return CAUSES[cause];
}
