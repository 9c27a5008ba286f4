/**
 * Periods of the calendar in UTC as arithmetic on milliseconds (ISO 8601: a week begins on Monday). Invariant: every
 * instant belongs to exactly one period of a kind, and its end is the start of the next one.
 */
import type { QuotaPeriod } from '../../domain/limit.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** The epoch was a Thursday: the Monday before it is three days earlier. */
const FIRST_MONDAY_MS = -3 * DAY_MS;

/** Spans of calendar periods as one number with those of rolling ones: a rolling span is positive. */
const HOUR = -1;
const DAY = -2;
const WEEK = -3;
const MONTH = -4;
/** A period as one number: milliseconds of a rolling one, a code below 0 of one of the calendar. */
export function periodSpan(period: QuotaPeriod): number {
  switch (period) {
    case 'hour':
      return HOUR;
    case 'day':
      return DAY;
    case 'week':
      return WEEK;
    case 'month':
      return MONTH;
    default:
      return period.rollingMs;
  }
}

/** End of the calendar period that an instant is in, milliseconds since the epoch. @param span one below 0 */
export function periodEnd(span: number, now: number): number {
  if (span === HOUR) return endOf(now, HOUR_MS, 0);
  if (span === DAY) return endOf(now, DAY_MS, 0);
  if (span === WEEK) return endOf(now, WEEK_MS, FIRST_MONDAY_MS);
  return monthEnd(now);
}

function endOf(now: number, length: number, anchor: number): number {
  return anchor + (Math.floor((now - anchor) / length) + 1) * length;
}

/** Days of the 400 years after which the calendar repeats, and of a century, four years and a year in it. */
const DAYS_400 = 146_097;
const DAYS_100 = 36_524;
const DAYS_4 = 1_461;
const DAYS_1 = 365;
/** Days from 0000-03-01 to the epoch: years that begin in March end with the day that leap years add. */
const DAYS_TO_EPOCH = 719_468;
/** Days of five months from March on, which repeat: 31, 30, 31, 30, 31. */
const DAYS_5_MONTHS = 153;

/** The proleptic Gregorian calendar: the first day of the month after the one that an instant is in. */
function monthEnd(now: number): number {
  const days = Math.floor(now / DAY_MS) + DAYS_TO_EPOCH;
  const era = Math.floor(days / DAYS_400);
  const dayOfEra = days - era * DAYS_400;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / (DAYS_4 - 1)) +
      Math.floor(dayOfEra / DAYS_100) -
      Math.floor(dayOfEra / (DAYS_400 - 1))) /
      DAYS_1,
  );
  const dayOfYear = dayOfEra - daysBefore(yearOfEra);
  /** 0 is March, 11 is February. */
  const month = Math.floor((5 * dayOfYear + 2) / DAYS_5_MONTHS);
  const firstOfNext =
    month === 11 ? daysBefore(yearOfEra + 1) : daysBefore(yearOfEra) + monthStart(month + 1);
  return (era * DAYS_400 + firstOfNext - DAYS_TO_EPOCH) * DAY_MS;
}

/** Days of an era before one of its years. */
function daysBefore(yearOfEra: number): number {
  return (
    yearOfEra * DAYS_1 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + Math.floor(yearOfEra / 400)
  );
}

/** Days of a year, which begins in March, before one of its months. */
function monthStart(month: number): number {
  return Math.floor((DAYS_5_MONTHS * month + 2) / 5);
}
