/**
 * One check of a decision, from the entities it names to its result. Invariant: every way out that is not a
 * satisfied permit without a satisfied or erring forbid is a deny with a reason code.
 */
import { nearMisses } from '../cedar/authorize.ts';
import type { CedarAnswer, CompiledPolicy, EvaluationRequest } from '../cedar/types.ts';
import type { CheckResult, Clause, NearMiss, Obligation } from '../domain/decision.ts';
import { tenantLayer } from '../domain/ids.ts';
import type { ReasonCode } from '../domain/reason.ts';
import type { EntityUid } from '../domain/value.ts';
import type { CheckEvaluator, EngineName } from './evaluator.ts';
import type { CompiledLayer, Snapshot } from './snapshot.ts';

/** Most near misses in one check: the answer explains, it does not list a tenant's policies. */
export const MAX_NEAR_MISSES = 10;

/** What is said of conditions that another tenant wrote. */
const HIDDEN = 'its conditions do not hold; they are shown to nobody but its own tenant';

export type Explain = 'none' | 'summary' | 'full';

/** A check result with what the decision as a whole needs of it. */
export interface CheckOutcome {
  readonly result: CheckResult;
  readonly obligations: readonly Obligation[];
  /** Limit sets that the determining permits name. */
  readonly limitSets: readonly string[];
  /** Layers that were consulted. */
  readonly layers: readonly CompiledLayer[];
  readonly engine: EngineName;
}

const NOTHING: readonly never[] = [];

/** The platform layer and the layer of the resource's tenant: no other tenant's policies are ever read. */
export function layersFor(snapshot: Snapshot, tenant: string | undefined): readonly CompiledLayer[] {
  return snapshot.layersOf.of(tenant);
}

/** A check that ended before any policy was evaluated. */
export function refuse(action: string, resource: EntityUid, code: ReasonCode, message: string): CheckOutcome {
  return {
    result: {
      action,
      resource: resource.key,
      decision: 'deny',
      code,
      message,
      policies: [],
      nearMisses: [],
    },
    obligations: NOTHING,
    limitSets: NOTHING,
    layers: NOTHING,
    engine: 'compiled',
  };
}

export interface CheckOptions {
  /** Owner of the resource. */
  readonly tenant: string | undefined;
  /** Whether another tenant takes part, who may read the answer and its entry: what the owner wrote is not explained then. */
  readonly isForeign: boolean;
  readonly explain: Explain;
}

/** Evaluates the layers and turns Cedar's answer into ours (architecture.md, "Cedar, hardened" 2 and 3). */
export function evaluateCheck(
  snapshot: Snapshot,
  evaluator: CheckEvaluator,
  request: EvaluationRequest,
  options: CheckOptions,
): CheckOutcome {
  const layers = layersFor(snapshot, options.tenant);
  const action = request.action.id;
  if (layers.length === 0) {
    return refuse(action, request.resource, 'NO_ACTIVE_BUNDLE', 'no bundle is active for layer `platform`');
  }
  const evaluation = evaluator.evaluate({ schema: snapshot.schema, layers, request });
  if (!evaluation.ok) {
    const outcome = refuse(action, request.resource, 'INTERNAL_ERROR', evaluation.failure);
    return { ...outcome, layers, engine: evaluation.engine };
  }
  const { answer, engine } = evaluation;
  const verdict = judge(answer, layers, options.tenant);
  const isDeny = verdict.code !== 'POLICY_ALLOW';
  const misses =
    verdict.code === 'NO_MATCHING_PERMIT' && options.explain !== 'none'
      ? findNearMisses(layers, request, options)
      : NOTHING;
  const first = misses[0];
  const message =
    first === undefined
      ? verdict.message
      : `${verdict.message}; the nearest is ${first.policy}, but ${first.missing}`;
  const result: CheckResult = {
    action,
    resource: request.resource.key,
    decision: isDeny ? 'deny' : 'allow',
    code: verdict.code,
    message,
    policies: idsOf(verdict.policies),
    nearMisses: misses.slice(),
  };
  return {
    result: withRareMembers(result, answer),
    obligations: obligationsOf(verdict.policies),
    limitSets: isDeny ? NOTHING : limitSetsOf(verdict.policies),
    layers,
    engine,
  };
}

