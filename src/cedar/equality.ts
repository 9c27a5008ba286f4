/**
 * Cedar equality. Invariants: `valueEquals` is total (values of different types are unequal, never an
 * error), and two values are equal exactly when their `valueKey`s are the same string.
 */
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  EntityUid,
  IpValue,
  RecordValue,
  SetValue,
  type Value,
} from '../domain/value.ts';

/** Up to this many elements, comparing one by one is faster than building the key to look up. */
const SCAN_LIMIT = 8;

/** Cedar `==`. Entities are compared by type and id alone; extension values by what they denote. */
export function valueEquals(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (a instanceof EntityUid) return b instanceof EntityUid && a.key === b.key;
  if (a instanceof SetValue) return b instanceof SetValue && setEquals(a, b);
  if (a instanceof RecordValue) return b instanceof RecordValue && recordEquals(a, b);
  if (a instanceof IpValue) {
    return b instanceof IpValue && a.version === b.version && a.bits === b.bits && a.prefix === b.prefix;
  }
  if (a instanceof DecimalValue) return b instanceof DecimalValue && a.units === b.units;
  if (a instanceof DatetimeValue) return b instanceof DatetimeValue && a.epochMs === b.epochMs;
  return b instanceof DurationValue && a.ms === b.ms;
}

/** Whether a set holds a value equal to `value`. */
export function setHas(set: SetValue, value: Value): boolean {
  return set.elements.length > SCAN_LIMIT ? set.keys.has(valueKey(value)) : scan(set.elements, value);
}

function scan(elements: readonly Value[], value: Value): boolean {
  for (const element of elements) if (valueEquals(element, value)) return true;
  return false;
}

/** Whether every element of `inner` is in `outer`. */
export function setIncludes(outer: SetValue, inner: SetValue): boolean {
  if (inner.elements.length > outer.elements.length) return false;
  for (const element of inner.elements) if (!setHas(outer, element)) return false;
  return true;
}

/** Whether the sets share an element. */
export function setsIntersect(a: SetValue, b: SetValue): boolean {
  const [small, large] = a.elements.length <= b.elements.length ? [a, b] : [b, a];
  for (const element of small.elements) if (setHas(large, element)) return true;
  return false;
}

function setEquals(a: SetValue, b: SetValue): boolean {
  return a.elements.length === b.elements.length && setIncludes(a, b);
}

function recordEquals(a: RecordValue, b: RecordValue): boolean {
  if (a.entries.size !== b.entries.size) return false;
  for (const [name, value] of a.entries) {
    const other = b.entries.get(name);
    if (other === undefined || !valueEquals(value, other)) return false;
  }
  return true;
}

/**
 * A string that identifies a value. It is injective because every form is self-delimiting: a tag that
 * names the type, then either a text behind its length, a number up to `;`, or members up to a bracket.
 */
export function valueKey(value: Value): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 'T' : 'F';
    case 'number':
    case 'bigint':
      return `i${value};`;
    case 'string':
      return `s${counted(value)}`;
    default:
      return objectKey(value);
  }
}

function objectKey(value: Exclude<Value, boolean | number | bigint | string>): string {
  if (value instanceof EntityUid) return `e${counted(value.type)}${counted(value.id)}`;
  if (value instanceof SetValue) return `[${[...value.keys].sort().join('')}]`;
  if (value instanceof RecordValue) {
    const names = [...value.entries.keys()].sort();
    let fields = '';
    for (const name of names) {
      const field = value.entries.get(name);
      if (field !== undefined) fields += counted(name) + valueKey(field);
    }
    return `{${fields}}`;
  }
  if (value instanceof IpValue) return `a${value.version}/${value.prefix}/${value.bits};`;
  if (value instanceof DecimalValue) return `d${value.units};`;
  if (value instanceof DatetimeValue) return `t${value.epochMs};`;
  return `u${value.ms};`;
}

function counted(text: string): string {
  return `${text.length}:${text}`;
}

/**
 * A set of the elements, the first of equal ones kept. As a rule all differ and are copied as one: V8 remembers of an
 * array literal that what it makes grows old, as the sets of a directory do, and then places the sets of requests among
 * the old objects too, where only a collection of the whole heap frees them.
 */
export function makeSet(elements: readonly Value[]): SetValue {
  if (elements.length > SCAN_LIMIT) {
    const byKey = new Map<string, Value>();
    for (const element of elements) {
      const key = valueKey(element);
      if (!byKey.has(key)) byKey.set(key, element);
    }
    return new SetValue([...byKey.values()], valueKey);
  }
  return new SetValue(areDistinct(elements) ? elements.slice() : withoutEqual(elements), valueKey);
}

function areDistinct(elements: readonly Value[]): boolean {
  for (let at = 1; at < elements.length; at++) {
    const element = elements[at];
    for (let before = 0; before < at; before++) {
      const earlier = elements[before];
      if (element !== undefined && earlier !== undefined && valueEquals(earlier, element)) return false;
    }
  }
  return true;
}

function withoutEqual(elements: readonly Value[]): readonly Value[] {
  const distinct: Value[] = [];
  for (const element of elements) if (!scan(distinct, element)) distinct.push(element);
  return distinct;
}

/** The set without elements. */
export const EMPTY_SET = makeSet([]);
/** The record without fields: an absent context, attributes or tags. */
export const EMPTY_RECORD = new RecordValue(new Map());
