/**
 * What one principal may do on one model. Invariants: an operation is listed as allowed exactly when a decision about
 * the same request allows it; one that is not listed at all is denied, whatever the context says that the question
 * leaves open.
 */
import { findHinges } from '../../cedar/foresight.ts';
import type { CompiledPolicy } from '../../cedar/types.ts';
import type { DirectoryEntity } from '../../directory/view.ts';
import type { DecisionRequest } from '../../domain/decision-request.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { Level, ReasonCode } from '../../domain/reason.ts';
import type { RecordValue } from '../../domain/value.ts';
import type { CheckOutcome } from '../check.ts';
import { buildContexts, type ContextFacts } from '../context.ts';
import { decideCheck, questionOf, type Scene } from '../decide.ts';
import type { CheckEvaluator } from '../evaluator.ts';
import { type Parties, resolveParties } from '../parties.ts';
import type { PlannableAction, PlannedCheck } from '../plan.ts';
import type { Snapshot } from '../snapshot.ts';
import { type Objection, objectToRequest } from '../standing.ts';
import type { OperationGroup, PreparedQuestion } from './question.ts';

export interface AllowedOperation {
  readonly action: string;
  /** Permits of the last action check: those that `reason` of the decision names. */
  readonly policies: readonly string[];
  /** Types of the obligations of the decision. */
  readonly obligations: readonly string[];
  /** Policies that could deny it in another context. */
  readonly unless: readonly string[];
}

export interface ConditionalOperation {
  readonly action: string;
  /** The level that denies it now. */
  readonly level: Level;
  readonly code: ReasonCode;
  /** Policies of which another context might make an allow; none: see `needs`. */
  readonly policies: readonly string[];
  /** `partitions`: the data of the tenant as a whole is refused; a request that names partitions may be allowed. */
  readonly needs: 'context' | 'partitions';
}

export interface PairAccess {
  readonly allowed: readonly AllowedOperation[];
  /** Denied now, and allowed perhaps in another context. */
  readonly conditional: readonly ConditionalOperation[];
}

/** Told of what a pair hangs on, and of checks that could not be evaluated. */
export interface PairObserver {
  hinge(policy: CompiledPolicy): void;
  failed(): void;
}

/** Codes of checks that policies decided, so that another context may decide them otherwise. */
const BY_POLICY: readonly ReasonCode[] = [
  'POLICY_ALLOW',
  'NO_MATCHING_PERMIT',
  'FORBIDDEN_BY_POLICY',
  'POLICY_ERROR',
  'NO_ACTIVE_BUNDLE',
];

interface Verdict {
  readonly check: PlannedCheck;
  readonly outcome: CheckOutcome;
  /** Policies on which it hangs; undefined: it is settled. */
  readonly hinges: readonly CompiledPolicy[] | undefined;
  /** Denied for the data of the tenant as a whole, where no partition is named. */
  readonly isWholeTenant: boolean;
}

export class PairJudge {
  readonly #snapshot: Snapshot;
  readonly #evaluator: CheckEvaluator;
  readonly #question: PreparedQuestion;
  readonly #facts: ContextFacts;
  readonly #observer: PairObserver;

  constructor(options: {
    readonly snapshot: Snapshot;
    readonly evaluator: CheckEvaluator;
    readonly question: PreparedQuestion;
    readonly facts: ContextFacts;
    readonly observer: PairObserver;
  }) {
    this.#snapshot = options.snapshot;
    this.#evaluator = options.evaluator;
    this.#question = options.question;
    this.#facts = options.facts;
    this.#observer = options.observer;
  }