/** Most answers have none of these, and pay nothing for them. */
function withRareMembers(result: CheckResult, { decision, erroring }: CedarAnswer): CheckResult {
  const withErrors = erroring.length === 0 ? result : { ...result, errors: idsOf(erroring) };
  const isOverruled = decision === 'allow' && result.decision === 'deny';
  return isOverruled ? { ...withErrors, cedarDecision: decision } : withErrors;
}

function idsOf(policies: readonly CompiledPolicy[]): string[] {
  return policies.map(policy => policy.id);
}

interface Judgement {
  readonly code: ReasonCode;
  readonly message: string;
  readonly policies: readonly CompiledPolicy[];
}

/** Cedar skips a forbid that errs; here it denies. An allow that no permit determined is a broken evaluator. */
function judge(answer: CedarAnswer, layers: readonly CompiledLayer[], tenant: string | undefined): Judgement {
  const { determining } = answer;
  if (answer.decision === 'deny' && determining.length > 0) {
    return { code: 'FORBIDDEN_BY_POLICY', message: reasonsOf(determining), policies: determining };
  }
  const { erroring } = answer;
  const failed = erroring.length === 0 ? erroring : erroring.filter(policy => policy.effect === 'forbid');
  if (failed.length > 0) {
    return {
      code: 'POLICY_ERROR',
      message: 'a forbid could not be evaluated, so the request is denied',
      policies: failed,
    };
  }
  if (answer.decision === 'allow') {
    return determining.length > 0
      ? { code: 'POLICY_ALLOW', message: reasonsOf(determining), policies: determining }
      : { code: 'INTERNAL_ERROR', message: 'an allow without a determining policy', policies: [] };
  }
  if (layers.length === 1) {
    const message =
      tenant === undefined
        ? 'the resource belongs to no tenant, and no permit of layer `platform` applies'
        : `no bundle is active for layer \`tenant:${tenant}\``;
    return { code: 'NO_ACTIVE_BUNDLE', message, policies: [] };
  }
  return { code: 'NO_MATCHING_PERMIT', message: 'no permit applies', policies: [] };
}

function reasonsOf(policies: readonly CompiledPolicy[]): string {
  const first = policies[0];
  if (policies.length === 1 && first !== undefined) return first.reason;
  return [...new Set(policies.map(policy => policy.reason))].join('; ');
}

function obligationsOf(policies: readonly CompiledPolicy[]): readonly Obligation[] {
  let found: Obligation[] | undefined;
  for (const policy of policies) {
    for (const type of policy.obligations) (found ??= []).push({ type, policy: policy.id });
  }
  return found ?? NOTHING;
}

/** Of all determining permits: a further permit never takes a limit away. */
function limitSetsOf(permits: readonly CompiledPolicy[]): readonly string[] {
  let found: string[] | undefined;
  for (const { limitSets } of permits) for (const set of limitSets) (found ??= []).push(set);
  return found ?? NOTHING;
}

function findNearMisses(
  layers: readonly CompiledLayer[],
  request: EvaluationRequest,
  { tenant, isForeign, explain }: CheckOptions,
): readonly NearMiss[] {
  const hidden = isForeign && tenant !== undefined ? `${tenantLayer(tenant)}/` : undefined;
  const missed = nearMisses(
    layers.map(layer => layer.index),
    request,
  );
  if (missed.length === 0) return NOTHING;
  const ranked = missed
    .map(policy => ({ policy, failing: policy.explain(request, false).filter(clause => !holds(clause)) }))
    .toSorted((a, b) => a.failing.length - b.failing.length || (a.policy.id < b.policy.id ? -1 : 1))
    .slice(0, MAX_NEAR_MISSES);
  return ranked.map(({ policy, failing }) => {
    const { id, reason } = policy;
    if (hidden !== undefined && id.startsWith(hidden)) return { policy: id, reason, missing: HIDDEN };
    const first = failing[0];
    return {
      policy: id,
      reason,
      missing: first === undefined ? 'its conditions do not hold together' : describe(first),
      ...(explain === 'full' ? { clauses: [...policy.explain(request, true)] } : {}),
    };
  });
}

function holds(clause: Clause): boolean {
  return clause.result === (clause.kind === 'when' ? 'true' : 'false');
}

function describe(clause: Clause): string {
  if (clause.result === 'error') return `\`${clause.text}\` cannot be evaluated`;
  return clause.kind === 'when'
    ? `\`${clause.text}\` is false`
    : `\`${clause.text}\` is true, which excludes it`;
}
