/**
 * When a denied request would pass a limit that nothing else is charged to. Invariant: it passes at exactly the answered
 * time and not a millisecond before; null is answered when no time will do.
 */
import type { ConcurrencyRule, LimitRule } from '../../domain/limit.ts';
import { periodEnd } from './calendar.ts';
import { f64, i32, NONE } from './columns.ts';
import type { LimitState } from './limit-state.ts';
import { flowOff, type Level, timeToFall } from './rate.ts';
import { segmentWidth, timeOfRoom } from './segments.ts';

/**
 * Ends of holds that are looked at for one answer, some 10 ns each: nobody may make denials expensive by holding much.
 * With more of them than that the answer is the end of the last one, when the request passes for certain.
 */
const MAX_ENDS = 10_000;

/**
 * @param counter its counter, advanced to now; NONE: nothing is counted, so the request is too large by itself
 * @param own of a rule with fair shares the counter of the tenant's own leases, or NONE
 * @param wanted at least 1
 * @returns milliseconds from now
 */
export function retryAfter(
  state: LimitState,
  counter: number,
  own: number,
  rule: LimitRule,
  wanted: number,
): number | null {
  const most = rule.kind === 'rate' ? rule.burst : rule.limit;
  if (wanted > most || rule.limit === 0 || counter === NONE) return null;
  const { counters, segments, now } = state;
  switch (rule.kind) {
    case 'window':
      return timeOfRoom(counters, segments, counter, f64(counters.used, counter) + wanted - most) - now;
    case 'rate': {
      const level: Level = { whole: 0, part: 0 };
      flowOff(counters, counter, rule.limit, now, level);
      const speed = Math.max(rule.limit, f64(counters.speed, counter));
      return Math.min(timeToFall(level, most - wanted, rule.periodMs, speed), Number.MAX_SAFE_INTEGER);
    }
    case 'concurrency':
      return leaseRetry(state, counter, own, rule, wanted);
    default:
      return typeof rule.period === 'string'
        ? calendarRetry(state, counter, most - wanted)
        : rollingRetry(state, counter, most - wanted);
  }
}

/** Goes through the ends of leases until one lets the request in. */
function leaseRetry(
  state: LimitState,
  counter: number,
  own: number,
  rule: ConcurrencyRule,
  wanted: number,
): number | null {
  const { counters, holds, now } = state;
  let pool = f64(counters.held, counter);
  let ownLeases = own === NONE ? 0 : f64(counters.held, own);
  let ownLease = own === NONE ? NONE : i32(counters.firstHold, own);
  let ends = 0;
  for (let lease = i32(counters.firstHold, counter); lease !== NONE; ) {
    if ((ends += 1) > MAX_ENDS && leasesFit(rule, 0, 0, wanted)) return lastEnd(state, counter) - now;
    const time = f64(holds.expiry, lease);
    for (; lease !== NONE && f64(holds.expiry, lease) <= time; lease = i32(holds.next, lease)) {
      pool -= f64(holds.amount, lease);
    }
    for (; ownLease !== NONE && f64(holds.expiry, ownLease) <= time; ownLease = i32(holds.next, ownLease)) {
      ownLeases -= f64(holds.amount, ownLease);
    }
    if (leasesFit(rule, pool, ownLeases, wanted)) return time - now;
  }
  return null;
}

/** Whether a pool has room: for what is guaranteed up to its limit, for what is lent up to its high water. */
export function leasesFit(
  { limit, fair }: ConcurrencyRule,
  pool: number,
  own: number,
  wanted: number,
): boolean {
  if (pool + wanted > limit) return false;
  return fair === undefined || own + wanted <= fair.guaranteed || pool + wanted <= fair.highWater;
}

/** Goes through the ends of holds and of periods until no more than `target` is left. */
function calendarRetry(state: LimitState, counter: number, target: number): number | null {
  const { counters, holds, now } = state;
  const span = f64(counters.span, counter);
  let end = f64(counters.mark, counter);
  let used = f64(counters.used, counter);
  let held = f64(counters.held, counter);
  let hold = i32(counters.firstHold, counter);
  for (let ends = 1; ; ends++) {
    if (ends > MAX_ENDS) return periodEnd(span, lastEnd(state, counter)) - now;
    const time = hold === NONE ? end : Math.min(end, f64(holds.expiry, hold));
    if (time >= end) {
      used = 0;
      end = periodEnd(span, time);
    }
    for (; hold !== NONE && f64(holds.expiry, hold) <= time; hold = i32(holds.next, hold)) {
      held -= f64(holds.amount, hold);
      used += holds.chargedAtExpiry(hold);
    }
    if (used + held <= target) return time - now;
    // nothing is left but what a later period forgets, and the target is not below 0
    if (hold === NONE && used === 0) return null;
  }
}

/** When the last of the holds ends; now when there is none. */
function lastEnd({ counters, holds, now }: LimitState, counter: number): number {
  const last = i32(counters.lastHold, counter);
  return last === NONE ? now : f64(holds.expiry, last);
}

/** A charge that leaves at an instant. */
interface Leaving {
  time: number;
  sum: number;
}

/** The same of a rolling period: what a hold leaves behind when it ends leaves a period later. */
function rollingRetry(state: LimitState, counter: number, target: number): number | null {
  const { counters, segments, holds, now } = state;
  const span = f64(counters.span, counter);
  const width = segmentWidth(span);
  const charges: Leaving[] = [];
  for (let one = i32(counters.firstSegment, counter); one !== NONE; one = i32(segments.next, one)) {
    charges.push({ time: f64(segments.time, one), sum: f64(segments.sum, one) });
  }
  let total = counters.total(counter);
  let hold = i32(counters.firstHold, counter);
  let steps = 0;
  for (let first = 0; ; ) {
    if ((steps += 1) > MAX_ENDS) return lastEnd(state, counter) + span - now;
    const oldest = charges[first];
    const leaves = oldest === undefined ? Number.POSITIVE_INFINITY : oldest.time + span;
    const ends = hold === NONE ? Number.POSITIVE_INFINITY : f64(holds.expiry, hold);
    const time = Math.min(leaves, ends);
    if (time === Number.POSITIVE_INFINITY) return null;
    for (; hold !== NONE && f64(holds.expiry, hold) <= time; hold = i32(holds.next, hold)) {
      const charged = holds.chargedAtExpiry(hold);
      total += charged - f64(holds.amount, hold);
      if (charged > 0) addCharge(charges, time, charged, width);
    }
    while (first < charges.length && (charges[first]?.time ?? 0) + span <= time) {
      total -= charges[first]?.sum ?? 0;
      first += 1;
    }
    if (total <= target) return time - now;
  }
}

/** As `record` of segments.ts does. */
function addCharge(charges: Leaving[], time: number, sum: number, width: number): void {
  const last = charges.at(-1);
  if (last !== undefined && Math.floor(last.time / width) === Math.floor(time / width)) {
    last.time = time;
    last.sum += sum;
  } else {
    charges.push({ time, sum });
  }
}
