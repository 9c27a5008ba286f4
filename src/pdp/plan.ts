/**
 * The plan of a decision: which Cedar checks a request asks, level by level (api.md, "The plan"). Invariant:
 * nothing the request names is left unchecked at the levels that it asks for; what its action never checks is refused.
 */
import type { ActionDefinition, CedarSchema, CedarType } from '../cedar/schema.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import { LEVELS, NAMESPACE } from '../domain/names.ts';
import type { JsonValue } from '../domain/json.ts';
import type { Level } from '../domain/reason.ts';
import { EntityUid, type Value } from '../domain/value.ts';

/** One attribute of an action's context. */
export interface ContextKey {
  readonly key: string;
  readonly type: CedarType;
  readonly required: boolean;
  /** The same number for the same key and type in every action: its value is parsed once per request. */
  readonly slot: number;
}

/** One Cedar check: (principal, action, resource) with the context keys that only this check has. */
export interface PlannedCheck {
  readonly level: Level;
  readonly action: ActionDefinition;
  readonly contextKeys: readonly ContextKey[];
  readonly resource: EntityUid;
  /** JSON by context key: `model`, `amountCents`, `path`, `classification`. */
  readonly extra: Readonly<Record<string, JsonValue>>;
  /** Where in the request the resource is named: an RFC 6901 pointer. */
  readonly pointer: string;
}

/** What an action asks for, by the group of the schema that it is in. */
type ActionKind = 'endpoint' | 'inference' | 'lifecycle' | 'tenant' | 'single';

/** An action that can be asked for. */
export interface PlannableAction {
  readonly definition: ActionDefinition;
  readonly kind: ActionKind;
  /** The same list for all actions that have the same. */
  readonly contextKeys: readonly ContextKey[];
}

/** What a plan is about, as the directory resolved it. */
export interface PlanSubject {
  readonly resource: EntityUid;
  /** The tenant whose data is used. */
  readonly tenantUid: EntityUid;
}

/** Actions that plans ask by name: a platform schema must declare them. */
const PLAN_ACTIONS = [
  'invoke',
  'manage',
  'useTenant',
  'readPartition',
  'writePartition',
  'exportPartition',
  'callTool',
  'writeOutput',
] as const;
type PlanAction = (typeof PLAN_ACTIONS)[number];

/** Entity types that plans and the directory rely on. */
const PLAN_TYPES = [
  'Tenant',
  'User',
  'Service',
  'Agent',
  'Model',
  'DataPartition',
  'Tool',
  'OutputSink',
] as const;

/** The action that each kind of access to a partition is. */
export const PARTITION_ACTIONS = {
  read: 'readPartition',
  write: 'writePartition',
  export: 'exportPartition',
} as const;
/** The extra keys of a check that has none; known by identity. */
export const NO_EXTRA: Readonly<Record<string, JsonValue>> = {};

/** Fully qualified uid of an entity named without its namespace. */
export function qualify(type: string, id: string): EntityUid {
  return new EntityUid(`${NAMESPACE}::${type}`, id);
}

/** What a platform schema lacks to serve plans; empty when it serves them. */
export function checkPlanVocabulary(schema: CedarSchema): readonly Problem[] {
  const missing = [
    ...PLAN_ACTIONS.filter(id => askable(schema, id) === undefined).map(id => `action \`${id}\``),
    ...PLAN_TYPES.filter(name => !schema.entityTypes.has(`${NAMESPACE}::${name}`)).map(
      name => `entity type \`${name}\``,
    ),
  ];
  return missing.map(what => ({
    message: `the schema does not declare ${what} in namespace ${NAMESPACE}`,
    hint: 'start from the shipped schema/model-serving.cedarschema and add to it',
  }));
}

