/**
 * What is asked about access: a decision request without its principal, its resource and its action. Invariant: every
 * pair is decided with exactly these facts, and what they leave open is known by name.
 */
import type { DecisionRequest } from '../../domain/decision-request.ts';
import { buildContexts, type ContextFacts } from '../context.ts';
import { findModelOperation, MODEL_TYPE } from '../model-operations.ts';
import { type PlannableAction, type Planner, qualify } from '../plan.ts';

/** What every request of the question has in common. */
export type AccessFacts = Pick<
  DecisionRequest,
  'tenant' | 'partitions' | 'onBehalfOf' | 'auth' | 'input' | 'params' | 'context'
>;

export interface AccessQuestion {
  readonly facts: AccessFacts;
  /** Bare ids of actions on models; undefined: every operation that there is. */
  readonly operations: readonly string[] | undefined;
}

/** Operations with the check that all of them begin with. */
export interface OperationGroup {
  /** `invoke`, `manage`, or the one operation that begins with itself. */
  readonly first: PlannableAction;
  readonly operations: readonly (readonly [id: string, action: PlannableAction])[];
}

export interface PreparedQuestion {
  readonly facts: AccessFacts;
  readonly groups: readonly OperationGroup[];
  /** Context keys that other requests may give other values. The time, agents and represented tenants are given. */
  readonly open: ReadonlySet<string>;
}

/** Context keys that are what the question says, also where it is silent: now, and nobody between. */
const ALWAYS_GIVEN: readonly string[] = ['now', 'via', 'onBehalfOf'];
/** Context keys with a field of their own in the request. */
const OWN_FIELDS = ['auth', 'input', 'params'] as const;

/** @throws AppError INVALID_REQUEST for unknown operations and for a context that does not fit them */
export function prepareQuestion(
  planner: Planner,
  { facts, operations }: AccessQuestion,
  context: ContextFacts,
): PreparedQuestion {
  const chosen = operations === undefined ? allOperations(planner) : namedOperations(planner, operations);
  const groups = groupByFirst(planner, chosen);
  const open = new Set<string>();
  for (const [id, action] of chosen) {
    const request: DecisionRequest = { ...facts, ...SOMEBODY, action: id, explain: 'none' };
    const subject = {
      resource: qualify('Model', SOMEBODY.resource.id),
      tenantUid: qualify('Tenant', facts.tenant ?? '?'),
    };
    const checks = planner.plan(request, action, subject);
    // whatever is wrong with the context is wrong with that of each pair
    buildContexts(planner, checks, request, context);
    for (const check of checks) {
      for (const { key } of check.contextKeys) {
        if (!isGiven(facts, key) && !Object.hasOwn(check.extra, key)) open.add(key);
      }
    }
  }
  return { facts, groups, open };
}

/** Stands in for the pairs while the question alone is looked at. */
const SOMEBODY = { principal: { type: 'User', id: '?' }, resource: { type: 'Model', id: '?' } } as const;

function isGiven(facts: AccessFacts, key: string): boolean {
  if (ALWAYS_GIVEN.includes(key)) return true;
  const own = OWN_FIELDS.find(name => name === key);
  if (own !== undefined) return facts[own] !== undefined;
  return facts.context !== undefined && Object.hasOwn(facts.context, key);
}

type Operation = readonly [id: string, action: PlannableAction];

/** Every action on models that is more than the question whether the model may be called or managed at all. */
function allOperations(planner: Planner): readonly Operation[] {
  return [...planner.actions].filter(
    ([, { kind, definition }]) =>
      kind !== 'endpoint' && kind !== 'tenant' && definition.resourceTypes.has(MODEL_TYPE),
  );
}

function namedOperations(planner: Planner, names: readonly string[]): readonly Operation[] {
  return [...new Set(names)].map(name => [name, findModelOperation(planner, name, '?operations')]);
}

function groupByFirst(planner: Planner, operations: readonly Operation[]): readonly OperationGroup[] {
  const groups = new Map<PlannableAction, Operation[]>();
  for (const operation of operations) {
    const first = firstOf(planner, operation[1]);
    const group = groups.get(first);
    if (group === undefined) groups.set(first, [operation]);
    else group.push(operation);
  }
  return [...groups].map(([first, members]) => ({ first, operations: members }));
}

function firstOf(planner: Planner, action: PlannableAction): PlannableAction {
  const name = action.kind === 'inference' ? 'invoke' : action.kind === 'lifecycle' ? 'manage' : undefined;
  return (name === undefined ? undefined : planner.find(name)) ?? action;
}
