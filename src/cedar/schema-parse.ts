/**
 * Cedar schema text to `CedarSchema`. Invariants: equal types are the same object, action ancestors are
 * transitive, every name is fully qualified, and whatever is not understood is a problem, never skipped.
 */
import { createHash } from 'node:crypto';
import type { Problem } from '../domain/errors.ts';
import { EntityUid } from '../domain/value.ts';
import { toProblem } from './cedar-message.ts';
import { collectPersonalKeys } from './schema-annotations.ts';
import type { ActionDefinition, CedarSchema, CedarType, EntityTypeDefinition, RecordType } from './schema.ts';
import { TypeResolver } from './schema-types.ts';
import type { CedarParser } from './wasm.ts';

/** The name under which a bundle keeps its schema. */
const SCHEMA_FILE = 'schema.cedarschema';

export type SchemaResult =
  | { readonly ok: true; readonly schema: CedarSchema; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Parses and resolves a schema in Cedar syntax. */
export function parseSchema(
  text: string,
  parser: Pick<CedarParser, 'parseSchema'>,
  file: string = SCHEMA_FILE,
): SchemaResult {
  const answer = parser.parseSchema(text);
  if (!answer.ok) {
    return { ok: false, problems: answer.messages.map(message => toProblem(message, text, file)) };
  }
  const reader = new SchemaReader(answer.value.json);
  const schema: CedarSchema = {
    text,
    digest: `sha256:${createHash('sha256').update(text).digest('hex')}`,
    entityTypes: reader.readEntityTypes(),
    actions: reader.readActions(),
    personalKeys: reader.readPersonalKeys(),
  };
  if (reader.problems.length > 0) {
    return { ok: false, problems: reader.problems.map(message => ({ file, message })) };
  }
  const warnings = answer.value.warnings.map(message => toProblem(message, text, file));
  return { ok: true, schema, warnings };
}

type Json = Readonly<Record<string, unknown>>;

/** Reads the JSON form of a schema whose type names cedar-wasm has resolved. */
class SchemaReader {
  readonly problems: string[] = [];
  readonly #namespaces: readonly (readonly [string, Json])[];
  readonly #enumerations = new Map<string, ReadonlySet<string>>();
  readonly #common = new Map<string, unknown>();
  readonly #types: TypeResolver;

  constructor(json: Json) {
    this.#namespaces = Object.entries(json).map(([name, body]) => [name, asObject(body)]);
    for (const [namespace, body] of this.#namespaces) {
      for (const [name, type] of Object.entries(asObject(body['commonTypes']))) {
        this.#common.set(qualify(namespace, name), type);
      }
      for (const [name, type] of Object.entries(asObject(body['entityTypes']))) {
        const ids = asObject(type)['enum'];
        if (ids === undefined) continue;
        const qualified = qualify(namespace, name);
        this.#enumerations.set(qualified, new Set(this.#strings(ids, `entity type \`${qualified}\``)));
      }
    }
    this.#types = new TypeResolver(this.#common, this.#enumerations, message => this.problems.push(message));
  }

  readEntityTypes(): ReadonlyMap<string, EntityTypeDefinition> {
    const found = new Map<string, EntityTypeDefinition>();
    for (const [namespace, body] of this.#namespaces) {
      for (const [shortName, raw] of Object.entries(asObject(body['entityTypes']))) {
        const name = qualify(namespace, shortName);
        found.set(name, this.#readEntityType(name, asObject(raw)));
      }
    }
    return found;
  }

  #readEntityType(name: string, raw: Json): EntityTypeDefinition {
    const place = `entity type \`${name}\``;
    const tags = raw['tags'];
    return {
      name,
      memberOf: new Set(this.#strings(raw['memberOfTypes'], place)),
      shape: this.#record(raw['shape'], place),
      tags: tags === undefined ? undefined : this.#types.resolve(tags, place),
      enumeration: this.#enumerations.get(name),
    };
  }

  readActions(): ReadonlyMap<string, ActionDefinition> {
    const raw = new Map<
      string,
      { readonly uid: EntityUid; readonly body: Json; readonly parents: string[] }
    >();
    for (const [namespace, body] of this.#namespaces) {
      for (const [id, definition] of Object.entries(asObject(body['actions']))) {
        const uid = new EntityUid(qualify(namespace, 'Action'), id);
        const action = asObject(definition);
        raw.set(uid.key, { uid, body: action, parents: this.#readParents(action['memberOf'], uid) });
      }
    }
    const actions = new Map<string, ActionDefinition>();
    for (const [key, { uid, body }] of raw) {
      const place = `action \`${uid.key}\``;
      const appliesTo = asObject(body['appliesTo']);
      if (Object.keys(asObject(body['attributes'])).length > 0) {
        this.problems.push(`${place} has attributes, which are not supported`);
      }
      actions.set(key, {
        uid,
        ancestors: collectAncestors(key, parent => raw.get(parent)?.parents ?? []),
        principalTypes: new Set(this.#strings(appliesTo['principalTypes'], place)),
        resourceTypes: new Set(this.#strings(appliesTo['resourceTypes'], place)),
        context: this.#record(appliesTo['context'], place),
      });
    }
    return actions;
  }

  readPersonalKeys(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const [namespace, body] of this.#namespaces) {
      for (const [id, definition] of Object.entries(asObject(body['actions']))) {
        const { context } = asObject(asObject(definition)['appliesTo']);
        const place = `action \`${qualify(namespace, 'Action')}::"${id}"\``;
        collectPersonalKeys(context, this.#common, found, problem =>
          this.problems.push(`${place}: ${problem}`),
        );
      }
    }
    return found;
  }

  #readParents(raw: unknown, uid: EntityUid): string[] {
    if (raw === undefined) return [];
    if (!Array.isArray(raw)) return this.#fail(`action \`${uid.key}\` has unreadable groups`, []);
    return raw.flatMap((item: unknown) => {
      const { type, id } = asObject(item);
      if (typeof type === 'string' && typeof id === 'string') return [new EntityUid(type, id).key];
      return this.#fail(`action \`${uid.key}\` has an unreadable group`, []);
    });
  }

  #record(raw: unknown, place: string): RecordType {
    const empty: unknown = { type: 'Record', attributes: {} };
    const type: CedarType = this.#types.resolve(raw ?? empty, place);
    return type.kind === 'record'
      ? type
      : this.#fail(`${place} is not described by a record`, { kind: 'record', attributes: new Map() });
  }

  #strings(raw: unknown, place: string): readonly string[] {
    if (raw === undefined) return [];
    if (Array.isArray(raw) && raw.every(item => typeof item === 'string')) return raw;
    return this.#fail(`${place} has an unreadable list`, []);
  }

  #fail<T>(message: string, substitute: T): T {
    this.problems.push(message);
    return substitute;
  }
}

/** Keys of everything reachable from `start`, itself excluded. cedar-wasm has refused cycles. */
function collectAncestors(start: string, parentsOf: (key: string) => readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = [...parentsOf(start)];
  for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
    if (found.has(key)) continue;
    found.add(key);
    pending.push(...parentsOf(key));
  }
  return found;
}

function qualify(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}::${name}`;
}

function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
