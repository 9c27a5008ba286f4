/** Random values, entities and requests that conform to a schema, with the edges of every type over-represented. */
import { makeSet } from '../../src/cedar/equality.ts';
import { parseExtension } from '../../src/cedar/extension-text.ts';
import { toLong } from '../../src/cedar/long.ts';
import type { ActionDefinition, CedarSchema, CedarType, RecordType } from '../../src/cedar/schema.ts';
import type { EvaluationRequest } from '../../src/cedar/types.ts';
import { type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';
import type { Random } from './random.ts';

export const STRINGS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'a*b',
  'é',
  'e\u0301',
  '😀',
  '\u0000',
  'line\nbreak',
  '"quoted"\\',
  '127.0.0.1',
  '10.0.0.0/8',
  '1.5',
  '2024-02-29',
  '1h30m',
  '__proto__',
];
export const EXTENSION_TEXTS = {
  ipaddr: [
    '127.0.0.1',
    '10.0.0.0/8',
    '10.1.2.3',
    '10.1.2.3/32',
    '0.0.0.0/0',
    '224.0.0.1',
    '::1',
    '::',
    'ff00::2',
    '::ffff',
    '2001:db8::/32',
    '2001:DB8::1/128',
  ],
  decimal: [
    '0.0',
    '1.0',
    '1.00',
    '-1.5',
    '0.0001',
    '-0.0',
    '922337203685477.5807',
    '-922337203685477.5808',
    '12.3456',
  ],
  datetime: [
    '1970-01-01',
    '2024-02-29',
    '2024-02-29T23:59:59.999Z',
    '1969-12-31T23:59:59Z',
    '0000-01-01',
    '9999-12-31T23:59:59.999Z',
    '2024-01-01T00:00:00+0130',
    '2024-01-01T00:00:00.001-2359',
    '1600-02-29',
  ],
  duration: [
    '0ms',
    '1ms',
    '-1ms',
    '1h30m',
    '90m',
    '-1d',
    '1d2h3m4s5ms',
    '9223372036854775807ms',
    '-9223372036854775808ms',
    '106751991167d',
  ],
} as const;
/** Texts that no constructor accepts, or only just does. */
export const ODD_TEXTS = [
  '',
  ' ',
  '1',
  '1.',
  '.5',
  '1.23456',
  '922337203685477.5808',
  '+1.0',
  '01.0',
  '127.0.0.01',
  '127.0.0.1/33',
  '127.0.0.1/08',
  '1.2.3',
  '::ffff:1.2.3.4',
  ':::',
  '1::2::3',
  '12345::',
  '2023-02-29',
  '2024-13-01',
  '2024-01-01T24:00:00Z',
  '2024-01-01T23:59:60Z',
  '2024-01-01T00:00:00',
  '2024-01-01T00:00:00.1Z',
  '2024-01-01T00:00:00+2400',
  '2024-01-01T00:00:00+01:00',
  '24-01-01',
  '1h1d',
  '-',
  'h',
  '1 h',
  '-1h-1m',
  '9223372036854775808ms',
  '-9223372036854775809ms',
  '106751991168d',
  '99999999999999999999d',
  '0d0h',
  '1m1ms',
  '1ms1m',
];
const LONGS = [
  0,
  1,
  -1,
  2,
  3,
  1000,
  2 ** 31,
  -(2 ** 31),
  2 ** 53 - 1,
  -(2 ** 53 - 1),
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 53n,
  3n * 2n ** 61n,
];
const IDS = ['x', 'y', 'q"uoté'];

