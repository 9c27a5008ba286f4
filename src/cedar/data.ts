/**
 * Wire JSON to Cedar values, directed by the schema. Invariants: a value exists only if the schema asked for
 * it and its JSON fits exactly; Cedar's JSON escapes (`__entity`, `__extn`, `__expr`) mean nothing here and
 * are refused, so no caller can smuggle in an entity, an extension call or an `unknown`.
 */
import type { Problem } from '../domain/errors.ts';
import { ID_PATTERN } from '../domain/ids.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { nearest } from '../domain/spelling.ts';
import { EntityUid, RecordValue, type Value } from '../domain/value.ts';
import { makeSet } from './equality.ts';
import { EXTENSION_FORMS, parseExtension } from './extension-text.ts';
import type { CedarType, RecordType } from './schema.ts';
import { RESERVED_KEYS } from './schema-types.ts';

/** Most elements of one set: `contains` is a hash look-up, but every element is parsed and logged. */
export const MAX_SET_VALUES = 1_024;
/** Longest string in UTF-16 code units: attributes are facts to compare, not documents. */
export const MAX_STRING_LENGTH = 8_192;
/** Most of the input that a message quotes, in UTF-16 code units. */
const MAX_QUOTED = 64;
/** Most problems of one document: a megabyte of wrong elements must not become a megabyte of complaints. */
export const MAX_PROBLEMS = 100;

/**
 * The value that `json` stands for under `type`; undefined when it does not fit, with every reason added to
 * `problems` (at most `MAX_PROBLEMS` in all).
 * @param pointer RFC 6901 pointer of `json`
 */
export function parseAttribute(
  type: CedarType,
  json: JsonValue,
  pointer: string,
  problems: Problem[],
): Value | undefined {
  switch (type.kind) {
    case 'boolean':
      return typeof json === 'boolean' ? json : mismatch(type, json, pointer, problems);
    case 'string':
      return typeof json === 'string'
        ? parseString(json, pointer, problems)
        : mismatch(type, json, pointer, problems);
    case 'long':
      return typeof json === 'number'
        ? parseLong(json, pointer, problems)
        : mismatch(type, json, pointer, problems);
    case 'entity':
      return parseReference(type, json, pointer, problems);
    case 'extension': {
      if (typeof json !== 'string') return mismatch(type, json, pointer, problems);
      const value = json.length <= MAX_STRING_LENGTH ? parseExtension(type.name, json) : undefined;
      return value ?? mismatch(type, json, pointer, problems);
    }
    case 'set':
      return Array.isArray(json)
        ? parseSet(type.element, json, pointer, problems)
        : mismatch(type, json, pointer, problems);
    default:
      return isJsonObject(json)
        ? parseRecord(type, json, pointer, problems)
        : mismatch(type, json, pointer, problems);
  }
}

/** Like `parseAttribute`, for a record: all declared required attributes present, and no undeclared one. */
export function parseRecord(
  type: RecordType,
  json: JsonObject,
  pointer: string,
  problems: Problem[],
): RecordValue | undefined {
  const entries = new Map<string, Value>();
  let present = 0;
  let complete = true;
  for (const [name, attribute] of type.attributes) {
    const member = Object.hasOwn(json, name) ? json[name] : undefined;
    if (member === undefined) {
      if (!attribute.required) continue;
      complete = false;
      addProblem(problems, {
        pointer: child(pointer, name),
        message: `the attribute \`${name}\` is missing`,
        hint: `add \`${name}\`: ${describe(attribute.type)}`,
      });
      continue;
    }
    present += 1;
    const value = parseAttribute(attribute.type, member, child(pointer, name), problems);
    if (value === undefined) complete = false;
    else entries.set(name, value);
  }
  const keys = Object.keys(json);
  if (keys.length !== present) {
    refuseUnknownKeys(type, keys, pointer, problems);
    return undefined;
  }
  return complete ? new RecordValue(entries) : undefined;
}

function refuseUnknownKeys(
  type: RecordType,
  keys: readonly string[],
  pointer: string,
  problems: Problem[],
): void {
  for (const key of keys) {
    if (type.attributes.has(key)) continue;
    if (problems.length >= MAX_PROBLEMS) return;
    if (RESERVED_KEYS.has(key)) {
      addProblem(problems, escapeProblem(key, child(pointer, key)));
      continue;
    }
    const near = nearest(key, type.attributes.keys());
    const known = [...type.attributes.keys()].map(name => `\`${name}\``).join(', ');
    addProblem(problems, {
      pointer: child(pointer, key),
      message: `unknown attribute ${quote(key)}`,
      hint:
        near !== undefined
          ? `did you mean \`${near}\`?`
          : known === ''
            ? 'the schema declares no attributes here'
            : `the schema declares ${known}`,
    });
  }
}

function parseString(text: string, pointer: string, problems: Problem[]): string | undefined {
  if (text.length > MAX_STRING_LENGTH) {
    return addProblem(problems, {
      pointer,
      message: `the string has ${text.length} characters, the most is ${MAX_STRING_LENGTH}`,
    });
  }
  if (!text.isWellFormed()) {
    return addProblem(problems, {
      pointer,
      message: 'the string holds a lone surrogate, which is not a character',
      hint: 'send well-formed Unicode',
    });
  }
  return text;
}

function parseLong(number: number, pointer: string, problems: Problem[]): number | undefined {
  // Adding zero turns -0 into 0, which is the canonical form.
  if (Number.isSafeInteger(number)) return number + 0;
  return addProblem(problems, {
    pointer,
    message: `\`${number}\` is not an integer between -9007199254740991 and 9007199254740991`,
    hint: 'larger integers and fractions are not exact in JSON; use a smaller unit, or `decimal`',
  });
}

