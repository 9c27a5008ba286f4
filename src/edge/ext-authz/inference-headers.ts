/**
 * Headers that a scheduler of the Gateway API Inference Extension trusts: whose share of a pool a call takes, and how
 * urgent it is. Invariant: they are this service's word alone: with them in a profile, what a client sends under their
 * names is refused, and every answer about a decision sets or clears both.
 */
import type { DecisionRequest } from '../../domain/decision-request.ts';
import { tenantPrefix } from '../../domain/names.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { foldHeaderName } from '../ai-requests/header-list.ts';

/** Whose calls are queued together. */
export const FAIRNESS_HEADER = 'x-gateway-inference-fairness-id';
/** Name of an InferenceObjective. */
export const OBJECTIVE_HEADER = 'x-gateway-inference-objective';

const FOLDED: ReadonlySet<string> = new Set([FAIRNESS_HEADER, OBJECTIVE_HEADER].map(foldHeaderName));

/** Whether a header, by its folded name, could be taken for one of these. */
export function isInferenceHeader(folded: string): boolean {
  return FOLDED.has(folded);
}

/** Both headers, empty where there is nothing to say; none where the profile does not issue them. */
export function inferenceHeaders(
  { inference }: Pick<PepProfile, 'inference'>,
  { principal, tenant }: Pick<DecisionRequest, 'principal' | 'tenant'>,
  { isAllowed, tier }: { readonly isAllowed: boolean; readonly tier: string | undefined },
): Readonly<Record<string, string>> {
  if (inference === undefined) return {};
  if (!isAllowed) return { [FAIRNESS_HEADER]: '', [OBJECTIVE_HEADER]: '' };
  const owner = tenant ?? tenantPrefix(principal.id) ?? '';
  const { fairness, objectives, defaultObjective } = inference;
  const own = tier !== undefined && Object.hasOwn(objectives, tier) ? objectives[tier] : undefined;
  return {
    [FAIRNESS_HEADER]: fairness === 'tenant' ? owner : `${owner}/${principal.type}::${principal.id}`,
    [OBJECTIVE_HEADER]: own ?? defaultObjective ?? '',
  };
}
