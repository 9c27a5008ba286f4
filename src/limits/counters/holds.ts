/**
 * What calls hold that did not report yet: one record for each charge that a settlement can change. Invariant: the
 * live holds of a counter are linked by their ends, and what they hold is what the counter says is held.
 */
import type { EXPIRY_MODES, LIMIT_UNITS } from '../../domain/limit.ts';
import type { Counters } from './counters.ts';
import { f64, i32, largerF64, largerI32, largerU8, NONE, Numbers, u8 } from './columns.ts';

/** Where a hold stands. Live ones of quotas and leases are in the list of their counter. */
const LISTED = 1;
/** Not listed: a window or rate has charged it in full already, or it has expired. */
const CHARGED = 0;

export type UnitNumber = 0 | 1 | 2 | 3 | 4 | 5;

/** A hold as it is made. */
export interface HoldTerms {
  readonly amount: number;
  readonly floor: number;
  /** Place in LIMIT_UNITS. */
  readonly unit: number;
  /** Place in EXPIRY_MODES. */
  readonly onExpiry: number;
}

export class Holds {
  readonly numbers = new Numbers(capacity => this.#grow(capacity));
  counter = new Int32Array(this.numbers.capacity);
  generation = new Int32Array(this.numbers.capacity);
  unit = new Uint8Array(this.numbers.capacity);
  onExpiry = new Uint8Array(this.numbers.capacity);
  state = new Uint8Array(this.numbers.capacity);
  amount = new Float64Array(this.numbers.capacity);
  floor = new Float64Array(this.numbers.capacity);
  expiry = new Float64Array(this.numbers.capacity);
  mark = new Float64Array(this.numbers.capacity);
  previous = new Int32Array(this.numbers.capacity);
  next = new Int32Array(this.numbers.capacity);
  /** The next hold of the same decision. */
  sibling = new Int32Array(this.numbers.capacity);

  /**
   * A hold that is in no list.
   * @param expiry milliseconds since the epoch
   * @param mark of a window when it was charged, of a rate what had been charged with it
   */
  open(counters: Counters, counter: number, terms: HoldTerms, expiry: number, mark: number): number {
    const hold = this.numbers.take();
    this.counter[hold] = counter;
    this.generation[hold] = i32(counters.generation, counter);
    this.unit[hold] = terms.unit;
    this.onExpiry[hold] = terms.onExpiry;
    this.state[hold] = CHARGED;
    this.amount[hold] = terms.amount;
    this.floor[hold] = terms.floor;
    this.expiry[hold] = expiry;
    this.mark[hold] = mark;
    this.sibling[hold] = NONE;
    counters.references[counter] = i32(counters.references, counter) + 1;
    return hold;
  }

  /** Lets go of a hold that is in no list. */
  close(counters: Counters, hold: number): void {
    const counter = i32(this.counter, hold);
    if (counters.isSame(counter, i32(this.generation, hold))) {
      counters.references[counter] = i32(counters.references, counter) - 1;
    }
    this.numbers.giveBack(hold);
  }

  isListed(hold: number): boolean {
    return u8(this.state, hold) === LISTED;
  }

  /** Puts a hold into the list of its counter, behind those that end no later. */
  link(counters: Counters, hold: number): void {
    const counter = i32(this.counter, hold);
    const expiry = f64(this.expiry, hold);
    let previous = i32(counters.lastHold, counter);
    while (previous !== NONE && f64(this.expiry, previous) > expiry) previous = i32(this.previous, previous);
    const next = previous === NONE ? i32(counters.firstHold, counter) : i32(this.next, previous);
    this.previous[hold] = previous;
    this.next[hold] = next;
    if (previous === NONE) counters.firstHold[counter] = hold;
    else this.next[previous] = hold;
    if (next === NONE) counters.lastHold[counter] = hold;
    else this.previous[next] = hold;
    this.state[hold] = LISTED;
    counters.held[counter] = f64(counters.held, counter) + f64(this.amount, hold);
  }

  unlink(counters: Counters, hold: number): void {
    const counter = i32(this.counter, hold);
    const previous = i32(this.previous, hold);
    const next = i32(this.next, hold);
    if (previous === NONE) counters.firstHold[counter] = next;
    else this.next[previous] = next;
    if (next === NONE) counters.lastHold[counter] = previous;
    else this.previous[next] = previous;
    this.state[hold] = CHARGED;
    counters.held[counter] = f64(counters.held, counter) - f64(this.amount, hold);
  }

  /** What is charged for a hold that nobody settles. */
  chargedAtExpiry(hold: number): number {
    const mode = u8(this.onExpiry, hold);
    if (mode === CHARGE_ESTIMATE) return f64(this.amount, hold);
    return mode === CHARGE_INPUT ? f64(this.floor, hold) : 0;
  }

  #grow(capacity: number): void {
    this.counter = largerI32(this.counter, capacity);
    this.generation = largerI32(this.generation, capacity);
    this.unit = largerU8(this.unit, capacity);
    this.onExpiry = largerU8(this.onExpiry, capacity);
    this.state = largerU8(this.state, capacity);
    this.amount = largerF64(this.amount, capacity);
    this.floor = largerF64(this.floor, capacity);
    this.expiry = largerF64(this.expiry, capacity);
    this.mark = largerF64(this.mark, capacity);
    this.previous = largerI32(this.previous, capacity);
    this.next = largerI32(this.next, capacity);
    this.sibling = largerI32(this.sibling, capacity);
  }
}

/** Places in EXPIRY_MODES and LIMIT_UNITS; written to the log, so they never change. */
export const CHARGE_ESTIMATE = 0;
export const CHARGE_INPUT = 1;
export const RELEASE = 2;

export function expiryNumber(mode: (typeof EXPIRY_MODES)[number]): number {
  if (mode === 'charge_estimate') return CHARGE_ESTIMATE;
  return mode === 'charge_input' ? CHARGE_INPUT : RELEASE;
}

export const REQUESTS = 0;

export function unitNumber(unit: (typeof LIMIT_UNITS)[number]): UnitNumber {
  switch (unit) {
    case 'requests':
      return REQUESTS;
    case 'input_tokens':
      return 1;
    case 'output_tokens':
      return 2;
    case 'tokens':
      return 3;
    case 'compute_ms':
      return 4;
    default:
      return 5;
  }
}
