/**
 * Directory entities from wire JSON to what Cedar sees, and values back to wire JSON. Invariant: an entity
 * that parses conforms to the schema exactly as cedar-wasm's own conformance check would demand, and more.
 */
import type { Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { tenantPrefix } from '../domain/names.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { nearest } from '../domain/spelling.ts';
import { EntityUid, RecordValue, SetValue, type Value } from '../domain/value.ts';
import { EMPTY_RECORD } from './equality.ts';
import {
  addProblem,
  child,
  enumerationProblem,
  isEntityId,
  MAX_PROBLEMS,
  parseAttribute,
  parseRecord,
  quote,
  shortName,
} from './data.ts';
import { formatExtension } from './extension-text.ts';
import type { CedarSchema, CedarType, EntityTypeDefinition } from './schema.ts';

/** Most tags of one entity: each is a value that a policy may compare with. */
export const MAX_TAGS = 256;
/** Longest tag name in UTF-16 code units. */
const MAX_TAG_NAME = 256;

/** An entity as it stands on the wire; only `type` is fully qualified: `AI::User`. */
export interface EntityInput {
  readonly type: string;
  readonly id: string;
  readonly attributes: JsonObject;
  readonly parents: readonly EntityRef[];
  readonly tags: JsonObject;
}

interface EntityData {
  readonly uid: EntityUid;
  readonly attributes: RecordValue;
  readonly tags: RecordValue;
  readonly parents: readonly EntityUid[];
}

export type EntityDataResult =
  | { readonly ok: true; readonly data: EntityData }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Parses an entity by its type. Problems point into the entity's body (`/attributes/…`, `/parents/0`,
 * `/tags/…`; `/id` and `/type` for the identity); all are listed, up to `MAX_PROBLEMS`.
 */
export function parseEntityData(schema: CedarSchema, input: EntityInput): EntityDataResult {
  const definition = schema.entityTypes.get(input.type);
  if (definition === undefined) return { ok: false, problems: [unknownType(schema, input.type)] };
  const problems: Problem[] = [];
  checkIdentity(definition, input.id, problems);
  const attributes = parseRecord(definition.shape, input.attributes, '/attributes', problems);
  const tags = parseTags(definition.tags, input.tags, problems);
  const parents = parseParents(schema, definition, input, problems);
  if (problems.length > 0 || attributes === undefined) return { ok: false, problems };
  return { ok: true, data: { uid: new EntityUid(input.type, input.id), attributes, tags, parents } };
}

/**
 * Fills in what an entity may leave out: `tenant` (the tenant named by the id's prefix; a Tenant is its own)
 * and `sharedWith` (nobody), where the schema has these attributes. What is given is never changed.
 */
export function applyEntityDefaults(schema: CedarSchema, input: EntityInput): EntityInput {
  const definition = schema.entityTypes.get(input.type);
  if (definition === undefined) return input;
  const defaults: Record<string, JsonValue> = {};
  const tenant = definition.shape.attributes.get('tenant')?.type;
  if (tenant?.kind === 'entity' && !Object.hasOwn(input.attributes, 'tenant')) {
    const owner = tenant.name === input.type ? input.id : tenantPrefix(input.id);
    if (owner !== undefined) defaults['tenant'] = { type: shortName(tenant.name), id: owner };
  }
  const shared = definition.shape.attributes.get('sharedWith')?.type;
  if (shared?.kind === 'set' && !Object.hasOwn(input.attributes, 'sharedWith')) defaults['sharedWith'] = [];
  if (Object.keys(defaults).length === 0) return input;
  return { ...input, attributes: { ...input.attributes, ...defaults } };
}

/** The wire form of a value: references as `{"type", "id"}`, extension values as strings. */
function toWireJson(value: Value): JsonValue {
  if (typeof value === 'bigint') throw new Error('an integer beyond 2^53 has no wire form');
  if (typeof value !== 'object') return value;
  if (value instanceof EntityUid) return { type: shortName(value.type), id: value.id };
  if (value instanceof SetValue) return value.elements.map(toWireJson);
  if (value instanceof RecordValue) return recordToWireJson(value);
  const text = formatExtension(value);
  if (text === undefined) throw new Error('a time outside the years 0 to 9999 has no wire form');
  return text;
}

export function recordToWireJson(record: RecordValue): JsonObject {
  // Object.fromEntries defines own properties, so that a key such as `__proto__` stays data.
  return Object.fromEntries([...record.entries].map(([name, value]) => [name, toWireJson(value)]));
}

