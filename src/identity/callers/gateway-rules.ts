/** What a gateway's key and its word have against a caller that was proven. Invariant: it can only object. */
import { ruleFor } from '../../domain/caller-rules.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { CallerFacts } from '../caller.ts';

export type GatewayObjection = 'principal_mismatch' | 'tenant' | 'principal_type';

/** @param tenant of the principal */
export function objectToCaller(
  principal: EntityRef,
  tenant: string,
  { pep, claimed }: CallerFacts,
): GatewayObjection | undefined {
  if (claimed !== undefined && (claimed.type !== principal.type || claimed.id !== principal.id)) {
    return 'principal_mismatch';
  }
  if (pep.callers === undefined) return undefined;
  const rule = ruleFor(pep.callers, tenant);
  if (rule === undefined) return 'tenant';
  return rule.principalTypes === undefined || rule.principalTypes.includes(principal.type)
    ? undefined
    : 'principal_type';
}
