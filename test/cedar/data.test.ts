/** Wire JSON to values: what fits, what does not, and that nothing is smuggled in. */
import { describe, expect, it } from 'vitest';
import { MAX_PROBLEMS, MAX_SET_VALUES, MAX_STRING_LENGTH, parseAttribute } from '../../src/cedar/data.ts';
import { valueEquals } from '../../src/cedar/equality.ts';
import { formatExtension, parseExtension } from '../../src/cedar/extension-text.ts';
import type { CedarType } from '../../src/cedar/schema.ts';
import type { Problem } from '../../src/domain/errors.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { DatetimeValue, DurationValue, EntityUid, RecordValue, SetValue } from '../../src/domain/value.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';

const schema = schemaForTest(`
  namespace AI {
    entity Color enum ["red", "green"];
    entity User;
    entity All = {
      bool: Bool, long: Long, text: String, user: User, color: Color, ip: ipaddr, dec: decimal, at: datetime, dur: duration,
      longs: Set<Long>, users: Set<User>, sets: Set<Set<Long>>, nested: { a: Long, "b/c~d"?: String },
      "__proto__"?: Long, "constructor"?: Long,
    };
  }`);
const shape = schema.entityTypes.get('AI::All')?.shape;

function typeOf(name: string): CedarType {
  const type = shape?.attributes.get(name)?.type;
  if (type === undefined) throw new Error(`no attribute ${name}`);
  return type;
}

function parse(name: string, json: JsonValue) {
  const problems: Problem[] = [];
  const value = parseAttribute(typeOf(name), json, '/x', problems);
  return { value, problems };
}

/** An object with exactly these own members, as `JSON.parse` makes it: `__proto__` is a member like any other. */
function own(...members: readonly (readonly [string, JsonValue])[]): JsonObject {
  return Object.fromEntries(members);
}

