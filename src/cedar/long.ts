/**
 * 64-bit signed arithmetic. Invariant: results are canonical (a number when it is a safe integer, else a
 * bigint), so `===` and `<` on two Longs are exact in every mixture.
 */
import type { Long, Value } from '../domain/value.ts';
import { fail } from './evaluation-error.ts';

export const MIN_LONG = -(2n ** 63n);
export const MAX_LONG = 2n ** 63n - 1n;

export function isLong(value: Value): value is Long {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** The canonical Long of an exact integer, or undefined when it exceeds 64 bits. */
export function toLong(exact: bigint): Long | undefined {
  if (exact < MIN_LONG || exact > MAX_LONG) return undefined;
  const short = Number(exact);
  return Number.isSafeInteger(short) ? short : exact;
}

/** Digits of 2^63, the most that a Long in range can have without leading zeros. */
const MAX_DIGITS = 19;

/**
 * The number that decimal digits denote, or undefined when it has too many of them to be a Long. Leading
 * zeros are dropped first, so a long text costs no more than reading it.
 */
export function parseDigits(digits: string): bigint | undefined {
  const significant = digits.replace(/^0+/, '');
  return significant.length > MAX_DIGITS ? undefined : BigInt(significant);
}

/*
 * Each operation first computes in doubles. Rounding is monotone: if the exact result of two safe integers
 * lies beyond 2^53 - 1, so does the rounded one. A safe rounded result is therefore the exact one.
 */

/** @throws EvaluationError TYPE_ERROR unless both are Longs; INTEGER_OVERFLOW beyond 64 bits. */
export function add(a: Value, b: Value): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return isLong(a) && isLong(b) ? orOverflow(BigInt(a) + BigInt(b)) : fail('TYPE_ERROR');
}

/** @throws EvaluationError TYPE_ERROR unless both are Longs; INTEGER_OVERFLOW beyond 64 bits. */
export function subtract(a: Value, b: Value): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return isLong(a) && isLong(b) ? orOverflow(BigInt(a) - BigInt(b)) : fail('TYPE_ERROR');
}

/** @throws EvaluationError TYPE_ERROR unless both are Longs; INTEGER_OVERFLOW beyond 64 bits. */
export function multiply(a: Value, b: Value): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    // Adding zero turns -0 (as in 0 * -5) into 0.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return isLong(a) && isLong(b) ? orOverflow(BigInt(a) * BigInt(b)) : fail('TYPE_ERROR');
}

/** @throws EvaluationError TYPE_ERROR unless it is a Long; INTEGER_OVERFLOW for the least Long. */
export function negate(a: Value): Long {
  return isLong(a) ? subtract(0, a) : fail('TYPE_ERROR');
}

function orOverflow(exact: bigint): Long {
  return toLong(exact) ?? fail('INTEGER_OVERFLOW');
}
