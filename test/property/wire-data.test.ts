/**
 * Wire JSON against cedar-wasm: values survive the way out and in, and whatever our parser accepts of
 * damaged data, cedar-wasm accepts as well. The other way round ours may be, and is, stricter.
 */
import { expect, test } from 'vitest';
import { entityToCedarJson, recordToCedarJson, uidToJson } from '../../src/cedar/cedar-json.ts';
import { isEntityId, shortName } from '../../src/cedar/data.ts';
import { type EntityInput, parseEntityData, recordToWireJson } from '../../src/cedar/entity-data.ts';
import { valueKey } from '../../src/cedar/equality.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import type { EvaluationRequest } from '../../src/cedar/types.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import type { Entity } from '../../src/domain/value.ts';
import { generateRequest, generateWorld } from '../fuzz/data-generator.ts';
import { Random } from '../fuzz/random.ts';
import { generateSchema } from '../fuzz/schema-generator.ts';

const SEEDS = 60;

/** What damaged data has in place of a value. */
const DEBRIS: readonly JsonValue[] = [
  null,
  true,
  0,
  1.5,
  2 ** 53,
  '',
  'x',
  '127.0.0.1',
  '1.0',
  '2024-01-01',
  '1h',
  [],
  [1],
  ['x'],
  {},
  { type: 'User', id: 'x' },
  { type: 'Group', id: 'x', more: 1 },
  { __entity: { type: 'User', id: 'x' } },
  { __extn: { fn: 'unknown', arg: 'x' } },
  Object.fromEntries([['__proto__', 1]]),
];

test('entities survive the way to wire JSON and back', () => {
  let survived = 0;
  for (const { schema, entity, input } of generateInputs()) {
    const result = parseEntityData(schema, input);
    const read = result.ok ? [result.data.attributes, result.data.tags].map(valueKey) : result.problems;
    expect(read).toEqual([entity.attributes, entity.tags].map(valueKey));
    survived += 1;
  }
  expect(survived).toBeGreaterThan(SEEDS);
});

test('what is accepted of damaged entities conforms for cedar-wasm, too', () => {
  const wasm = new CedarWasm();
  let [accepted, refused] = [0, 0];
  let registered = '';
  for (const { schema, input, request, random } of generateInputs()) {
    for (let i = 0; i < 5; i++) {
      const damaged = {
        ...input,
        attributes: damageObject(random, input.attributes),
        tags: damageObject(random, input.tags),
      };
      const result = parseEntityData(schema, damaged);
      if (!result.ok) {
        refused += 1;
        continue;
      }
      accepted += 1;
      if (registered !== schema.text) register(wasm, schema);
      registered = schema.text;
      const { uid, attributes, tags, parents } = result.data;
      const ancestors = new Set(parents.map(({ key }) => key));
      expect(complaintsOf(wasm, request, { uid, attributes, tags, ancestors })).toEqual([]);
    }
  }
  expect(accepted).toBeGreaterThan(SEEDS);
  expect(refused).toBeGreaterThan(SEEDS);
});

/** Entities of generated schemas that have a wire form: integers and ids beyond it are for Cedar alone. */
function* generateInputs(): Generator<{
  schema: CedarSchema;
  entity: Entity;
  input: EntityInput;
  request: EvaluationRequest;
  random: Random;
}> {
  const wasm = new CedarWasm();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const parsed = parseSchema(generateSchema(random), wasm);
    if (!parsed.ok) throw new Error('a generated schema is refused');
    const { schema } = parsed;
    const world = generateWorld(random, schema);
    for (const entity of world.entities.values()) {
      const parents = world.parents.get(entity.uid.key) ?? [];
      if (!hasWireForm(entity) || parents.some(({ id }) => !isEntityId(id))) continue;
      const input = {
        type: entity.uid.type,
        id: entity.uid.id,
        attributes: recordToWireJson(entity.attributes),
        tags: recordToWireJson(entity.tags),
        parents: parents.map(({ type, id }) => ({ type: shortName(type), id })),
      };
      yield { schema, entity, input, request: generateRequest(random, schema, world), random };
    }
  }
}

function hasWireForm(entity: Entity): boolean {
  // Keys show integers as `i…;`, times as `t…;`, and ids in full.
  const keys = valueKey(entity.attributes) + valueKey(entity.tags);
  const numbers = [...keys.matchAll(/[it](-?\d+);/g)].map(([, digits]) => Number(digits));
  const times = [...keys.matchAll(/t(-?\d+);/g)].map(([, digits]) => Number(digits));
  return (
    isEntityId(entity.uid.id) &&
    !/q"uoté|b l u e/.test(keys) &&
    numbers.every(Number.isSafeInteger) &&
    times.every(ms => ms >= -62_167_219_200_000)
  );
}

function damageObject(random: Random, json: JsonObject): JsonObject {
  const members = Object.entries(json).flatMap(([name, value]): [string, JsonValue][] => {
    if (random.chance(3)) return [];
    return [[random.chance(2) ? `${name}x` : name, damage(random, value)]];
  });
  if (random.chance(3)) members.push([random.pick(['zz', '__proto__', '__extn', 'a']), random.pick(DEBRIS)]);
  return Object.fromEntries(members);
}

function damage(random: Random, json: JsonValue): JsonValue {
  if (random.chance(6)) return random.pick(DEBRIS);
  if (Array.isArray(json)) return json.map((item: JsonValue) => damage(random, item));
  return isObject(json) ? damageObject(random, json) : json;
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function register(wasm: CedarWasm, schema: CedarSchema): void {
  wasm.registerSchema('s', schema.text);
  wasm.registerPolicySet('p', { policies: {} });
}

/** What cedar-wasm says against an entity, asked together with a request that conforms. */
function complaintsOf(wasm: CedarWasm, request: EvaluationRequest, entity: Entity): readonly string[] {
  const answer = wasm.authorize({
    principal: uidToJson(request.principal),
    action: uidToJson(request.action),
    resource: uidToJson(request.resource),
    context: recordToCedarJson(request.context),
    entities: [entityToCedarJson(entity)],
    policySet: 'p',
    schema: 's',
    validateRequest: true,
  });
  return answer.ok ? [] : answer.messages.map(({ message }) => message);
}