describe('a value is parsed by its type', () => {
  it.each([
    ['bool', true, true],
    ['long', 0, 0],
    ['long', -0, 0],
    ['long', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['text', 'a\u0000é😀', 'a\u0000é😀'],
    ['user', 'acme/alice', new EntityUid('AI::User', 'acme/alice')],
    ['user', { type: 'User', id: 'acme/alice' }, new EntityUid('AI::User', 'acme/alice')],
    ['color', 'red', new EntityUid('AI::Color', 'red')],
    ['dur', '1h', new DurationValue(3_600_000)],
    ['at', '1970-01-02', new DatetimeValue(86_400_000)],
    ['at', '1970-01-01T00:00:00Z', new DatetimeValue(0)],
    ['at', '1970-01-01T01:00:00.5+01:00', new DatetimeValue(500)],
    ['at', '1970-01-01T00:00:00.123456Z', new DatetimeValue(123)],
    ['nested', { a: 1 }, new RecordValue(new Map([['a', 1]]))],
  ])('%s from %j', (name, json, expected) => {
    const { value, problems } = parse(name, json);
    expect(problems).toEqual([]);
    expect(value).toEqual(expected);
  });

  it('with sets losing what occurs twice', () => {
    const { value } = parse('users', ['a', { type: 'User', id: 'a' }, 'b']);
    expect(value instanceof SetValue && value.elements.length).toBe(2);
  });

  it('and minus zero is zero, as equality of Longs needs it', () => {
    expect(Object.is(parse('long', -0).value, 0)).toBe(true);
  });
});

describe('JSON that does not fit is refused at its place', () => {
  it.each<[string, JsonValue, string, string]>([
    ['bool', 'true', '/x', 'must be true or false, not `true`'],
    ['bool', null, '/x', 'not null'],
    ['long', 1.5, '/x', 'not an integer'],
    ['long', 2 ** 53, '/x', 'not an integer between'],
    ['long', 1e300, '/x', 'not an integer'],
    ['long', '1', '/x', 'must be an integer, not `1`'],
    ['text', 1, '/x', 'must be a string'],
    ['text', 'a\ud800', '/x', 'lone surrogate'],
    ['text', 'a'.repeat(MAX_STRING_LENGTH + 1), '/x', 'characters'],
    ['user', { type: 'AI::User', id: 'a' }, '/x/type', 'the schema asks for `User`'],
    ['user', { type: 'Tenant', id: 'a' }, '/x/type', 'the schema asks for `User`'],
    ['user', { type: 'User', id: 'a b' }, '/x/id', 'printable ASCII'],
    ['user', { type: 'User', id: 'a', more: 1 }, '/x', 'must be a reference'],
    ['user', { type: 'User' }, '/x', 'must be a reference'],
    ['user', '', '/x', 'printable ASCII'],
    ['user', 'a\nb', '/x', 'printable ASCII'],
    ['user', 'a"b', '/x', 'printable ASCII'],
    ['user', ['a'], '/x', 'must be a reference'],
    ['color', 'blue', '/x', 'has no entity `blue`'],
    ['ip', '10.0.0.256', '/x', 'must be an IP address'],
    ['ip', 'a'.repeat(10_000), '/x', 'must be an IP address'],
    ['dec', 1.5, '/x', 'must be a decimal as a string'],
    ['dec', '1.23456', '/x', 'must be a decimal'],
    ['at', '2026-02-30', '/x', 'must be a time'],
    ['at', 'tomorrow', '/x', 'must be a time'],
    ['dur', '1.5h', '/x', 'must be a duration'],
    ['longs', [1, 'a', 2, null], '/x/1', 'must be an integer'],
    ['longs', { 0: 1 }, '/x', 'must be an array'],
    ['longs', Array.from({ length: MAX_SET_VALUES + 1 }, () => 1), '/x', 'elements'],
    ['sets', [[1], [true]], '/x/1/0', 'must be an integer'],
    ['nested', {}, '/x/a', 'the attribute `a` is missing'],
    ['nested', { a: 1, 'b/c~d': 2 }, '/x/b~1c~0d', 'must be a string'],
    ['nested', { a: 1, A: 2 }, '/x/A', 'unknown attribute `A`'],
    ['nested', [], '/x', 'must be an object'],
  ])('%s from %j', (name, json, pointer, message) => {
    const { value, problems } = parse(name, json);
    expect(value).toBeUndefined();
    expect(problems[0]?.pointer).toBe(pointer);
    expect(problems[0]?.message).toContain(message);
  });

  it('with every problem listed, up to a bound', () => {
    expect(parse('longs', ['a', 1, 'b']).problems.map(({ pointer }) => pointer)).toEqual(['/x/0', '/x/2']);
    expect(
      parse(
        'longs',
        Array.from({ length: 500 }, () => 'a'),
      ).problems,
    ).toHaveLength(MAX_PROBLEMS);
  });

  it('with messages of one line, however the input looks', () => {
    for (const text of ['a\nb', '`', '\u2028', '\u202e', 'a'.repeat(1_000)]) {
      const message = parse('long', text).problems[0]?.message ?? '';
      expect(message).toMatch(/^[^\n\r\u2028\u2029\u202e]{1,200}$/u);
    }
  });
});

describe('smuggling', () => {
  const escapes: readonly JsonValue[] = [
    { __entity: { type: 'AI::User', id: 'root' } },
    { __extn: { fn: 'unknown', arg: 'x' } },
    { __extn: { fn: 'ip', arg: '10.0.0.1' } },
    { __expr: 'AI::User::"root"' },
    { type: 'User', id: 'a', __entity: { type: 'User', id: 'b' } },
  ];
  const names = ['bool', 'long', 'text', 'user', 'color', 'ip', 'dec', 'at', 'dur', 'longs', 'nested'];

  it.each(names)('Cedar escapes are refused as %s, with a word on what to write', name => {
    for (const json of escapes) {
      const { value, problems } = parse(name, json);
      expect(value).toBeUndefined();
      expect(problems.some(({ message }) => /`__(?:entity|extn|expr)` is not accepted/.test(message))).toBe(
        true,
      );
    }
  });

  it.each(['longs', 'users', 'sets'])('Cedar escapes are refused in %s', name => {
    for (const json of escapes) expect(parse(name, [json]).value).toBeUndefined();
  });

  it('members of Object.prototype are neither given nor absent by accident', () => {
    expect(parse('nested', own(['a', 1], ['__proto__', { 'b/c~d': 'x' }])).problems[0]?.pointer).toBe(
      '/x/__proto__',
    );
    expect(parse('nested', own(['__proto__', { a: 1 }])).value).toBeUndefined();
    expect(parse('nested', own(['a', 1], ['toString', 1])).value).toBeUndefined();
    expect(parse('user', own(['__proto__', { type: 'User', id: 'a' }])).value).toBeUndefined();
  });

  it('attributes that the schema names like members of Object.prototype are data', () => {
    const problems: Problem[] = [];
    const type: CedarType = {
      kind: 'record',
      attributes: new Map(
        ['__proto__', 'constructor'].map(name => [name, { type: { kind: 'long' }, required: false }]),
      ),
    };
    const given = parseAttribute(type, own(['__proto__', 1], ['constructor', 2]), '', problems);
    expect(given).toEqual(
      new RecordValue(
        new Map([
          ['__proto__', 1],
          ['constructor', 2],
        ]),
      ),
    );
    expect(parseAttribute(type, {}, '', problems)).toEqual(new RecordValue(new Map()));
    expect(problems).toEqual([]);
  });
});

describe('extension values', () => {
  it.each([
    ['ipaddr', '10.1.2.3'],
    ['ipaddr', '10.0.0.0/8'],
    ['ipaddr', '2001:db8::1/64'],
    ['decimal', '-0.5'],
    ['decimal', '-922337203685477.5808'],
    ['datetime', '0000-01-01'],
    ['datetime', '9999-12-31T23:59:59.999Z'],
    ['datetime', '2024-02-29T12:00:00.001+0530'],
    ['duration', '-9223372036854775808ms'],
    ['duration', '1d2h3m4s5ms'],
  ] as const)('%s %s is written so that it reads the same', (name, text) => {
    const value = parseExtension(name, text);
    const again = value === undefined ? undefined : parseExtension(name, formatExtension(value) ?? '');
    expect(value !== undefined && again !== undefined && valueEquals(value, again)).toBe(true);
  });

  it('a time before the year 0 has no text', () => {
    const value = parseExtension('datetime', '0000-01-01T00:00:00+2359');
    expect(value === undefined ? '' : formatExtension(value)).toBeUndefined();
  });
});
