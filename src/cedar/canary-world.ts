/**
 * A plausible request for every environment of a schema, made from the schema alone. Invariant: the data
 * conforms to the schema and the entities form no cycle, so that cedar-wasm accepts every canary.
 */
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  type Entity,
  EntityUid,
  IpValue,
  RecordValue,
  type Value,
} from '../domain/value.ts';
import type { PolicyAst, ScopeConstraint } from './ast.ts';
import { EMPTY_RECORD, makeSet } from './equality.ts';
import type { ActionDefinition, CedarSchema, CedarType, RecordType } from './schema.ts';
import type { EvaluationRequest } from './types.ts';

/** Which action asks about what types: Cedar type-checks a policy once for each. */
export interface RequestEnvironment {
  readonly action: ActionDefinition;
  readonly principalType: string;
  readonly resourceType: string;
}

/** Whether optional attributes are there: `has` takes one branch in each. */
export type Filling = 'full' | 'sparse';

/** One entity per type, each the member of all that it may be a member of. */
export class CanaryWorld {
  readonly entities: readonly Entity[];
  readonly #schema: CedarSchema;
  readonly #filling: Filling;
  readonly #byKey: ReadonlyMap<string, Entity>;

  constructor(schema: CedarSchema, filling: Filling) {
    this.#schema = schema;
    this.#filling = filling;
    this.entities = [...schema.entityTypes.values()]
      .filter(definition => definition.enumeration === undefined)
      .map(definition => ({
        uid: this.#uidOf(definition.name),
        attributes: this.#record(definition.shape),
        tags: definition.tags === undefined ? EMPTY_RECORD : this.#tags(definition.tags),
        ancestors: this.#ancestorsOf(definition.name),
      }));
    this.#byKey = new Map(this.entities.map(entity => [entity.uid.key, entity]));
  }

  requestFor(environment: RequestEnvironment): EvaluationRequest {
    return {
      principal: this.#uidOf(environment.principalType),
      action: environment.action.uid,
      resource: this.#uidOf(environment.resourceType),
      context: this.#record(environment.action.context),
      entities: this.#byKey,
    };
  }

  #uidOf(type: string): EntityUid {
    const [first] = this.#schema.entityTypes.get(type)?.enumeration ?? [];
    return new EntityUid(type, first ?? 'canary');
  }

  /** Types reachable upwards. Of two types that may contain each other only the earlier is the member. */
  #ancestorsOf(type: string): ReadonlySet<string> {
    const order = [...this.#schema.entityTypes.keys()];
    const found = new Set<string>();
    const pending = [type];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const parent of this.#schema.entityTypes.get(next)?.memberOf ?? []) {
        const key = this.#uidOf(parent).key;
        if (order.indexOf(parent) <= order.indexOf(next) || found.has(key)) continue;
        found.add(key);
        pending.push(parent);
      }
    }
    return found;
  }

  #tags(type: CedarType): RecordValue {
    return this.#filling === 'sparse'
      ? EMPTY_RECORD
      : new RecordValue(new Map([['canary', this.#value(type)]]));
  }

  #record(type: RecordType): RecordValue {
    const entries = new Map<string, Value>();
    for (const [name, attribute] of type.attributes) {
      if (attribute.required || this.#filling === 'full') entries.set(name, this.#value(attribute.type));
    }
    return new RecordValue(entries);
  }

  #value(type: CedarType): Value {
    switch (type.kind) {
      case 'boolean':
        return this.#filling === 'full';
      case 'long':
        return this.#filling === 'full' ? 1 : 0;
      case 'string':
        return 'canary';
      case 'entity':
        return this.#uidOf(type.name);
      case 'set':
        return makeSet(this.#filling === 'full' ? [this.#value(type.element)] : []);
      case 'record':
        return this.#record(type);
      default:
        return EXTENSION_VALUES[type.name]();
    }
  }
}

const EXTENSION_VALUES = {
  ipaddr: () => new IpValue(4, 0x7f000001n, 32),
  decimal: () => new DecimalValue(10_000),
  datetime: () => new DatetimeValue(1_767_225_600_000),
  duration: () => new DurationValue(3_600_000),
} as const;

/** The first environment in which the policy's scope can match; undefined when there is none. */
export function findEnvironment(
  schema: CedarSchema,
  scope: PolicyAst['scope'],
): RequestEnvironment | undefined {
  for (const action of schema.actions.values()) {
    if (!matchesAction(scope.action, action)) continue;
    const principalType = findType(schema, scope.principal, action.principalTypes);
    const resourceType = findType(schema, scope.resource, action.resourceTypes);
    if (principalType !== undefined && resourceType !== undefined)
      return { action, principalType, resourceType };
  }
  return undefined;
}

function matchesAction(constraint: PolicyAst['scope']['action'], action: ActionDefinition): boolean {
  switch (constraint.kind) {
    case 'any':
      return true;
    case 'equal':
      return constraint.uid.key === action.uid.key;
    default:
      return constraint.uids.some(({ key }) => key === action.uid.key || action.ancestors.has(key));
  }
}

function findType(
  schema: CedarSchema,
  constraint: ScopeConstraint,
  types: ReadonlySet<string>,
): string | undefined {
  return [...types].find(type => {
    switch (constraint.kind) {
      case 'any':
        return true;
      case 'equal':
        return constraint.uid.type === type;
      case 'in':
        return canBeIn(schema, type, constraint.uid.type);
      case 'is':
        return constraint.entityType === type;
      default:
        return constraint.entityType === type && canBeIn(schema, type, constraint.uid.type);
    }
  });
}

/** Whether an entity of one type can be, or be below, an entity of the other. */
function canBeIn(schema: CedarSchema, type: string, group: string): boolean {
  const seen = new Set([type]);
  for (const next of seen) {
    if (next === group) return true;
    for (const parent of schema.entityTypes.get(next)?.memberOf ?? []) seen.add(parent);
  }
  return false;
}
