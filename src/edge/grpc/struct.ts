/** google.protobuf.Struct, in the form in which it is decoded and encoded: read by a path, made from texts. */
import type { Struct } from './check-messages.ts';

/** A value of a Struct that is made here. */
export type StructValue = string | number | readonly string[] | { readonly [name: string]: StructValue };

/** @returns the text at the path; undefined when there is none, or something else than a text. */
export function textAt(struct: Struct | undefined, path: readonly string[]): string | undefined {
  let value: unknown = { structValue: struct };
  for (const name of path) value = member(member(member(value, 'structValue'), 'fields'), name);
  const text = member(value, 'stringValue');
  return typeof text === 'string' ? text : undefined;
}

export function makeStruct(values: Readonly<Record<string, StructValue>>): Struct {
  return {
    fields: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, encoded(value)])),
  };
}

function encoded(value: StructValue): Record<string, unknown> {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { numberValue: value };
  // an empty list or struct is encoded without its members, and decoded so
  if (!isList(value)) return { structValue: Object.keys(value).length === 0 ? {} : makeStruct(value) };
  return { listValue: value.length === 0 ? {} : { values: value.map(stringValue => ({ stringValue })) } };
}

function isList(value: StructValue): value is readonly string[] {
  return Array.isArray(value);
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
