/**
 * Cedar's operators on values. Invariant: each checks its operand types exactly as Cedar does and throws
 * TYPE_ERROR otherwise; operands are evaluated before, so nothing here decides what is evaluated.
 */
import {
  DatetimeValue,
  DurationValue,
  EntityUid,
  RecordValue,
  SetValue,
  type Value,
} from '../domain/value.ts';
import { setHas, setIncludes, setsIntersect } from './equality.ts';
import { fail } from './evaluation-error.ts';
import { isLong } from './long.ts';
import type { EvaluationRequest } from './types.ts';

/** The groups of declared actions: `CedarSchema.actions` is one. */
export type ActionGroups = ReadonlyMap<string, { readonly ancestors: ReadonlySet<string> }>;

/** `<` on two Longs, two datetimes or two durations. */
export function lessThan(a: Value, b: Value): boolean {
  if (isLong(a) && isLong(b)) return a < b;
  if (a instanceof DatetimeValue && b instanceof DatetimeValue) return a.epochMs < b.epochMs;
  if (a instanceof DurationValue && b instanceof DurationValue) return a.ms < b.ms;
  return fail('TYPE_ERROR');
}

/** `<=` on two Longs, two datetimes or two durations. */
export function lessOrEqual(a: Value, b: Value): boolean {
  if (isLong(a) && isLong(b)) return a <= b;
  if (a instanceof DatetimeValue && b instanceof DatetimeValue) return a.epochMs <= b.epochMs;
  if (a instanceof DurationValue && b instanceof DurationValue) return a.ms <= b.ms;
  return fail('TYPE_ERROR');
}

export function contains(set: Value, element: Value): boolean {
  return setHas(asSet(set), element);
}

export function containsAll(set: Value, other: Value): boolean {
  return setIncludes(asSet(set), asSet(other));
}

export function containsAny(set: Value, other: Value): boolean {
  return setsIntersect(asSet(set), asSet(other));
}

export function isEmpty(set: Value): boolean {
  return asSet(set).elements.length === 0;
}

/**
 * Whether `uid` is the entity with the key `group` or a descendant of it. Total: an entity that does not
 * exist is in itself only. The groups of a declared action come from the schema alone, so no caller can
 * forget to supply them and thereby switch off a policy on an action group.
 */
export function isMember(
  request: EvaluationRequest,
  actions: ActionGroups,
  uid: EntityUid,
  group: string,
): boolean {
  return uid.key === group || (ancestorsOf(request, actions, uid)?.has(group) ?? false);
}

/** Keys of the transitive ancestors, undefined for an entity that does not exist. */
export function ancestorsOf(
  request: EvaluationRequest,
  actions: ActionGroups,
  uid: EntityUid,
): ReadonlySet<string> | undefined {
  const { key, type } = uid;
  const ofAction = mayBeAction(type) ? actions.get(key)?.ancestors : undefined;
  return ofAction ?? request.entities.get(key)?.ancestors;
}

const LAST_OF_ACTION = 'n'.charCodeAt(0);

/** Cedar has actions of types called `Action` alone: most others are told from those by their last letter. */
function mayBeAction(type: string): boolean {
  return type.charCodeAt(type.length - 1) === LAST_OF_ACTION;
}

/** `member in group`, where the group is an entity or a set of entities; any other element is an error. */
export function isIn(
  request: EvaluationRequest,
  actions: ActionGroups,
  member: Value,
  group: Value,
): boolean {
  const uid = asEntity(member);
  if (group instanceof EntityUid) return isMember(request, actions, uid, group.key);
  const groups = asSet(group).elements.map(asEntity);
  return groups.some(candidate => isMember(request, actions, uid, candidate.key));
}

/** `target.name`. @throws EvaluationError ENTITY_MISSING, ATTRIBUTE_MISSING, TYPE_ERROR */
export function attributeOf(request: EvaluationRequest, target: Value, name: string): Value {
  if (target instanceof RecordValue) return target.entries.get(name) ?? fail('ATTRIBUTE_MISSING');
  const entity = request.entities.get(asEntity(target).key) ?? fail('ENTITY_MISSING');
  return entity.attributes.entries.get(name) ?? fail('ATTRIBUTE_MISSING');
}

/** The attribute, or undefined when it or the entity does not exist. @throws EvaluationError TYPE_ERROR */
export function findAttribute(request: EvaluationRequest, target: Value, name: string): Value | undefined {
  if (target instanceof RecordValue) return target.entries.get(name);
  return request.entities.get(asEntity(target).key)?.attributes.entries.get(name);
}

/**
 * `target has a.b.c`, which means `target has a && target.a has b && target.a.b has c`: false at the first
 * absent name, an error at the first value that has no attributes.
 */
export function hasPath(request: EvaluationRequest, target: Value, path: readonly string[]): boolean {
  let value: Value = target;
  for (const name of path) {
    const next = findAttribute(request, value, name);
    if (next === undefined) return false;
    value = next;
  }
  return true;
}

/** `target.getTag(name)`. @throws EvaluationError ENTITY_MISSING, TAG_MISSING, TYPE_ERROR */
export function tagOf(request: EvaluationRequest, target: Value, name: Value): Value {
  const uid = asEntity(target);
  const tag = asString(name);
  const entity = request.entities.get(uid.key) ?? fail('ENTITY_MISSING');
  return entity.tags.entries.get(tag) ?? fail('TAG_MISSING');
}

/** `target.hasTag(name)`; false for an entity that does not exist. */
export function hasTag(request: EvaluationRequest, target: Value, name: Value): boolean {
  const uid = asEntity(target);
  const tag = asString(name);
  return request.entities.get(uid.key)?.tags.entries.has(tag) ?? false;
}

export function asBoolean(value: Value): boolean {
  return typeof value === 'boolean' ? value : fail('TYPE_ERROR');
}

export function asString(value: Value): string {
  return typeof value === 'string' ? value : fail('TYPE_ERROR');
}

export function asEntity(value: Value): EntityUid {
  return value instanceof EntityUid ? value : fail('TYPE_ERROR');
}

function asSet(value: Value): SetValue {
  return value instanceof SetValue ? value : fail('TYPE_ERROR');
}
