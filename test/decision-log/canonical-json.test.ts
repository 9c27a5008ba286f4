/** Canonical JSON against another implementation of RFC 8785, and what it must refuse. */
import canonicalize from 'canonicalize';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson, type Encodable, MAX_DEPTH } from '../../src/decision-log/canonical-json.ts';

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('9', '10', '__proto__', 'constructor', 'é', '\u{1F332}', '\ue000', ''),
);
const { value } = fc.letrec<{ value: Encodable }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 6 })
      .map((pairs): { [key: string]: Encodable } => Object.fromEntries(pairs)),
  ),
}));

describe('canonicalJson', () => {
  test('writes what RFC 8785 says, as another implementation does', () => {
    fc.assert(
      fc.property(value, one => {
        expect(canonicalJson(one)).toBe(canonicalize(one));
      }),
      { numRuns: 1_000 },
    );
  });

  test('is injective: reading the text back gives the value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(value, one => {
        const read: unknown = JSON.parse(canonicalJson(one));
        expect(read).toEqual(JSON.parse(JSON.stringify(one)));
      }),
    );
    expect(canonicalJson({ b: 1, a: 2 })).toBe(canonicalJson({ a: 2, b: 1 }));
  });

  test.each([
    [0, '0'],
    [-0, '0'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [Number.MIN_SAFE_INTEGER, '-9007199254740991'],
    ['\u0000\b\t\n\f\r"\\/\u007f', '"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\u007f"'],
    [{ 10: 1, 9: 2, a: undefined }, '{"10":1,"9":2}'],
    [[], '[]'],
    [{}, '{}'],
    [[[], '', {}], '[[],"",{}]'],
  ])('writes %j as %s', (input, expected) => expect(canonicalJson(input)).toBe(expected));

  test.each<[string, Encodable, string]>([
    ['a fraction', { a: [1.5] }, '/a/0'],
    ['an integer beyond 2^53', { a: 2 ** 53 }, '/a'],
    ['infinity', { a: Number.POSITIVE_INFINITY }, '/a'],
    ['not a number', { a: Number.NaN }, '/a'],
    ['half of a surrogate pair', { a: { b: 'x\ud83c' } }, '/a/b'],
    ['half of a surrogate pair in a key', { '\udf32': 1 }, ''],
  ])('refuses %s and says where', (_, input, pointer) => {
    expect(() => canonicalJson(input)).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', problems: [expect.objectContaining({ pointer })] }),
    );
  });

  test('refuses what is nested too deeply, and takes what is not', () => {
    const nest = (depth: number): Encodable => (depth === 0 ? 1 : [nest(depth - 1)]);
    expect(canonicalJson(nest(MAX_DEPTH))).toHaveLength(2 * MAX_DEPTH + 1);
    expect(() => canonicalJson(nest(MAX_DEPTH + 1))).toThrow('nested deeper');
  });
});
