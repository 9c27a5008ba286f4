/** The printer against Cedar's parser, and generated expressions against Cedar's evaluator. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeSet } from '../../src/cedar/equality.ts';
import { printExpression, printValue } from '../../src/cedar/print.ts';
import {
  DatetimeValue,
  DecimalValue,
  DurationValue,
  EntityUid,
  IpValue,
  type Value,
} from '../../src/domain/value.ts';
import { conditions, expressions } from './arbitrary-expressions.ts';
import { cedarOutcomes, ourOutcome, parseCondition, record } from './small-world.ts';

describe('printExpression()', () => {
  it('writes text that Cedar parses into the same tree', () => {
    fc.assert(
      fc.property(expressions(4), expression => {
        const text = printExpression(expression);
        expect(parseCondition(text).conditions[0]?.body).toEqual(expression);
      }),
      { numRuns: 1000 },
    );
  });

  it('writes one line without invisible characters', () => {
    fc.assert(
      fc.property(expressions(4), expression => {
        expect(printExpression(expression)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}\u00a0]/u);
      }),
    );
  });

  it.each([
    'principal.a.b["c d"] == -1',
    '(a || b) && c'.replaceAll(/[abc]/g, name => `principal.${name}`),
    'principal.a - (principal.b - 1) * 2 < 3',
    '!(principal.a || principal.b)',
    '-(1) == -(-1)',
    '(if principal.a then 1 else 2) == 2',
    'principal is User in [Team::"a", Team::"b"]',
    'principal has a.b && principal.a.b like "x\\**"',
    '{a: 1, "b c": [true, {}]} == context',
    'principal.getTag("k") == ip("1.2.3.4")',
    'context.now.toTime() >= duration("22h")',
  ])('adds no needless parenthesis to %s', text => {
    const [condition] = parseCondition(text).conditions;
    expect(condition === undefined ? undefined : printExpression(condition.body)).toBe(text);
  });
});

describe('generated expressions', () => {
  it('come out as in Cedar', () => {
    fc.assert(
      fc.property(fc.array(conditions(4), { minLength: 200, maxLength: 200 }), batch => {
        const texts = batch.map(printExpression);
        const ours = texts.map(text => ourOutcome(text));
        expect(ours.map(outcome => (typeof outcome === 'string' ? 'error' : outcome))).toEqual(
          cedarOutcomes(texts),
        );
      }),
      { numRuns: 10 },
    );
  });
});

describe('printValue()', () => {
  const values: readonly [Value, string][] = [
    [true, 'true'],
    [-5, '-5'],
    [2n ** 63n - 1n, '9223372036854775807'],
    ['a "b"\n', '"a \\"b\\"\\u{a}"'],
    ['\u202e', '"\\u{202e}"'],
    ['\ud800', '"\ufffd"'],
    [new EntityUid('AI::User', 'acme/alice'), 'AI::User::"acme/alice"'],
    [makeSet([1, 'a']), '[1, "a"]'],
    [record({ a: 1, 'b c': makeSet([]), if: true }), '{a: 1, "b c": [], "if": true}'],
    [new IpValue(4, 0x0a_00_00_00n, 8), 'ip("10.0.0.0/8")'],
    [new DecimalValue(-15_000), 'decimal("-1.5")'],
    [new DatetimeValue(0), 'datetime("1970-01-01T00:00:00.000Z")'],
    [new DatetimeValue(-(2n ** 63n)), 'datetime("1970-01-01").offset(duration("-9223372036854775808ms"))'],
    [new DurationValue(90_000), 'duration("90000ms")'],
  ];
  it.each(values)('of %o is %s', (value, text) => {
    expect(printValue(value)).toBe(text);
  });

  it('prints as far as there is room and not much further', () => {
    const part = 'x'.repeat(1000);
    const large = record({ a: makeSet(Array.from({ length: 100 }, (_, i) => `${i}${part}`)), b: part });
    const [whole, cut] = [printValue(large), printValue(large, 1500)];
    expect(whole.length).toBeGreaterThan(100_000);
    expect(cut.length).toBeLessThan(2600);
    expect(cut.slice(0, 1500)).toBe(whole.slice(0, 1500));
  });
});
