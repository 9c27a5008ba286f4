/**
 * Every change of what limits have counted, one function for each. Invariants: what a key has counted only shrinks by
 * time, by a settlement or by a reset; the same calls in the same order lead to the same state, whether they come from
 * a decision or from the log.
 */
import { periodEnd } from './calendar.ts';
import { f64, i32, NONE, u8 } from './columns.ts';
import { CALENDAR, LEASES, RATE, ROLLING, WINDOW } from './counters.ts';
import type { LimitState } from './limit-state.ts';
import { flowOff, type Level, roundedUp } from './rate.ts';
import { clear, dropOld, giveBack, record } from './segments.ts';

/** What one charge does to a counter. Reused from charge to charge. */
export interface ChargeTerms {
  amount: number;
  /** The limit; of a rate its burst. */
  cap: number;
  /** Of a rate: units per period. */
  speed: number;
  /** Whether a settlement can change it. */
  holds: boolean;
  unit: number;
  onExpiry: number;
  floor: number;
  /** How long the hold lives, in milliseconds. */
  lifeMs: number;
}

/** Terms of nothing, for whoever fills them in again and again. */
export function blankTerms(): ChargeTerms {
  return { amount: 0, cap: 0, speed: 0, holds: false, unit: 0, onExpiry: 0, floor: 0, lifeMs: 0 };
}

/** What a settlement did to one charge. Reused from one to the next. */
export interface SettledTerms {
  charged: number;
  overdraft: number;
}

/** Lets everything happen to a counter that time does by itself. Nothing of it changes an answer at that time. */
export function advance(state: LimitState, counter: number, now: number): void {
  const { counters, segments, holds } = state;
  const kind = u8(counters.kind, counter);
  if (kind !== WINDOW && kind !== RATE) {
    for (;;) {
      const hold = i32(counters.firstHold, counter);
      if (hold === NONE || f64(holds.expiry, hold) > now) break;
      expire(state, counter, hold);
    }
  }
  if (kind === WINDOW || kind === ROLLING) dropOld(counters, segments, counter, now);
  else if (kind === CALENDAR) turnPeriod(state, counter, now);
}

/** Ends a hold that nobody settled, at the instant at which it ended. */
function expire(state: LimitState, counter: number, hold: number): void {
  const { counters, holds } = state;
  holds.unlink(counters, hold);
  if (u8(counters.kind, counter) !== LEASES) {
    commit(state, counter, holds.chargedAtExpiry(hold), f64(holds.expiry, hold));
  }
}

/** Adds to what a quota has committed. */
function commit(state: LimitState, counter: number, amount: number, at: number): void {
  const { counters, segments } = state;
  if (u8(counters.kind, counter) === ROLLING) {
    record(counters, segments, counter, at, amount);
    return;
  }
  turnPeriod(state, counter, at);
  counters.used[counter] = f64(counters.used, counter) + amount;
}

/** What is held is carried over: it is charged in the period in which it is settled. */
function turnPeriod({ counters }: LimitState, counter: number, now: number): void {
  if (now < f64(counters.mark, counter)) return;
  counters.used[counter] = 0;
  counters.mark[counter] = periodEnd(f64(counters.span, counter), now);
}

/** Charges a counter. @param decision whose hold it is, if it is one */
export function charge(state: LimitState, counter: number, terms: ChargeTerms, decision: number): void {
  const { counters, segments, now } = state;
  const { amount } = terms;
  advance(state, counter, now);
  counters.cap[counter] = terms.cap;
  let mark = now;
  switch (u8(counters.kind, counter)) {
    case WINDOW:
      record(counters, segments, counter, now, amount);
      break;
    case RATE: {
      const level: Level = { whole: 0, part: 0 };
      flowOff(counters, counter, terms.speed, now, level);
      counters.used[counter] = level.whole + amount;
      counters.held[counter] = level.part;
      counters.mark[counter] = now;
      counters.speed[counter] = terms.speed;
      mark = f64(counters.entered, counter) + amount;
      counters.entered[counter] = mark;
      break;
    }
    case LEASES:
      break;
    default:
      if (!terms.holds) commit(state, counter, amount, now);
  }
  if (terms.holds) addHold(state, counter, terms, mark, decision);
}

function addHold(
  state: LimitState,
  counter: number,
  terms: ChargeTerms,
  mark: number,
  decision: number,
): void {
  const { counters, holds, decisions, now } = state;
  const hold = holds.open(counters, counter, terms, now + terms.lifeMs, mark);
  const kind = u8(counters.kind, counter);
  if (kind !== WINDOW && kind !== RATE) holds.link(counters, hold);
  holds.sibling[hold] = i32(decisions.firstHold, decision);
  decisions.firstHold[decision] = hold;
  if (f64(decisions.until, decision) < now + terms.lifeMs) decisions.until[decision] = now + terms.lifeMs;
}