/** A value of the type. */
function generateValue(random: Random, type: CedarType): Value {
  switch (type.kind) {
    case 'boolean':
      return random.chance(50);
    case 'long':
      return random.chance(60) ? random.between(-3, 3) : (toLong(BigInt(random.pick(LONGS))) ?? 0);
    case 'string':
      return random.pick(STRINGS);
    case 'entity':
      return generateUid(random, type.name, type.enumeration);
    case 'extension': {
      const value = parseExtension(type.name, random.pick<string>(EXTENSION_TEXTS[type.name]));
      if (value === undefined) throw new Error(`a text of the ${type.name} pool is malformed`);
      return value;
    }
    case 'set':
      return makeSet(random.list(0, 3, () => generateValue(random, type.element)));
    case 'record':
      return generateRecord(random, type);
    default:
      throw new Error('unknown type');
  }
}

function generateRecord(random: Random, type: RecordType): RecordValue {
  const entries = new Map<string, Value>();
  for (const [name, attribute] of type.attributes) {
    if (attribute.required || random.chance(60)) entries.set(name, generateValue(random, attribute.type));
  }
  return new RecordValue(entries);
}

export function generateUid(random: Random, type: string, enumeration?: ReadonlySet<string>): EntityUid {
  return new EntityUid(type, random.pick(enumeration === undefined ? IDS : [...enumeration]));
}

/** Entities with the parents that they were given; `ancestors` is the closure of those. */
export interface World {
  readonly entities: ReadonlyMap<string, Entity>;
  readonly parents: ReadonlyMap<string, readonly EntityUid[]>;
}

/** A store of entities; some that are referred to are absent, as in life. */
export function generateWorld(random: Random, schema: CedarSchema): World {
  const uids = [...schema.entityTypes.values()]
    .filter(({ enumeration }) => enumeration === undefined)
    .flatMap(({ name }) => IDS.map(id => new EntityUid(name, id)));
  const parents = new Map<string, readonly EntityUid[]>();
  const present = uids.filter(() => random.chance(75));
  for (const [i, uid] of present.entries()) {
    const allowed = schema.entityTypes.get(uid.type)?.memberOf ?? new Set();
    // Members come before their groups in the list, so that there is no cycle.
    const later = present.slice(i + 1).filter(group => allowed.has(group.type));
    const absent = [...allowed].flatMap(name => {
      const enumeration = schema.entityTypes.get(name)?.enumeration;
      return enumeration === undefined ? [] : [generateUid(random, name, enumeration)];
    });
    parents.set(uid.key, [...random.some(later, 30), ...random.some(absent, 30)]);
  }
  const entities = new Map<string, Entity>();
  for (const uid of present) {
    const definition = schema.entityTypes.get(uid.type);
    if (definition === undefined) throw new Error('unknown type');
    const tags = new Map<string, Value>();
    if (definition.tags !== undefined) {
      for (const name of random.some(STRINGS, 15)) tags.set(name, generateValue(random, definition.tags));
    }
    entities.set(uid.key, {
      uid,
      attributes: generateRecord(random, definition.shape),
      tags: new RecordValue(tags),
      ancestors: closure(uid.key, parents),
    });
  }
  return { entities, parents };
}

function closure(key: string, parents: ReadonlyMap<string, readonly EntityUid[]>): ReadonlySet<string> {
  const found = new Set<string>();
  const pending = [...(parents.get(key) ?? [])];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next.key)) continue;
    found.add(next.key);
    pending.push(...(parents.get(next.key) ?? []));
  }
  return found;
}

/** A request that conforms to the schema. */
export function generateRequest(random: Random, schema: CedarSchema, world: World): EvaluationRequest {
  const action = random.pick(applicableActions(schema));
  const uidOf = (types: ReadonlySet<string>): EntityUid => {
    const type = random.pick([...types]);
    return generateUid(random, type, schema.entityTypes.get(type)?.enumeration);
  };
  return {
    principal: uidOf(action.principalTypes),
    action: action.uid,
    resource: uidOf(action.resourceTypes),
    context: generateRecord(random, action.context),
    entities: world.entities,
  };
}

export function applicableActions(schema: CedarSchema): ActionDefinition[] {
  return [...schema.actions.values()].filter(
    action => action.principalTypes.size > 0 && action.resourceTypes.size > 0,
  );
}
