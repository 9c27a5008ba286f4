/**
 * All that must hold before an entity is written: schema, status, parents, size, tenants. Invariant: every
 * problem of an entity is found in one pass, and what passes here can be stored and read again.
 */
import { type EntityBody, type EntityRecord, MAX_ENTITY_JSON } from '../domain/entity.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { GraphEntity, GraphRecord } from './graph.ts';
import { refOf, uidOf } from './lineage.ts';
import type { EntityParser, EntityWrite } from './ports.ts';
import { type AllowedTenants, foreignWrite, isAllowed, ownerByName, ownerOf } from './tenancy.ts';

/** Most entities of one directory: they are all held in memory, about 1 KB each. */
export const MAX_ENTITIES = 1_000_000;

/** Where the checks find what is already there: a graph, or an edit in progress. */
export interface EntityLookup {
  get(key: string): GraphEntity | undefined;
}

interface CheckedEntity {
  readonly record: GraphRecord;
  /** The body with its defaults. */
  readonly body: EntityBody;
  /** New parents that must be entities; in an import they may come later in the file. */
  readonly requiredParents: readonly NewParent[];
}

/** When and as what an entity would be written. */
export interface WriteStamp {
  readonly revision: number;
  readonly updatedAt: string;
}

export type EntityCheck =
  | { readonly ok: true; readonly checked: CheckedEntity }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly foreign: boolean };

/** Checks one entity as a caller wants to write it. */
export function checkEntity(
  parser: EntityParser,
  lookup: EntityLookup,
  ref: EntityRef,
  body: EntityBody,
  allowed: AllowedTenants,
  stamp: WriteStamp,
): EntityCheck {
  const uid = uidOf(ref);
  const before = lookup.get(uid.key);
  const byName = foreignWrite(ref, ownerByName(ref), allowed);
  if (byName !== undefined) return { ok: false, problems: [byName], foreign: true };
  const parsed = parser.parse(ref, body);
  const problems: Problem[] = parsed.ok ? [] : [...parsed.problems];
  const status = statusProblem(parser, ref, body);
  if (status !== undefined) problems.push(status);
  if (!parsed.ok) return { ok: false, problems, foreign: false };

  const json = JSON.stringify({ attributes: parsed.body.attributes, tags: parsed.body.tags });
  if (json.length > MAX_ENTITY_JSON) {
    problems.push({
      message: `the entity has ${json.length} characters as JSON, the most is ${MAX_ENTITY_JSON}`,
    });
  }
  const tenant = ownerOf(ref, parsed.attributes);
  const foreign =
    foreignWrite(ref, tenant, allowed) ??
    (isAllowed(before === undefined ? tenant : before.tenant, allowed) ? undefined : takenProblem(ref));
  const parents = newParents(parsed.body.parents, before);
  const foreignParents = allowed === undefined ? [] : refuseForeignParents(parents, lookup, allowed);
  if (foreign !== undefined || foreignParents.length > 0) {
    const refusals = foreign === undefined ? foreignParents : [foreign, ...foreignParents];
    return { ok: false, problems: refusals, foreign: true };
  }
  if (problems.length > 0) return { ok: false, problems, foreign: false };
  const { attributes, tags } = parsed;
  const { status: newStatus, parents: parentRefs } = parsed.body;
  const record = { uid, attributes, tags, parents: parentRefs, status: newStatus, ...stamp, tenant, json };
  const requiredParents = parents.filter(parent => parser.traits(parent.ref.type)?.mustExist === true);
  return { ok: true, checked: { record, body: parsed.body, requiredParents } };
}

/** The problem of a parent that must be an entity and is none. */
export function missingParent(ref: EntityRef, pointer: string): Problem {
  return {
    pointer,
    message: `the parent \`${ref.type}\` \`${ref.id}\` does not exist`,
    hint: `write \`${ref.type}\` \`${ref.id}\` first: its type has required attributes`,
  };
}

/** What the store keeps of an entity; parents sorted and without duplicates, as the graph has them. */
export function writeOf(entity: GraphEntity, body: EntityBody): EntityWrite {
  const parents = entity.lineage.parents.uids.map(refOf);
  return { ref: refOf(entity.uid), body: { ...body, parents } };
}

/** The entity as it is stored and sent. */
export function recordOf(entity: GraphEntity): EntityRecord {
  const { attributes, tags } = parseJson(entity.json);
  return {
    ref: refOf(entity.uid),
    attributes,
    parents: entity.lineage.parents.uids.map(refOf),
    tags,
    status: entity.status,
    revision: entity.revision,
    updatedAt: entity.updatedAt,
  };
}

/** The failure for an entity that was refused. */
export function refusal(ref: EntityRef, check: Extract<EntityCheck, { ok: false }>): AppError {
  const { problems, foreign } = check;
  const name = `\`${ref.type}\` \`${ref.id}\``;
  if (foreign) {
    const detail = problems[0]?.message ?? `the credential may not write ${name}`;
    return new AppError('TENANT_NOT_ALLOWED', detail, { problems });
  }
  return new AppError('ENTITY_INVALID', `${name} has ${count(problems.length, 'problem')}`, { problems });
}

/** `1 problem`, `2 problems`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function statusProblem(parser: EntityParser, ref: EntityRef, body: EntityBody): Problem | undefined {
  if (body.status === 'active' || parser.traits(ref.type)?.requestable !== false) return undefined;
  return {
    pointer: '/status',
    message: `a \`${ref.type}\` cannot be disabled: no request names it directly`,
    hint: 'disabling a group would also switch off the forbids that name it; disable or move its members',
  };
}

interface NewParent {
  readonly ref: EntityRef;
  readonly pointer: string;
}

function newParents(parents: readonly EntityRef[], before: GraphEntity | undefined): readonly NewParent[] {
  const named = parents.map((ref, at) => ({ ref, pointer: `/parents/${at}` }));
  if (before === undefined) return named;
  const kept = new Set(before.lineage.parents.uids.map(uid => uid.key));
  return named.filter(({ ref }) => !kept.has(uidOf(ref).key));
}

function refuseForeignParents(
  parents: readonly NewParent[],
  lookup: EntityLookup,
  allowed: AllowedTenants,
): readonly Problem[] {
  return parents
    .filter(({ ref }) => !isAllowed(lookup.get(uidOf(ref).key)?.tenant ?? ownerByName(ref), allowed))
    .map(({ ref, pointer }) => foreignParentProblem(ref, pointer));
}

/** An id of the caller's own that holds an entity which was given to another tenant. */
function takenProblem(ref: EntityRef): Problem {
  return {
    pointer: '/id',
    message: `the credential may not write \`${ref.type}\` \`${ref.id}\``,
    hint: 'choose another id',
  };
}

function foreignParentProblem(ref: EntityRef, pointer: string): Problem {
  return {
    pointer,
    message: `the credential may not add members to \`${ref.type}\` \`${ref.id}\``,
    hint: 'it may name parents of its own tenants',
  };
}

function parseJson(json: string): { attributes: JsonObject; tags: JsonObject } {
  const value: unknown = JSON.parse(json);
  if (!isStored(value)) throw new Error('an entity in memory holds malformed JSON');
  return value;
}

/** `checkEntity` and the loader write this JSON themselves; the check is for the compiler and for bugs. */
function isStored(value: unknown): value is { attributes: JsonObject; tags: JsonObject } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'attributes' in value &&
    'tags' in value &&
    isObject(value.attributes) &&
    isObject(value.tags)
  );
}

function isObject(value: unknown): value is Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