/**
 * Replaces what a hold reserved, or was charged when it ended, by what was used.
 * @param used in the unit of the hold @returns false: its key has been reset, so nothing is left to settle
 */
export function settleHold(state: LimitState, hold: number, used: number, settled: SettledTerms): boolean {
  const { counters, holds, now } = state;
  const counter = i32(holds.counter, hold);
  if (!counters.isSame(counter, i32(holds.generation, hold))) return false;
  advance(state, counter, now);
  const before = levelOf(state, counter);
  settled.charged = used;
  switch (u8(counters.kind, counter)) {
    case LEASES:
      if (holds.isListed(hold)) holds.unlink(counters, hold);
      settled.charged = 0;
      break;
    case WINDOW:
      adjustSegments(state, counter, used - f64(holds.amount, hold), f64(holds.mark, hold));
      break;
    case RATE:
      adjustRate(state, counter, hold, used);
      break;
    default:
      adjustQuota(state, counter, hold, used);
  }
  const over = Math.max(before, f64(counters.cap, counter));
  settled.overdraft = Math.max(0, levelOf(state, counter) - over);
  return true;
}

/** What goes back goes back where it was charged; what comes on top is charged now. */
function adjustSegments(state: LimitState, counter: number, difference: number, at: number): void {
  const { counters, segments, now } = state;
  if (difference < 0) giveBack(counters, segments, counter, at, -difference);
  else record(counters, segments, counter, now, difference);
}

/**
 * What flows off is taken to be what came first, so of a charge no more goes back than what cannot have flowed off.
 */
function adjustRate(state: LimitState, counter: number, hold: number, used: number): void {
  const { counters, holds, now } = state;
  const level: Level = { whole: 0, part: 0 };
  flowOff(counters, counter, f64(counters.speed, counter), now, level);
  const amount = f64(holds.amount, hold);
  const entered = f64(counters.entered, counter);
  let whole = level.whole + Math.max(0, used - amount);
  if (used < amount) {
    const gone = entered - level.whole;
    const left = Math.min(amount, Math.max(0, f64(holds.mark, hold) - gone));
    whole -= Math.min(amount - used, left);
  } else {
    counters.entered[counter] = entered + used - amount;
  }
  counters.used[counter] = whole;
  counters.held[counter] = level.part;
  counters.mark[counter] = now;
}

function adjustQuota(state: LimitState, counter: number, hold: number, used: number): void {
  const { counters, holds, now } = state;
  if (holds.isListed(hold)) {
    holds.unlink(counters, hold);
    commit(state, counter, used, now);
    return;
  }
  const ended = f64(holds.expiry, hold);
  const difference = used - holds.chargedAtExpiry(hold);
  if (u8(counters.kind, counter) === ROLLING) {
    adjustSegments(state, counter, difference, ended);
  } else if (difference > 0) {
    commit(state, counter, difference, now);
  } else if (periodEnd(f64(counters.span, counter), ended) === f64(counters.mark, counter)) {
    // what was charged in a period that is over frees nothing in this one
    counters.used[counter] = Math.max(0, f64(counters.used, counter) + difference);
  }
}

/** Lets a live hold end later, or sooner. @returns false: it is not live any more */
export function renewHold({ counters, holds, now }: LimitState, hold: number, expiry: number): boolean {
  if (f64(holds.expiry, hold) <= now) return false;
  if (!counters.isSame(i32(holds.counter, hold), i32(holds.generation, hold))) return false;
  const listed = holds.isListed(hold);
  if (listed) holds.unlink(counters, hold);
  holds.expiry[hold] = expiry;
  if (listed) holds.link(counters, hold);
  return true;
}

/** Forgets what a key has counted. Its holds find nothing any more, and its number may be given out again. */
export function drop(state: LimitState, counter: number): void {
  const { counters, segments } = state;
  clear(counters, segments, counter);
  counters.unassign(counter);
}

/** Committed and held; of a rate what has not flowed off. */
export function levelOf({ counters, now }: LimitState, counter: number): number {
  if (u8(counters.kind, counter) !== RATE) return counters.total(counter);
  const level: Level = { whole: 0, part: 0 };
  flowOff(counters, counter, f64(counters.speed, counter), now, level);
  return roundedUp(level);
}

/** Whether forgetting a counter changes no answer. */
export function isIdle(state: LimitState, counter: number): boolean {
  const { counters, now } = state;
  if (i32(counters.references, counter) > 0) return false;
  advance(state, counter, now);
  return (
    levelOf(state, counter) === 0 &&
    i32(counters.firstSegment, counter) === NONE &&
    i32(counters.firstHold, counter) === NONE
  );
}
