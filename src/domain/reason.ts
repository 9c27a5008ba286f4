/** Why a decision came out as it did: the closed set of reason codes of the wire contract (api.md). */
import { z } from 'zod';
import { LEVELS } from './names.ts';

export const REASON_CODES = [
  'POLICY_ALLOW',
  'NO_MATCHING_PERMIT',
  'FORBIDDEN_BY_POLICY',
  'POLICY_ERROR',
  'UNKNOWN_PRINCIPAL',
  'UNKNOWN_RESOURCE',
  'UNKNOWN_ACTION',
  'UNKNOWN_TENANT',
  'TENANT_SUSPENDED',
  'PRINCIPAL_DISABLED',
  'NO_ACTIVE_BUNDLE',
  'UNAUTHENTICATED',
  'CREDENTIAL_EXPIRED',
  'CREDENTIAL_REVOKED',
  'CREDENTIAL_SCOPE',
  'MODEL_UNKNOWN',
  'MODEL_AMBIGUOUS',
  'BODY_INCOMPLETE',
  'BODY_UNREADABLE',
  'INPUT_REJECTED',
  'RATE_LIMITED',
  'BUDGET_EXHAUSTED',
  'CONCURRENCY_LIMITED',
  'PENALTY_BLOCKED',
  'OVERLOADED',
  'INTERNAL_ERROR',
] as const;

export const reasonCodeSchema = z.enum(REASON_CODES).meta({ id: 'ReasonCode' });
export type ReasonCode = z.infer<typeof reasonCodeSchema>;

export const levelSchema = z.enum(LEVELS).meta({ id: 'Level' });
/** The three questions of a decision: this model at all, this data, this operation. */
export type Level = z.infer<typeof levelSchema>;