/** A reference as `{"type", "id"}`, or the bare id: the schema leaves exactly one type. */
function parseReference(
  type: Extract<CedarType, { kind: 'entity' }>,
  json: JsonValue,
  pointer: string,
  problems: Problem[],
): EntityUid | undefined {
  if (typeof json === 'string') return parseEntityId(type, json, pointer, problems);
  if (!isJsonObject(json)) return mismatch(type, json, pointer, problems);
  const keys = Object.keys(json);
  const escape = keys.find(key => RESERVED_KEYS.has(key));
  if (escape !== undefined) return addProblem(problems, escapeProblem(escape, child(pointer, escape)));
  const named = Object.hasOwn(json, 'type') ? json['type'] : undefined;
  const id = Object.hasOwn(json, 'id') ? json['id'] : undefined;
  if (keys.length !== 2 || typeof named !== 'string' || typeof id !== 'string') {
    return mismatch(type, json, pointer, problems);
  }
  if (named !== shortName(type.name)) {
    return addProblem(problems, {
      pointer: child(pointer, 'type'),
      message: `the type is ${quote(named)}, the schema asks for \`${shortName(type.name)}\``,
      hint: `write \`"type": "${shortName(type.name)}"\``,
    });
  }
  return parseEntityId(type, id, child(pointer, 'id'), problems);
}

function parseEntityId(
  type: Extract<CedarType, { kind: 'entity' }>,
  id: string,
  pointer: string,
  problems: Problem[],
): EntityUid | undefined {
  if (!isEntityId(id)) {
    return addProblem(problems, {
      pointer,
      message: 'the id must be 1 to 256 printable ASCII characters without space, double quote and backslash',
    });
  }
  if (type.enumeration !== undefined && !type.enumeration.has(id)) {
    return addProblem(problems, enumerationProblem(shortName(type.name), type.enumeration, id, pointer));
  }
  return new EntityUid(type.name, id);
}

function parseSet(
  element: CedarType,
  json: readonly JsonValue[],
  pointer: string,
  problems: Problem[],
): Value | undefined {
  if (json.length > MAX_SET_VALUES) {
    return addProblem(problems, {
      pointer,
      message: `the set has ${json.length} elements, the most is ${MAX_SET_VALUES}`,
      hint: 'use parents or a group entity for large sets',
    });
  }
  const elements: Value[] = [];
  for (let i = 0; i < json.length; i++) {
    const item = json[i];
    const value = item === undefined ? undefined : parseAttribute(element, item, `${pointer}/${i}`, problems);
    if (value !== undefined) elements.push(value);
  }
  return elements.length === json.length ? makeSet(elements) : undefined;
}

/** Whether a text is an id by api.md. */
export function isEntityId(id: string): boolean {
  return ID_PATTERN.test(id);
}

export function enumerationProblem(
  typeName: string,
  ids: ReadonlySet<string>,
  id: string,
  pointer: string,
): Problem {
  const near = nearest(id, ids);
  return {
    pointer,
    message: `the type \`${typeName}\` has no entity ${quote(id)}`,
    hint: near === undefined ? `one of ${[...ids].map(quote).join(', ')}` : `did you mean \`${near}\`?`,
  };
}

function escapeProblem(key: string, pointer: string): Problem {
  return {
    pointer,
    message: `\`${key}\` is not accepted: values are written plainly and the schema says their type`,
    hint: 'write an entity as {"type": "…", "id": "…"}, and ip, decimal, datetime and duration as strings',
  };
}

function mismatch(type: CedarType, json: JsonValue, pointer: string, problems: Problem[]): undefined {
  const escape = isJsonObject(json) ? Object.keys(json).find(key => RESERVED_KEYS.has(key)) : undefined;
  if (escape !== undefined) return addProblem(problems, escapeProblem(escape, child(pointer, escape)));
  return addProblem(problems, {
    pointer,
    message: `this must be ${describe(type)}, not ${describeJson(json)}`,
  });
}

/** What the wire form of a type is, for people. */
function describe(type: CedarType): string {
  switch (type.kind) {
    case 'boolean':
      return 'true or false';
    case 'long':
      return 'an integer';
    case 'string':
      return 'a string';
    case 'entity':
      return `a reference {"type": "${shortName(type.name)}", "id": "…"} or the bare id`;
    case 'extension':
      return EXTENSION_FORMS[type.name];
    case 'set':
      return `an array, each element ${describe(type.element)}`;
    default:
      return 'an object';
  }
}

function describeJson(json: JsonValue): string {
  if (json === null) return 'null';
  if (Array.isArray(json)) return 'an array';
  if (typeof json === 'string') return quote(json);
  if (typeof json === 'object') return 'an object';
  return `\`${json}\``;
}

/** User input in backticks, short enough for a message and on one line. */
export function quote(text: string): string {
  const line = text.slice(0, MAX_QUOTED).replaceAll(/[\p{C}\p{Zl}\p{Zp}`]/gu, '·');
  return text.length > MAX_QUOTED ? `\`${line}…\`` : `\`${line}\``;
}

/** A type name as the wire has it: without its namespace. */
export function shortName(typeName: string): string {
  const separator = typeName.lastIndexOf('::');
  return separator < 0 ? typeName : typeName.slice(separator + 2);
}

/** Adds a problem unless there are enough. Returns undefined, so that a failing parser can return its call. */
export function addProblem(problems: Problem[], problem: Problem): undefined {
  if (problems.length < MAX_PROBLEMS) problems.push(problem);
  return undefined;
}

/** RFC 6901: the pointer of a member. */
export function child(pointer: string, name: string): string {
  // this is on the decision path, and almost no name needs escaping
  const needsEscape = name.includes('/') || name.includes('~');
  return `${pointer}/${needsEscape ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name}`;
}

function isJsonObject(json: JsonValue): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
