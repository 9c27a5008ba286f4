/**
 * Whether a limit lets a request in, and where it stands. Invariant: looking changes no answer; what is described is
 * what was checked.
 */
import type { LimitRule, LimitStanding } from '../../domain/limit.ts';
import { periodEnd, periodSpan } from './calendar.ts';
import { f64, i32, NONE } from './columns.ts';
import { CALENDAR, type CounterShape, LEASES, RATE, ROLLING, WINDOW } from './counters.ts';
import { RELEASE } from './holds.ts';
import type { LimitState } from './limit-state.ts';
import { flowOff, type Level, roundedUp, timeToFall } from './rate.ts';
import { leasesFit, retryAfter } from './retry.ts';
import { timeOfEnd } from './segments.ts';

export function shapeOf(rule: LimitRule): CounterShape {
  switch (rule.kind) {
    case 'window':
      return { kind: WINDOW, span: rule.windowMs };
    case 'rate':
      return { kind: RATE, span: rule.periodMs };
    case 'quota':
      return {
        kind: typeof rule.period === 'string' ? CALENDAR : ROLLING,
        span: periodSpan(rule.period),
      };
    default:
      return { kind: LEASES, span: 0 };
  }
}

/** A request of nothing needs room for one: it is denied when nothing remains. */
export function wantedOf(amount: number): number {
  return amount === 0 ? 1 : amount;
}

/** @param counter advanced to now; NONE: nothing is counted @param own see `retryAfter` */
export function passes(
  state: LimitState,
  counter: number,
  own: number,
  rule: LimitRule,
  amount: number,
): boolean {
  const wanted = wantedOf(amount);
  const { counters } = state;
  if (rule.kind === 'rate') {
    return (
      rule.limit > 0 && wanted <= rule.burst && levelAt(state, counter, rule.limit) + wanted <= rule.burst
    );
  }
  const total = counter === NONE ? 0 : counters.total(counter);
  if (rule.kind !== 'concurrency') return total + wanted <= rule.limit;
  return leasesFit(rule, total, own === NONE ? 0 : f64(counters.held, own), wanted);
}

/** Whole units in the bucket of a rate. */
function levelAt({ counters, now }: LimitState, counter: number, speed: number): number {
  if (counter === NONE) return 0;
  const level: Level = { whole: 0, part: 0 };
  flowOff(counters, counter, speed, now, level);
  return roundedUp(level);
}

/** @param violated what `passes` said, negated */
export function describe(
  state: LimitState,
  counter: number,
  own: number,
  rule: LimitRule,
  amount: number,
  violated: boolean,
): LimitStanding {
  const { counters } = state;
  const isRate = rule.kind === 'rate';
  const used = isRate ? levelAt(state, counter, rule.limit) : counter === NONE ? 0 : counters.total(counter);
  const most = isRate && rule.limit > 0 ? rule.burst : rule.limit;
  return {
    violated,
    used,
    held: isRate || counter === NONE ? 0 : f64(counters.held, counter),
    remaining: used >= most ? 0 : most - used,
    resetMs: counter === NONE || used === 0 ? 0 : resetOf(state, counter, rule),
    retryAfterMs: violated ? retryAfter(state, counter, own, rule, wantedOf(amount)) : null,
    degraded: false,
  };
}

/** Milliseconds until everything counted now has left. */
function resetOf(state: LimitState, counter: number, rule: LimitRule): number {
  const { counters, segments, holds, now } = state;
  switch (rule.kind) {
    case 'window':
      return timeOfEnd(counters, segments, counter, now) - now;
    case 'rate': {
      const level: Level = { whole: 0, part: 0 };
      flowOff(counters, counter, rule.limit, now, level);
      const speed = Math.max(rule.limit, f64(counters.speed, counter));
      return Math.min(timeToFall(level, 0, rule.periodMs, speed), Number.MAX_SAFE_INTEGER);
    }
    case 'concurrency':
      return f64(holds.expiry, i32(counters.lastHold, counter)) - now;
    default:
      return quotaEnd(state, counter) - now;
  }
}

/** When the last that is committed or held has left, the holds taken to end by themselves. */
function quotaEnd(state: LimitState, counter: number): number {
  const { counters, segments, holds, now } = state;
  const span = f64(counters.span, counter);
  const committed = span < 0 ? f64(counters.mark, counter) : timeOfEnd(counters, segments, counter, now);
  const last = i32(counters.lastHold, counter);
  const end = f64(counters.used, counter) > 0 ? committed : now;
  if (last === NONE) return end;
  const expiry = f64(holds.expiry, last);
  if (holds.onExpiry[last] === RELEASE) return Math.max(end, expiry);
  return Math.max(end, span < 0 ? periodEnd(span, expiry) : expiry + span);
}