  /** Why a principal is denied everything; undefined: policies decide. */
  objection(principal: EntityRef): Objection | undefined {
    const request = this.#request(principal, principal, '');
    return objectToRequest(this.#snapshot, request, resolveParties(this.#snapshot, request));
  }

  /** Judges the operations of these groups, with a step after each. The principal must not be objected to. */
  *judge(
    principal: EntityRef,
    model: EntityRef,
    groups: readonly OperationGroup[],
  ): Generator<void, PairAccess> {
    const allowed: AllowedOperation[] = [];
    const conditional: ConditionalOperation[] = [];
    const known = new Map<string, Verdict>();
    const parties = resolveParties(this.#snapshot, this.#request(principal, model, ''));
    for (const { first, operations } of groups) {
      if (!first.definition.principalTypes.has(parties.principal.type)) continue;
      for (const [id, action] of operations) {
        const request = this.#request(principal, model, id);
        const verdicts = this.#decide(request, action, parties, known);
        yield;
        const last = verdicts.at(-1);
        if (last === undefined) throw new Error('an operation without a check');
        // nothing that begins with the same check can come to anything else
        if (isOver(last) && last.check.level === 'endpoint') break;
        if (isOver(last)) continue;
        const denied = verdicts.find(({ outcome }) => outcome.result.decision === 'deny');
        if (denied === undefined) allowed.push(this.#allowed(id, verdicts));
        else conditional.push(this.#conditional(id, denied, verdicts));
      }
    }
    return { allowed, conditional };
  }

  /** The checks in their order, up to the first that denies for good. */
  #decide(
    request: DecisionRequest,
    action: PlannableAction,
    parties: Parties,
    known: Map<string, Verdict>,
  ): readonly Verdict[] {
    const { planner } = this.#snapshot;
    const checks = planner.plan(request, action, parties);
    const contexts = buildContexts(planner, checks, request, this.#facts);
    const scene: Scene = {
      snapshot: this.#snapshot,
      evaluator: this.#evaluator,
      request,
      parties,
      objection: undefined,
    };
    const verdicts: Verdict[] = [];
    for (const [at, check] of checks.entries()) {
      const context = contexts[at];
      if (context === undefined) throw new Error('a check without a context');
      // the operations of a pair share their first checks, with the same context
      const key = `${check.action.uid.key} ${check.pointer}`;
      let verdict = known.get(key);
      if (verdict === undefined) known.set(key, (verdict = this.#verdict(scene, check, context)));
      verdicts.push(verdict);
      if (isOver(verdict)) break;
    }
    return verdicts;
  }

  #verdict(scene: Scene, check: PlannedCheck, context: RecordValue): Verdict {
    const { directory } = this.#snapshot;
    const { resource, resourceEntity } = scene.parties;
    const entity = check.resource === resource ? resourceEntity : directory.get(check.resource.key);
    const outcome = decideCheck(scene, check, context, entity);
    const { result, layers } = outcome;
    if (result.code === 'INTERNAL_ERROR') this.#observer.failed();
    return {
      check,
      outcome,
      hinges: this.#hinges(scene, check, context, entity, outcome),
      isWholeTenant: check.pointer === '/tenant' && result.decision === 'deny' && layers.length > 0,
    };
  }

  #hinges(
    scene: Scene,
    check: PlannedCheck,
    context: RecordValue,
    entity: DirectoryEntity | undefined,
    { result, layers }: CheckOutcome,
  ): readonly CompiledPolicy[] | undefined {
    if (entity === undefined || !BY_POLICY.includes(result.code)) return undefined;
    const indexes = layers.map(({ index }) => index);
    return findHinges(indexes, questionOf(scene, check, context, entity), result, this.#question.open);
  }

  #allowed(action: string, verdicts: readonly Verdict[]): AllowedOperation {
    const obligations = verdicts.flatMap(({ outcome }) => outcome.obligations.map(({ type }) => type));
    return {
      action,
      policies: verdicts.at(-1)?.outcome.result.policies ?? [],
      obligations: [...new Set(obligations)],
      unless: this.#idsOf(verdicts),
    };
  }

  #conditional(
    action: string,
    { check, outcome }: Verdict,
    verdicts: readonly Verdict[],
  ): ConditionalOperation {
    const denied = verdicts.filter(({ outcome: { result } }) => result.decision === 'deny');
    return {
      action,
      level: check.level,
      code: outcome.result.code,
      policies: this.#idsOf(denied),
      needs: denied.some(({ hinges }) => hinges === undefined) ? 'partitions' : 'context',
    };
  }

  #idsOf(verdicts: readonly Verdict[]): readonly string[] {
    const ids = new Set<string>();
    for (const { hinges = [] } of verdicts) {
      for (const policy of hinges) {
        ids.add(policy.id);
        this.#observer.hinge(policy);
      }
    }
    return [...ids].toSorted();
  }

  #request(principal: EntityRef, resource: EntityRef, action: string): DecisionRequest {
    return { ...this.#question.facts, principal, action, resource, explain: 'none' };
  }
}

/** Denied for good: no other context makes an allow of it, nor another way to say which data is meant. */
function isOver({ outcome, hinges, isWholeTenant }: Verdict): boolean {
  return outcome.result.decision === 'deny' && hinges === undefined && !isWholeTenant;
}
