/**
 * Reads Cedar's public test data (../shared/fixtures/cedar) into the evaluator's own types. Cedar JSON there
 * is schema-directed, with implicit `{type, id}` and strings for extension values, and holds 64-bit integers.
 */
import { existsSync, readFileSync } from 'node:fs';
import { text as textOf } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { z } from 'zod';
import type { FunctionName } from '../../src/cedar/ast.ts';
import { makeSet } from '../../src/cedar/equality.ts';
import { binaryFunction, unaryFunction } from '../../src/cedar/extension-functions.ts';
import { toLong } from '../../src/cedar/long.ts';
import type { CedarSchema, CedarType } from '../../src/cedar/schema.ts';
import type { EvaluationRequest } from '../../src/cedar/types.ts';
import { type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';

const FIXTURES = new URL('../../../shared/fixtures/cedar/', import.meta.url);

/** Whether the fixtures are there; says so when they are not, so that a skip is seen. */
export function fixturesPresent(what: string, count: number): boolean {
  const present = existsSync(FIXTURES);
  if (!present) process.stderr.write(`skipped: ${count} ${what} need ../shared/fixtures/cedar\n`);
  return present;
}

const uidSchema = z.union([
  z.strictObject({ type: z.string(), id: z.string() }),
  z
    .strictObject({ __entity: z.strictObject({ type: z.string(), id: z.string() }) })
    .transform(u => u.__entity),
]);
const jsonRecord = z.record(z.string(), z.unknown());

const caseSchema = z.object({
  policies: z.string(),
  entities: z.string(),
  schema: z.string(),
  requests: z.array(
    z.object({
      principal: uidSchema,
      action: uidSchema,
      resource: uidSchema,
      context: jsonRecord,
      decision: z.enum(['allow', 'deny']),
      reason: z.array(z.string()),
      errors: z.array(z.string()),
    }),
  ),
});

const entitiesSchema = z.array(
  z.strictObject({
    uid: uidSchema,
    attrs: jsonRecord.default({}),
    parents: z.array(uidSchema).default([]),
    tags: jsonRecord.default({}),
  }),
);

export interface FixtureCase {
  readonly name: string;
  readonly policies: string;
  readonly schema: string;
  readonly entities: string;
  readonly requests: z.infer<typeof caseSchema>['requests'];
}

/** The cases of one hand-written file, for example `tests/ip/1.json`. */
export function readCase(path: string): FixtureCase {
  const read = (file: string): string => readFileSync(new URL(file, FIXTURES), 'utf8');
  return toCase(path, read(path), read);
}

/** The generated corpus, unpacked in memory. */
export async function readCorpus(): Promise<FixtureCase[]> {
  const files = new Map<string, string>();
  const archive = extract();
  archive.end(gunzipSync(readFileSync(new URL('corpus-quarter.tar.gz', FIXTURES))));
  for await (const entry of archive) {
    files.set(entry.header.name, await textOf(entry));
  }
  const read = (path: string): string => {
    const text = files.get(path.replace(/^corpus-tests\//, ''));
    if (text === undefined) throw new Error(`the corpus lacks ${path}`);
    return text;
  };
  return [...files.keys()]
    .filter(name => name.endsWith('.json') && !name.endsWith('.entities.json'))
    .sort()
    .map(name => toCase(name, read(name), read));
}

function toCase(name: string, text: string, read: (path: string) => string): FixtureCase {
  const parsed = caseSchema.parse(parseExactJson(text));
  return {
    name,
    policies: read(parsed.policies),
    schema: read(parsed.schema),
    entities: read(parsed.entities),
    requests: parsed.requests,
  };
}

/** `JSON.parse`, with integers that a double cannot hold as bigints. */
function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, ...context: { source?: string }[]): unknown => {
    const source = context[0]?.source;
    const inexact = typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined;
    return inexact && /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
  });
}

