/**
 * Cedar `decimal`: fixed point with four fractional digits in 64 bits. Comparison is by `units`, so
 * decimal("1.0") and decimal("1.00") are the same value.
 */
import { DecimalValue } from '../domain/value.ts';
import { parseDigits, toLong } from './long.ts';

const FRACTION_DIGITS = 4;

/** Parses `-?digits.digits` with one to four fractional digits; undefined when malformed or out of range. */
export function parseDecimal(text: string): DecimalValue | undefined {
  const match = /^(-?)([0-9]+)\.([0-9]{1,4})$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = ''] = match;
  const magnitude = parseDigits(whole + fraction.padEnd(FRACTION_DIGITS, '0'));
  if (magnitude === undefined) return undefined;
  const units = toLong(sign === '-' ? -magnitude : magnitude);
  return units === undefined ? undefined : new DecimalValue(units);
}

/** The shortest text that parses to the value. */
export function formatDecimal(value: DecimalValue): string {
  const units = BigInt(value.units);
  const digits = String(units < 0n ? -units : units).padStart(FRACTION_DIGITS + 1, '0');
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -FRACTION_DIGITS)}.${fraction === '' ? '0' : fraction}`;
}