function checkIdentity(definition: EntityTypeDefinition, id: string, problems: Problem[]): void {
  if (!isEntityId(id)) {
    addProblem(problems, {
      pointer: '/id',
      message: 'the id must be 1 to 256 printable ASCII characters without space, double quote and backslash',
    });
  } else if (definition.enumeration !== undefined && !definition.enumeration.has(id)) {
    addProblem(problems, enumerationProblem(shortName(definition.name), definition.enumeration, id, '/id'));
  }
}

function parseTags(type: CedarType | undefined, tags: JsonObject, problems: Problem[]): RecordValue {
  const names = Object.keys(tags);
  if (names.length === 0) return EMPTY_RECORD;
  if (type === undefined) {
    addProblem(problems, {
      pointer: '/tags',
      message: 'entities of this type have no tags',
      hint: 'declare `tags` in the schema, or use attributes',
    });
    return EMPTY_RECORD;
  }
  if (names.length > MAX_TAGS) {
    addProblem(problems, {
      pointer: '/tags',
      message: `there are ${names.length} tags, the most is ${MAX_TAGS}`,
    });
    return EMPTY_RECORD;
  }
  const entries = new Map<string, Value>();
  for (const name of names) {
    if (name.length > MAX_TAG_NAME || !name.isWellFormed()) {
      addProblem(problems, {
        pointer: child('/tags', name.slice(0, MAX_TAG_NAME)),
        message: `the tag name must be well-formed and at most ${MAX_TAG_NAME} characters long`,
      });
      continue;
    }
    const json = tags[name];
    const value = json === undefined ? undefined : parseAttribute(type, json, child('/tags', name), problems);
    if (value !== undefined) entries.set(name, value);
  }
  return new RecordValue(entries);
}

function parseParents(
  schema: CedarSchema,
  definition: EntityTypeDefinition,
  input: EntityInput,
  problems: Problem[],
): readonly EntityUid[] {
  const parents: EntityUid[] = [];
  for (const [i, ref] of input.parents.entries()) {
    if (problems.length >= MAX_PROBLEMS) break;
    const pointer = `/parents/${i}`;
    const type = groupType(definition, ref.type);
    if (type === undefined) {
      addProblem(problems, wrongParent(definition, ref.type, pointer));
      continue;
    }
    const enumeration = schema.entityTypes.get(type)?.enumeration;
    if (!isEntityId(ref.id)) {
      addProblem(problems, { pointer: `${pointer}/id`, message: `the id ${quote(ref.id)} is malformed` });
    } else if (enumeration !== undefined && !enumeration.has(ref.id)) {
      addProblem(problems, enumerationProblem(ref.type, enumeration, ref.id, `${pointer}/id`));
    } else if (type === input.type && ref.id === input.id) {
      addProblem(problems, { pointer, message: 'an entity cannot be its own parent' });
    } else parents.push(new EntityUid(type, ref.id));
  }
  return parents;
}

/**
 * The type of that short name among those that entities of this one may be members of. The directory names types
 * without their namespace, so it has groups of the entity's own namespace alone.
 */
function groupType(definition: EntityTypeDefinition, name: string): string | undefined {
  return groupTypes(definition).find(type => shortName(type) === name);
}

function groupTypes({ name, memberOf }: EntityTypeDefinition): readonly string[] {
  const namespace = name.slice(0, -shortName(name).length);
  return [...memberOf].filter(type => type === namespace + shortName(type));
}

function wrongParent(definition: EntityTypeDefinition, given: string, pointer: string): Problem {
  const allowed = new Set(groupTypes(definition).map(shortName));
  const near = nearest(given, allowed);
  const types = [...allowed].map(name => `\`${name}\``).join(', ');
  return {
    pointer: `${pointer}/type`,
    message: `${quote(shortName(definition.name))} cannot be a member of ${quote(given)}`,
    hint:
      types === ''
        ? 'entities of this type have no parents'
        : near === undefined
          ? `a parent must be of type ${types}`
          : `did you mean \`${near}\`?`,
  };
}

/** The problem of a type that the schema does not have. */
export function unknownType(schema: CedarSchema, type: string): Problem {
  const names = [...schema.entityTypes.keys()].map(shortName);
  const near = nearest(shortName(type), names);
  return {
    pointer: '/type',
    message: `the schema has no entity type ${quote(shortName(type))}`,
    hint: near === undefined ? `it has ${names.join(', ')}` : `did you mean \`${near}\`?`,
  };
}