/** A request of a case with its entities, ready to be evaluated. */
export function toRequest(
  schema: CedarSchema,
  entities: ReadonlyMap<string, Entity>,
  request: FixtureCase['requests'][number],
): EvaluationRequest {
  const uid = (ref: { type: string; id: string }): EntityUid => new EntityUid(ref.type, ref.id);
  const action = uid(request.action);
  return {
    principal: uid(request.principal),
    action,
    resource: uid(request.resource),
    context: readRecord(request.context, schema.actions.get(action.key)?.context),
    entities,
  };
}

/** The entities of a case with their ancestors, by key. */
export function readEntities(schema: CedarSchema, text: string): Map<string, Entity> {
  const parsed = entitiesSchema.parse(parseExactJson(text));
  const parents = new Map(
    parsed.map(({ uid, parents }) => [keyOf(uid), parents.map(parent => keyOf(parent))] as const),
  );
  const ancestorsOf = (key: string, found = new Set<string>()): Set<string> => {
    for (const parent of parents.get(key) ?? []) {
      if (found.has(parent)) continue;
      found.add(parent);
      ancestorsOf(parent, found);
    }
    return found;
  };
  return new Map(
    parsed.map(({ uid, attrs, tags }) => {
      const type = schema.entityTypes.get(uid.type);
      const tagEntries = Object.entries(tags).map(
        ([name, tag]) => [name, readValue(tag, type?.tags)] as const,
      );
      const entity: Entity = {
        uid: new EntityUid(uid.type, uid.id),
        attributes: readRecord(attrs, type?.shape),
        tags: new RecordValue(new Map(tagEntries)),
        ancestors: ancestorsOf(keyOf(uid)),
      };
      return [entity.uid.key, entity];
    }),
  );
}

function keyOf(ref: { type: string; id: string }): string {
  return new EntityUid(ref.type, ref.id).key;
}

function readRecord(json: Readonly<Record<string, unknown>>, type: CedarType | undefined): RecordValue {
  const attributes = type?.kind === 'record' ? type.attributes : undefined;
  return new RecordValue(
    new Map(
      Object.entries(json).map(([name, value]) => [name, readValue(value, attributes?.get(name)?.type)]),
    ),
  );
}

const CONSTRUCTORS: Readonly<Record<string, FunctionName>> = {
  ipaddr: 'ip',
  decimal: 'decimal',
  datetime: 'datetime',
  duration: 'duration',
};

const extensionSchema = z.union([
  z.strictObject({ fn: z.string(), arg: z.unknown() }).transform(({ fn, arg }) => ({ fn, args: [arg] })),
  z.strictObject({ fn: z.string(), args: z.array(z.unknown()) }),
]);

function readValue(json: unknown, type: CedarType | undefined): Value {
  if (typeof json === 'string') return type?.kind === 'extension' ? construct(type.name, [json]) : json;
  if (typeof json === 'boolean') return json;
  if (typeof json === 'number' || typeof json === 'bigint') {
    const long = toLong(BigInt(json));
    if (long === undefined) throw new Error('the fixture holds an integer beyond 64 bits');
    return long;
  }
  if (Array.isArray(json)) {
    return makeSet(json.map(element => readValue(element, type?.kind === 'set' ? type.element : undefined)));
  }
  const record = jsonRecord.parse(json);
  if ('__entity' in record || type?.kind === 'entity') {
    const uid = uidSchema.parse(record);
    return new EntityUid(uid.type, uid.id);
  }
  if ('__extn' in record || type?.kind === 'extension') {
    const { fn, args } = extensionSchema.parse(record['__extn'] ?? record);
    return construct(
      fn,
      args.map(arg => readValue(arg, undefined)),
    );
  }
  return readRecord(record, type);
}

function construct(name: string, args: readonly Value[]): Value {
  const [first, second] = args;
  const known = CONSTRUCTORS[name] ?? (['ip', 'offset'] as const).find(fn => fn === name);
  if (known !== undefined && first !== undefined) {
    const value =
      second === undefined ? unaryFunction(known)?.(first) : binaryFunction(known)?.(first, second);
    if (value !== undefined) return value;
  }
  throw new Error(`the fixture holds the unexpected extension function ${name}`);
}
