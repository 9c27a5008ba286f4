/** 64-bit arithmetic against exact integers. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvaluationError } from '../../src/cedar/evaluation-error.ts';
import {
  add,
  MAX_LONG,
  MIN_LONG,
  multiply,
  negate,
  parseDigits,
  subtract,
  toLong,
} from '../../src/cedar/long.ts';
import type { Long } from '../../src/domain/value.ts';

const EDGES = [
  0n,
  1n,
  2n,
  2n ** 31n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 62n,
  MAX_LONG,
  MAX_LONG + 1n,
];
const exact = fc
  .oneof(
    fc.constantFrom(...EDGES, ...EDGES.map(edge => -edge)),
    fc.bigInt({ min: MIN_LONG, max: MAX_LONG }),
    fc.maxSafeInteger().map(BigInt),
    fc.integer({ min: -100, max: 100 }).map(BigInt),
  )
  .filter(value => value >= MIN_LONG && value <= MAX_LONG);

function long(value: bigint): Long {
  const canonical = toLong(value);
  if (canonical === undefined) throw new Error('out of range');
  return canonical;
}

/** The result, or undefined for an overflow. */
function attempt(operation: () => Long): Long | undefined {
  try {
    return operation();
  } catch (error) {
    if (error instanceof EvaluationError && error.code === 'INTEGER_OVERFLOW') return undefined;
    throw error;
  }
}

describe('arithmetic', () => {
  it.each([
    ['+', add, (a: bigint, b: bigint) => a + b],
    ['-', subtract, (a: bigint, b: bigint) => a - b],
    ['*', multiply, (a: bigint, b: bigint) => a * b],
  ] as const)('%s is exact and canonical, or overflows', (_name, ours, exactly) => {
    fc.assert(
      fc.property(exact, exact, (a, b) => {
        const result = attempt(() => ours(long(a), long(b)));
        expect(Object.is(result, toLong(exactly(a, b)))).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('negation is exact and canonical, or overflows', () => {
    fc.assert(
      fc.property(exact, a => {
        expect(
          Object.is(
            attempt(() => negate(long(a))),
            toLong(-a),
          ),
        ).toBe(true);
      }),
    );
  });
});

describe('toLong()', () => {
  it('gives a number for a safe integer and a bigint beyond', () => {
    expect(toLong(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
    expect(toLong(2n ** 53n)).toBe(2n ** 53n);
    expect(toLong(-(2n ** 53n))).toBe(-(2n ** 53n));
    expect(toLong(MAX_LONG)).toBe(MAX_LONG);
    expect(toLong(MAX_LONG + 1n)).toBeUndefined();
    expect(toLong(MIN_LONG - 1n)).toBeUndefined();
  });

  it('keeps comparison exact between numbers and bigints', () => {
    fc.assert(
      fc.property(exact, exact, (a, b) => {
        expect(long(a) < long(b)).toBe(a < b);
        expect(long(a) === long(b)).toBe(a === b);
      }),
    );
  });
});

describe('parseDigits()', () => {
  it.each([
    ['0', 0n],
    ['000', 0n],
    ['007', 7n],
    [`${'0'.repeat(1000)}9223372036854775808`, 2n ** 63n],
    ['9999999999999999999', 9_999_999_999_999_999_999n],
    ['10000000000000000000', undefined],
    ['9'.repeat(100_000), undefined],
  ])('of %.30s is %s', (digits, value) => {
    expect(parseDigits(digits)).toBe(value);
  });
});
