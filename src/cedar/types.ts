/**
 * The interfaces of the compiled evaluator. Invariant: for every request, a compiled policy set and
 * cedar-wasm give the same decision, the same determining policies and the same erroring policies.
 */
import type { Clause } from '../domain/decision.ts';
import type { EntitySource, EntityUid, RecordValue } from '../domain/value.ts';
import type { Scope } from './ast.ts';
import type { Outlook } from './outlook.ts';

export type Effect = 'permit' | 'forbid';

/** What a policy is evaluated against. */
export interface EvaluationRequest {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: RecordValue;
  readonly entities: EntitySource;
}

/** Why an evaluation failed: the closed set of Cedar's runtime errors. */
export type EvaluationErrorCode =
  | 'ENTITY_MISSING'
  | 'ATTRIBUTE_MISSING'
  | 'TAG_MISSING'
  | 'TYPE_ERROR'
  | 'INTEGER_OVERFLOW'
  | 'EXTENSION_ERROR'
  | 'WRONG_ARITY';

/** One policy (or linked template) ready to be evaluated. */
export interface CompiledPolicy {
  /** Full id, `<layer>/<@id>`. */
  readonly id: string;
  readonly effect: Effect;
  readonly annotations: ReadonlyMap<string, string>;
  readonly scope: Scope;
  /** `@reason`, or the empty string. */
  readonly reason: string;
  /** Types from `@obligation`, split at commas. */
  readonly obligations: readonly string[];
  /** Limit sets from `@limits`, split at commas and qualified by their layer: `platform/gold`, `tenant:acme/trial`. */
  readonly limitSets: readonly string[];
  /** Upper bound of the longest chain of entity dereferences (`dereferenceLevel`). */
  readonly level: number;
  /** Whether principal, action and resource satisfy the scope; total, never throws. */
  matchesScope(request: EvaluationRequest): boolean;
  /** Whether all conditions hold, the scope aside. @throws EvaluationError as Cedar would. */
  evaluateConditions(request: EvaluationRequest): boolean;
  /** The conditions one by one, for explanations; never throws. */
  explain(request: EvaluationRequest, observe: boolean): readonly Clause[];
  /** What the conditions can come to when a part of the context is open. */
  readonly outlook: Outlook;
}

/** Finds the policies whose scope can match. Any superset of the matching policies is a sound answer. */
export interface PolicyIndex {
  readonly size: number;
  readonly policies: readonly CompiledPolicy[];
  /** Calls `visit` for a superset of the policies whose scope matches; each policy at most once. */
  candidates(request: EvaluationRequest, visit: (policy: CompiledPolicy) => void): void;
}

/** Cedar's answer over the union of some policy sets. Lists are sorted by id. */
export interface CedarAnswer {
  readonly decision: 'allow' | 'deny';
  /** Satisfied forbids if there are any, else satisfied permits. */
  readonly determining: readonly CompiledPolicy[];
  readonly erroring: readonly CompiledPolicy[];
}