/** Plans requests under one schema; built once per schema. */
export class Planner {
  readonly #actions: ReadonlyMap<string, PlannableAction>;
  readonly #named: Readonly<Record<PlanAction, PlannableAction>>;
  /** A null for every slot that the context keys of all actions take together: copied, it is an empty parse. */
  readonly unparsed: readonly null[];
  /** By slot: values of the defaults of a context, parsed when they are first asked for. They depend on the schema alone. */
  readonly defaultValues = new Map<number, Value>();

  /** @throws Error when the schema lacks the plan's vocabulary; checkPlanVocabulary tells beforehand. */
  constructor(schema: CedarSchema) {
    const actions = new Map<string, PlannableAction>();
    const slots = new SlotNumbers();
    const keyLists = new Map<string, readonly ContextKey[]>();
    for (const definition of schema.actions.values()) {
      if (definition.uid.type !== `${NAMESPACE}::Action` || definition.principalTypes.size === 0) continue;
      const contextKeys = shareList(keyLists, contextKeysOf(definition, slots));
      actions.set(definition.uid.id, { definition, kind: classify(definition), contextKeys });
    }
    this.#actions = actions;
    this.unparsed = Array.from({ length: slots.count }, () => null);
    const named = (id: PlanAction): PlannableAction => {
      const action = actions.get(id);
      if (action === undefined) throw new Error(`the schema declares no action ${id}`);
      return action;
    };
    this.#named = {
      invoke: named('invoke'),
      manage: named('manage'),
      useTenant: named('useTenant'),
      readPartition: named('readPartition'),
      writePartition: named('writePartition'),
      exportPartition: named('exportPartition'),
      callTool: named('callTool'),
      writeOutput: named('writeOutput'),
    };
  }

  /** Looks up an action by its bare id; undefined for unknown ids and for pure groups, which nobody can ask for. */
  find(id: string): PlannableAction | undefined {
    return this.#actions.get(id);
  }

  /** Every action that can be asked for, by its bare id. */
  get actions(): ReadonlyMap<string, PlannableAction> {
    return this.#actions;
  }

  /**
   * The checks of a request whose action is known, in the order endpoint, tenant, action.
   * @throws AppError INVALID_REQUEST when the request names things that its action never checks, or asks
   * for levels alone at which it has no check.
   */
  plan(request: DecisionRequest, action: PlannableAction, subject: PlanSubject): readonly PlannedCheck[] {
    const { resource, tenantUid } = subject;
    let checks: readonly PlannedCheck[];
    if (action.kind === 'inference' || action.kind === 'lifecycle') {
      checks = this.#planOperation(request, action, resource, tenantUid);
    } else {
      refuseItems(request);
      const level = action.kind === 'single' ? 'action' : action.kind;
      checks = [checkOf(level, action, resource, '/resource', NO_EXTRA)];
    }
    return request.levels === undefined ? checks : keepLevels(checks, request.levels, request.action);
  }

  #planOperation(
    request: DecisionRequest,
    action: PlannableAction,
    resource: EntityUid,
    tenant: EntityUid,
  ): PlannedCheck[] {
    const named = this.#named;
    const model = { model: request.resource.id };
    const endpoint = action.kind === 'inference' ? named.invoke : named.manage;
    const checks = [checkOf('endpoint', endpoint, resource, '/resource', NO_EXTRA)];
    if (request.partitions === undefined || request.partitions.length === 0) {
      checks.push(checkOf('tenant', named.useTenant, tenant, '/tenant', model));
    } else {
      for (const [position, { id, access }] of request.partitions.entries()) {
        const partition = qualify('DataPartition', id);
        const asked = named[PARTITION_ACTIONS[access]];
        checks.push(checkOf('tenant', asked, partition, `/partitions/${position}`, model));
      }
    }
    checks.push(checkOf('action', action, resource, '/resource', NO_EXTRA));
    for (const [position, { id, amountCents }] of (request.tools ?? []).entries()) {
      const extra = amountCents === undefined ? model : { ...model, amountCents };
      checks.push(checkOf('action', named.callTool, qualify('Tool', id), `/tools/${position}`, extra));
    }
    for (const [position, { id, path, classification }] of (request.outputs ?? []).entries()) {
      const extra = { ...model, path, classification };
      const sink = qualify('OutputSink', id);
      checks.push(checkOf('action', named.writeOutput, sink, `/outputs/${position}`, extra));
    }
    return checks;
  }
}

