/**
 * Cedar `datetime` and `duration` (RFC 80 of the language): milliseconds in 64 bits. Invariant: operations
 * either give the exact result or undefined; nothing wraps, nothing rounds except where Cedar truncates.
 */
import { DatetimeValue, DurationValue, type Long } from '../domain/value.ts';
import { parseDigits, toLong } from './long.ts';

export const MS_PER_SECOND = 1000;
export const MS_PER_MINUTE = 60_000;
export const MS_PER_HOUR = 3_600_000;
export const MS_PER_DAY = 86_400_000;

const DATETIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?(?:Z|([+-])([0-9]{2})([0-9]{2})))?$/;

const DURATION = /^(-?)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/;

/** Milliseconds of the groups of `DURATION`, in their order. */
const DURATION_UNITS = [MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, 1].map(BigInt);

/**
 * Parses `YYYY-MM-DD`, or that with `Thh:mm:ss`, optional `.SSS`, and `Z` or an offset `±hhmm`. No leap
 * seconds. Undefined when malformed or not a date of the proleptic Gregorian calendar.
 */
export function parseDatetime(text: string): DatetimeValue | undefined {
  const match = DATETIME.exec(text);
  if (match === null) return undefined;
  const field = (group: number): number => Number(match[group] ?? '0');
  const [year, month, day] = [field(1), field(2), field(3)];
  const [hour, minute, second, milli] = [field(4), field(5), field(6), field(7)];
  const [offsetHour, offsetMinute] = [field(9), field(10)];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const local =
    daysSinceEpoch(year, month, day) * MS_PER_DAY +
    hour * MS_PER_HOUR +
    minute * MS_PER_MINUTE +
    second * MS_PER_SECOND +
    milli;
  const offset = offsetHour * MS_PER_HOUR + offsetMinute * MS_PER_MINUTE;
  return new DatetimeValue(local - (match[8] === '-' ? -offset : offset));
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Days from 1970-01-01; years count from March, so that the leap day ends a year. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/**
 * Parses `-?` followed by at least one of `<n>d <n>h <n>m <n>s <n>ms` in this order, without spaces.
 * Undefined when malformed or when any part or the sum exceeds 64 bits.
 */
export function parseDuration(text: string): DurationValue | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  let magnitude = 0n;
  let parts = 0;
  for (const [index, unitMs] of DURATION_UNITS.entries()) {
    const digits = match[index + 2];
    if (digits === undefined) continue;
    const count = parseDigits(digits);
    if (count === undefined) return undefined;
    magnitude += count * unitMs;
    parts++;
  }
  const ms = toLong(match[1] === '-' ? -magnitude : magnitude);
  return parts === 0 || ms === undefined ? undefined : new DurationValue(ms);
}

/** `datetime.offset(duration)`; undefined on overflow. */
export function offsetBy(start: DatetimeValue, by: DurationValue): DatetimeValue | undefined {
  const epochMs = toLong(BigInt(start.epochMs) + BigInt(by.ms));
  return epochMs === undefined ? undefined : new DatetimeValue(epochMs);
}

/** `end.durationSince(start)`; undefined on overflow. */
export function durationBetween(start: DatetimeValue, end: DatetimeValue): DurationValue | undefined {
  const ms = toLong(BigInt(end.epochMs) - BigInt(start.epochMs));
  return ms === undefined ? undefined : new DurationValue(ms);
}

/** `toDate()`: midnight UTC at or before; undefined on overflow. */
export function startOfDay(at: DatetimeValue): DatetimeValue | undefined {
  const epochMs = toLong(BigInt(at.epochMs) - BigInt(timeOfDayMs(at)));
  return epochMs === undefined ? undefined : new DatetimeValue(epochMs);
}

/** `toTime()`: what has passed of the day, never negative. */
export function timeOfDay(at: DatetimeValue): DurationValue {
  return new DurationValue(timeOfDayMs(at));
}

function timeOfDayMs(at: DatetimeValue): number {
  const remainder =
    typeof at.epochMs === 'number' ? at.epochMs % MS_PER_DAY : Number(at.epochMs % BigInt(MS_PER_DAY));
  // `+ 0` turns the -0 that % gives for whole days before 1970 into 0.
  return remainder < 0 ? remainder + MS_PER_DAY : remainder + 0;
}

/** Whole units in a duration, truncated towards zero. */
export function wholeUnits(duration: DurationValue, unitMs: number): Long {
  return toLong(BigInt(duration.ms) / BigInt(unitMs)) ?? duration.ms;
}
