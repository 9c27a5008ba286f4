/**
 * What becomes of a decision: settled, extended, expired, forgotten. Invariant: of each decision the first settlement
 * counts, also a late one; what is forgotten can never be settled, and holds nothing.
 */
import type { SettledCharge } from '../ports.ts';
import { advance, renewHold, settleHold, type SettledTerms } from './charging.ts';
import { f64, i32, NONE, u8 } from './columns.ts';
import { LEASES } from './counters.ts';
import { SETTLED } from './decisions.ts';
import type { LimitState } from './limit-state.ts';

/** How long a decision of which nothing is live can be told from one that never was, in milliseconds. */
export const KEEP_MS = 3_600_000;
/** Most of them that are kept, some 60 bytes each, and as many for each hold of those that never reported. */
export const MAX_PAST = 131_072;
/** Decisions that are looked at when one comes in: more than one, so that they never pile up. */
const TIDY_STEPS = 3;

/** What a call used, by the place of the unit in LIMIT_UNITS. */
export type UsedAmounts = Float64Array;

/** Whether nothing may be settled any more, though it may still be there. */
export function isForgotten({ decisions, now }: LimitState, decision: number): boolean {
  if (decision === NONE) return true;
  const until = f64(decisions.until, decision);
  // one whose holds have ended is past, also before somebody has put it there
  return now >= (decisions.isPast(decision) ? until : until + KEEP_MS);
}

/** Settles an open decision. @returns what could be settled, in the order of its charges; leases are not among it */
export function settleDecision(
  state: LimitState,
  decision: number,
  used: UsedAmounts,
  atLeastFloor: boolean,
): SettledCharge[] {
  const { counters, holds, decisions, now } = state;
  const charges: SettledCharge[] = [];
  const settled: SettledTerms = { charged: 0, overdraft: 0 };
  for (let hold = i32(decisions.firstHold, decision); hold !== NONE; ) {
    const reported = f64(used, u8(holds.unit, hold));
    const amount = atLeastFloor ? Math.max(reported, f64(holds.floor, hold)) : reported;
    const counter = i32(holds.counter, hold);
    if (settleHold(state, hold, amount, settled) && u8(counters.kind, counter) !== LEASES) {
      charges.push({
        name: counters.nameOf(counter),
        reserved: f64(holds.amount, hold),
        charged: settled.charged,
        overdraft: settled.overdraft,
      });
    }
    const next = i32(holds.sibling, hold);
    holds.close(counters, hold);
    hold = next;
  }
  decisions.firstHold[decision] = NONE;
  decisions.state[decision] = SETTLED;
  decisions.retire(decision, now + KEEP_MS);
  return charges.reverse();
}

/** Lets what is live of a decision last until an instant. @returns false: nothing is */
export function extendDecision(state: LimitState, decision: number, expiry: number): boolean {
  const { holds, decisions } = state;
  let renewed = false;
  for (let hold = i32(decisions.firstHold, decision); hold !== NONE; hold = i32(holds.sibling, hold)) {
    if (renewHold(state, hold, expiry)) renewed = true;
  }
  if (renewed) {
    decisions.until[decision] = expiry;
    decisions.requeue(decision);
  }
  return renewed;
}

/** Retires decisions whose holds have ended and forgets what was kept long enough, a few of them at a time. */
export function tidyDecisions(state: LimitState, steps = TIDY_STEPS): void {
  const { decisions, now } = state;
  for (let step = 0; step < steps; step++) {
    const decision = decisions.live.first;
    if (decision === NONE) break;
    const ended = f64(decisions.until, decision);
    if (ended <= now) {
      expireHolds(state, decision);
      decisions.retire(decision, ended + KEEP_MS);
    } else if (decision === decisions.live.last) {
      break;
    } else {
      // its lease is long: those behind it must not wait for it
      decisions.requeue(decision);
    }
  }
  for (let step = 0; step < steps; step++) {
    const decision = decisions.past.first;
    if (decision === NONE) return;
    if (decisions.past.size <= MAX_PAST && f64(decisions.until, decision) > now) return;
    forget(state, decision);
  }
}

/** What the counters of a decision do with its holds as soon as somebody looks. */
function expireHolds(state: LimitState, decision: number): void {
  const { counters, holds, decisions, now } = state;
  for (let hold = i32(decisions.firstHold, decision); hold !== NONE; hold = i32(holds.sibling, hold)) {
    const counter = i32(holds.counter, hold);
    if (counters.isSame(counter, i32(holds.generation, hold))) advance(state, counter, now);
  }
}

/** Lets go of a decision that is forgotten, and of its holds. */
export function forget({ counters, holds, decisions }: LimitState, decision: number): void {
  for (let hold = i32(decisions.firstHold, decision); hold !== NONE; ) {
    const next = i32(holds.sibling, hold);
    holds.close(counters, hold);
    hold = next;
  }
  decisions.close(decision);
}
