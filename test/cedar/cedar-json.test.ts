/** Values as Cedar JSON: cedar-wasm reads back exactly the value that was written. */
import { describe, expect, it } from 'vitest';
import { entityToCedarJson, recordToCedarJson, toCedarJson, uidOfKey } from '../../src/cedar/cedar-json.ts';
import { EMPTY_RECORD, makeSet } from '../../src/cedar/equality.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  EntityUid,
  IpValue,
  RecordValue,
  type Value,
} from '../../src/domain/value.ts';

const SCHEMA = `entity A; action b appliesTo { principal: [A], resource: [A], context: {
  long?: Long, text?: String, bool?: Bool, uid?: A, ip?: ipaddr, dec?: decimal, at?: datetime, dur?: duration,
  set?: Set<Long>, rec?: { "__proto__"?: Long, "odd key"?: Long } } };`;

/** Whether cedar-wasm finds the attribute equal to a Cedar expression. */
function isEqual(attribute: string, value: Value, expression: string): boolean {
  const wasm = new CedarWasm();
  wasm.registerSchema('s', SCHEMA);
  const policy = `permit(principal, action, resource) when { context.${attribute} == ${expression} };`;
  expect(wasm.registerPolicySet('p', { policies: { p: policy } })).toEqual({ ok: true, value: true });
  const uid = { type: 'A', id: 'a' };
  const answer = wasm.authorize({
    principal: uid,
    action: { type: 'Action', id: 'b' },
    resource: uid,
    context: recordToCedarJson(new RecordValue(new Map([[attribute, value]]))),
    entities: [],
    policySet: 'p',
    schema: 's',
    validateRequest: true,
  });
  if (!answer.ok) throw new Error(JSON.stringify(answer.messages));
  return answer.value.decision === 'allow';
}

describe('cedar-wasm reads back', () => {
  it.each<[string, Value, string]>([
    ['long', -5, '-5'],
    ['long', 2n ** 63n - 1n, '9007199254740991 * 1024 + 1023'],
    ['long', -(2n ** 63n), '-9007199254740991 * 1024 - 1024'],
    ['long', 2n ** 53n + 1n, '9007199254740991 + 2'],
    ['text', 'a"b\\c\u0000é😀', '"a\\"b\\\\c\\0é😀"'],
    ['bool', false, 'false'],
    ['uid', new EntityUid('A', 'q"uote\\'), 'A::"q\\"uote\\\\"'],
    ['ip', new IpValue(4, 0x0a000000n, 8), 'ip("10.0.0.0/8")'],
    ['ip', new IpValue(6, 1n, 128), 'ip("::1")'],
    ['ip', new IpValue(6, 0x20010db8n << 96n, 32), 'ip("2001:db8::/32")'],
    ['dec', new DecimalValue(-5000), 'decimal("-0.5")'],
    ['dec', new DecimalValue(-(2n ** 63n)), 'decimal("-922337203685477.5808")'],
    ['at', new DatetimeValue(1), 'datetime("1970-01-01T00:00:00.001Z")'],
    ['at', new DatetimeValue(-62_167_219_200_001), 'datetime("0000-01-01").offset(duration("-1ms"))'],
    [
      'at',
      new DatetimeValue(2n ** 63n - 1n),
      'datetime("1970-01-01").offset(duration("9223372036854775807ms"))',
    ],
    ['dur', new DurationValue(-(2n ** 63n)), 'duration("-9223372036854775808ms")'],
    ['set', makeSet([1, 2]), '[2, 1]'],
    [
      'rec',
      new RecordValue(
        new Map([
          ['__proto__', 1],
          ['odd key', 2],
        ]),
      ),
      '{"__proto__": 1, "odd key": 2}',
    ],
  ])('%s %o', (attribute, value, expression) => {
    expect(isEqual(attribute, value, expression)).toBe(true);
    const other = attribute === 'bool' ? 'true' : `{"other": ${expression}}`;
    expect(isEqual(attribute, value, other)).toBe(false);
  });
});

describe('entities', () => {
  it('have all their ancestors as parents', () => {
    const entity = {
      uid: new EntityUid('N::A', 'a'),
      attributes: new RecordValue(new Map([['x', new EntityUid('N::B', 'b')]])),
      tags: EMPTY_RECORD,
      ancestors: new Set(['N::G::"g"', 'N::T::"with "quotes" and ::"']),
    };
    expect(entityToCedarJson(entity)).toEqual({
      uid: { type: 'N::A', id: 'a' },
      attrs: { x: { __entity: { type: 'N::B', id: 'b' } } },
      parents: [
        { type: 'N::G', id: 'g' },
        { type: 'N::T', id: 'with "quotes" and ::' },
      ],
      tags: {},
    });
  });

  it.each(['A::"a"', 'N::M::"x::"', 'A::""', 'A::"a"b"'])('%s is read back from its key', key => {
    expect(uidOfKey(key).key).toBe(key);
  });

  it.each(['', 'A', 'A::a', '"a"'])('`%s` is no key', key => {
    expect(() => uidOfKey(key)).toThrow('is not the key of an entity');
  });

  it('and plain values stay plain', () => expect([true, 1, 'a'].map(toCedarJson)).toEqual([true, 1, 'a']));
});
