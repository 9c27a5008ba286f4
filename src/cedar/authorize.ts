/**
 * Cedar's decision over some policy sets. Invariant: the answer is Cedar's own for the union of the sets;
 * what a PDP makes of an erring forbid is not decided here.
 */
import { EvaluationError } from './evaluation-error.ts';
import type { CedarAnswer, CompiledPolicy, EvaluationRequest, PolicyIndex } from './types.ts';

/** What Cedar's answer is made of; each list is sorted by id. */
export interface Evaluation extends CedarAnswer {
  readonly satisfiedPermits: readonly CompiledPolicy[];
  readonly satisfiedForbids: readonly CompiledPolicy[];
}

type Outcome = 'satisfied' | 'unsatisfied' | 'erring';

const NONE: readonly CompiledPolicy[] = Object.freeze([]);

/**
 * Decides the request: allow when some permit and no forbid is satisfied. A policy that errs is not
 * satisfied, and is listed only when its scope matches. Ids must be unique over all indexes.
 */
export function authorize(indexes: readonly PolicyIndex[], request: EvaluationRequest): Evaluation {
  let permits: CompiledPolicy[] | undefined;
  let forbids: CompiledPolicy[] | undefined;
  let erring: CompiledPolicy[] | undefined;
  const visit = (policy: CompiledPolicy): void => {
    if (!policy.matchesScope(request)) return;
    const outcome = evaluate(policy, request);
    if (outcome === 'erring') (erring ??= []).push(policy);
    else if (outcome === 'satisfied') {
      if (policy.effect === 'permit') (permits ??= []).push(policy);
      else (forbids ??= []).push(policy);
    }
  };
  for (const index of indexes) index.candidates(request, visit);

  const satisfiedPermits = sorted(permits);
  const satisfiedForbids = sorted(forbids);
  const forbidden = satisfiedForbids.length > 0;
  return {
    decision: !forbidden && satisfiedPermits.length > 0 ? 'allow' : 'deny',
    determining: forbidden ? satisfiedForbids : satisfiedPermits,
    erroring: sorted(erring),
    satisfiedPermits,
    satisfiedForbids,
  };
}

/** The permits whose scope matches and whose conditions do not hold or err, sorted by id. */
export function nearMisses(
  indexes: readonly PolicyIndex[],
  request: EvaluationRequest,
): readonly CompiledPolicy[] {
  const missed: CompiledPolicy[] = [];
  const visit = (policy: CompiledPolicy): void => {
    if (policy.effect !== 'permit' || !policy.matchesScope(request)) return;
    if (evaluate(policy, request) !== 'satisfied') missed.push(policy);
  };
  for (const index of indexes) index.candidates(request, visit);
  return sorted(missed);
}

function evaluate(policy: CompiledPolicy, request: EvaluationRequest): Outcome {
  try {
    return policy.evaluateConditions(request) ? 'satisfied' : 'unsatisfied';
  } catch (error) {
    // Anything else is a bug and must not pass for Cedar skipping a policy.
    if (error instanceof EvaluationError) return 'erring';
    throw error;
  }
}

function sorted(policies: CompiledPolicy[] | undefined): readonly CompiledPolicy[] {
  if (policies === undefined) return NONE;
  return policies.length < 2 ? policies : policies.sort(byId);
}

function byId(a: CompiledPolicy, b: CompiledPolicy): number {
  return a.id < b.id ? -1 : 1;
}