function contextKeysOf({ context }: ActionDefinition, slots: SlotNumbers): ContextKey[] {
  return [...context.attributes].map(([key, { type, required }]) => ({
    key,
    type,
    required,
    slot: slots.of(key, type),
  }));
}

/** The list that already has the same keys, so that checks with one list can have one context. */
function shareList(lists: Map<string, readonly ContextKey[]>, made: ContextKey[]): readonly ContextKey[] {
  const id = made.map(({ slot, required }) => `${slot}${required ? '!' : '?'}`).join(' ');
  const known = lists.get(id) ?? made;
  lists.set(id, known);
  return known;
}

/** Numbers the distinct pairs of context key and type. */
class SlotNumbers {
  readonly #byKey = new Map<string, Map<CedarType, number>>();
  count = 0;

  of(key: string, type: CedarType): number {
    const byType = this.#byKey.get(key) ?? new Map<CedarType, number>();
    this.#byKey.set(key, byType);
    const slot = byType.get(type) ?? this.count++;
    byType.set(type, slot);
    return slot;
  }
}

function checkOf(
  level: Level,
  { definition, contextKeys }: PlannableAction,
  resource: EntityUid,
  pointer: string,
  extra: Readonly<Record<string, JsonValue>>,
): PlannedCheck {
  return { level, action: definition, contextKeys, resource, extra, pointer };
}

function keepLevels(
  checks: readonly PlannedCheck[],
  levels: readonly Level[],
  action: string,
): readonly PlannedCheck[] {
  const kept = checks.filter(check => levels.includes(check.level));
  if (kept.length > 0) return kept;
  const possible = LEVELS.filter(level => checks.some(check => check.level === level));
  throw new AppError('INVALID_REQUEST', `action \`${action}\` has no check at level ${levels.join(', ')}`, {
    problems: [
      {
        pointer: '/levels',
        message: `action \`${action}\` has no check at level ${levels.join(', ')}`,
        hint: `ask for ${possible.join(', ')}, or leave levels out`,
      },
    ],
  });
}

/** A single check reads no partition, tool or output: naming one there would look checked and not be. */
function refuseItems(request: DecisionRequest): void {
  const problems: Problem[] = [];
  for (const name of ['partitions', 'tools', 'outputs'] as const) {
    if ((request[name]?.length ?? 0) > 0) {
      problems.push({
        pointer: `/${name}`,
        message: `action \`${request.action}\` checks its resource alone, so \`${name}\` would not be decided`,
        hint: 'name the operation (such as `generate`) as the action, or ask for each item by its own action',
      });
    }
  }
  if (problems.length > 0) {
    throw new AppError('INVALID_REQUEST', 'the request names things that its action does not check', {
      problems,
    });
  }
}

function classify(action: ActionDefinition): ActionKind {
  if (action.uid.id === 'invoke' || action.uid.id === 'manage') return 'endpoint';
  if (action.ancestors.has(actionKey('Inference'))) return 'inference';
  if (action.ancestors.has(actionKey('Lifecycle'))) return 'lifecycle';
  if (action.ancestors.has(actionKey('DataAccess'))) return 'tenant';
  return 'single';
}

function askable(schema: CedarSchema, id: string): ActionDefinition | undefined {
  const action = schema.actions.get(actionKey(id));
  return action !== undefined && action.principalTypes.size > 0 ? action : undefined;
}

function actionKey(id: string): string {
  return `${NAMESPACE}::Action::"${id}"`;
}
