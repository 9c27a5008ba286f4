/**
 * What a decision could come to with another context. Invariant: when it is told to be settled, Cedar and the rule that
 * an erring forbid denies come to the same decision whatever values the open keys of the context take.
 */
import { EvaluationError } from './evaluation-error.ts';
import { CAN_ERR, CAN_FAIL, CAN_HOLD, type OpenKeys } from './outlook.ts';
import type { CompiledPolicy, EvaluationRequest, PolicyIndex } from './types.ts';

/** A decision, with the ids of the policies that determined it. */
export interface Decided {
  readonly decision: 'allow' | 'deny';
  readonly policies: readonly string[];
}

/**
 * The policies on which a decision hangs: those that make it what it is, or could change it, and read an open key.
 * @returns undefined when it is settled
 */
export function findHinges(
  indexes: readonly PolicyIndex[],
  request: EvaluationRequest,
  decided: Decided,
  open: OpenKeys,
): readonly CompiledPolicy[] | undefined {
  if (open.size === 0) return undefined;
  const seen = lookAhead(indexes, request, open);
  const determines = ({ id }: CompiledPolicy): boolean => decided.policies.includes(id);
  if (decided.decision === 'allow') {
    const permits = seen.hasSurePermit ? [] : seen.openPermits.filter(determines);
    const hinges = [...permits, ...seen.openForbids];
    return hinges.length === 0 ? undefined : hinges;
  }
  if (seen.hasSureForbid || (!seen.hasSurePermit && seen.openPermits.length === 0)) return undefined;
  const forbids = seen.openForbids.filter(determines);
  const isPermitted = seen.hasSurePermit || seen.openPermits.some(permit => holds(permit, request));
  return isPermitted ? forbids : [...seen.openPermits, ...forbids];
}

interface Foresight {
  /** Some permit holds whatever is open. */
  readonly hasSurePermit: boolean;
  /** Some forbid denies whatever is open: it holds or errs. */
  readonly hasSureForbid: boolean;
  /** Permits that may hold or not. */
  readonly openPermits: readonly CompiledPolicy[];
  /** Forbids that may deny or not. */
  readonly openForbids: readonly CompiledPolicy[];
}

function lookAhead(indexes: readonly PolicyIndex[], request: EvaluationRequest, open: OpenKeys): Foresight {
  let [hasSurePermit, hasSureForbid] = [false, false];
  const openPermits: CompiledPolicy[] = [];
  const openForbids: CompiledPolicy[] = [];
  const visit = (policy: CompiledPolicy): void => {
    if (!policy.matchesScope(request)) return;
    const outcomes = policy.outlook.outcomes(request, open);
    if (policy.effect === 'permit') {
      if (outcomes === CAN_HOLD) hasSurePermit = true;
      else if ((outcomes & CAN_HOLD) !== 0) openPermits.push(policy);
    } else if ((outcomes & CAN_FAIL) === 0) hasSureForbid = true;
    else if ((outcomes & (CAN_HOLD | CAN_ERR)) !== 0) openForbids.push(policy);
  };
  for (const index of indexes) index.candidates(request, visit);
  return { hasSurePermit, hasSureForbid, openPermits, openForbids };
}

function holds(policy: CompiledPolicy, request: EvaluationRequest): boolean {
  try {
    return policy.evaluateConditions(request);
  } catch (error) {
    if (error instanceof EvaluationError) return false;
    throw error;
  }
}
