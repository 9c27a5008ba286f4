/**
 * Limits counted in memory: the reference of LimitStore. Invariants: an admission is one step that nothing
 * interrupts, and a denied one changes nothing; memory is bounded: new addresses share a counter when there are too
 * many, what cannot be counted is refused, and nothing that counts is thrown away.
 */
import { AppError } from '../../domain/errors.ts';
import type { KeyNote, LimitCharge, LimitRule, LimitStanding, UnitAmounts } from '../../domain/limit.ts';
import { advance, blankTerms, charge, drop, isIdle } from './charging.ts';
import { f64, i32, NONE, u8 } from './columns.ts';
import { OPEN, SETTLED } from './decisions.ts';
import { type KeyAlias, plainAlias } from './key-alias.ts';
import { expiryNumber, RELEASE, REQUESTS, unitNumber } from './holds.ts';
import { LimitJournal, UNITS } from './limit-journal.ts';
import { LimitState } from './limit-state.ts';
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  Settlement,
  SettlementResult,
} from '../ports.ts';
import {
  extendDecision,
  forget,
  isForgotten,
  KEEP_MS,
  settleDecision,
  tidyDecisions,
  type UsedAmounts,
} from './settling.ts';
import { describe, passes, shapeOf } from './standing.ts';

/** Most live keys; with their counters some 250 bytes each. */
const MAX_KEYS = 2_000_000;
/** Live keys from which on new addresses share one counter for each limit. */
const MAX_KEYS_WITH_ADDRESSES = 1_250_000;
/** Most decisions that hold something. */
const MAX_HOLDING = 1_000_000;
/** Most charges of one request: the number is one byte in the journal, and a pool with fair shares has two. */
const MAX_CHARGES = 100;
/** Counters that are looked at for each that a request charges, so that idle ones go faster than new ones come. */
const SWEEP_PER_CHARGE = 2;
/** Live keys below which nobody looks for idle ones: they take a few megabytes, and are used again as a rule. */
const SWEEP_FROM = 16_384;
/** The same when there is no room left. */
const SWEEP_FOR_ROOM = 4_096;
const RETRY_SECONDS = 1;
/** The dimension of rules whose keys anybody can make up. */
const ADDRESS = 'address';

export interface LimitTableOptions {
  readonly maxKeys?: number;
  readonly maxKeysWithAddresses?: number;
  readonly maxHolding?: number;
  /** Keys from which on idle ones are looked for. */
  readonly sweepFrom?: number;
  /** What keys are called in journals; by default what they are called here. */
  readonly alias?: KeyAlias;
}

/** What was found out about one charge of a request, before anything is taken. */
interface Looked {
  key: string;
  counter: number;
  own: number;
  passes: boolean;
  /** Whether it can be counted. */
  hasRoom: boolean;
}

export class LimitTable implements LimitStore {
  readonly #state: LimitState;
  readonly #journal: LimitJournal;
  readonly #maxKeys: number;
  readonly #maxKeysWithAddresses: number;
  readonly #maxHolding: number;
  readonly #sweepFrom: number;
  readonly #alias: KeyAlias;
  readonly #looked: Looked[] = [];
  readonly #used: UsedAmounts = new Float64Array(UNITS);
  readonly #terms = blankTerms();
  #hand = 1;

  /** @param state what was counted before; by default nothing */
  constructor(options: LimitTableOptions = {}, state: LimitState = new LimitState()) {
    this.#state = state;
    this.#alias = options.alias ?? plainAlias;
    this.#journal = new LimitJournal(state.counters, this.#alias);
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    this.#maxKeysWithAddresses = options.maxKeysWithAddresses ?? MAX_KEYS_WITH_ADDRESSES;
    this.#maxHolding = options.maxHolding ?? MAX_HOLDING;
    this.#sweepFrom = options.sweepFrom ?? SWEEP_FROM;
  }

  /** Keys that have a counter. */
  get keys(): number {
    return this.#state.counters.live;
  }

  /** Decisions that may hold something. */
  get holding(): number {
    return this.#state.decisions.live.size;
  }

  /**
   * @throws AppError STORE_UNAVAILABLE when there is no room to count in; nothing has changed then
   * @throws Error when charges contradict each other or what is counted: a bug of who made them
   */
  admit(request: AdmissionRequest): Admission {
    const { decisionId, charges, dryRun } = request;
    this.#arrive(request.now, charges.length * SWEEP_PER_CHARGE);
    if (charges.length > MAX_CHARGES) throw new Error(`a request has more than ${MAX_CHARGES} charges`);
    const admitted = this.#look(charges);
    const former = this.#state.decisions.find(decisionId);
    const repeated = !isForgotten(this.#state, former);
    const takes = admitted && dryRun !== true && !repeated && charges.length > 0;
    const journal = takes ? this.#take(request) : undefined;
    return { admitted: admitted || repeated, standings: this.#describe(charges, repeated), journal };
  }

  settle({ decisionId, now, actual, atLeastFloor }: Settlement): SettlementResult {
    this.#arrive(now, SWEEP_PER_CHARGE);
    const state = this.#state;
    const decision = state.decisions.find(decisionId);
    if (isForgotten(state, decision)) return { state: 'unknown', charges: [], journal: undefined };
    if (u8(state.decisions.state, decision) === SETTLED) {
      return { state: 'repeated', charges: [], journal: undefined };
    }
    this.#readAmounts(actual);
    const charges = settleDecision(state, decision, this.#used, atLeastFloor);
    const journal = this.#journal.settlement(state.decisions, decision, state.now, this.#used, atLeastFloor);
    return { state: 'settled', charges, journal };
  }

  extend(decisionId: string, now: number, holdMs: number): Extension {
    this.#arrive(now, SWEEP_PER_CHARGE);
    const state = this.#state;
    const decision = state.decisions.find(decisionId);
    const forgotten = isForgotten(state, decision);
    if (!forgotten && u8(state.decisions.state, decision) !== OPEN) {
      return { state: 'settled', expiresAt: state.now, journal: undefined };
    }
    const expiresAt = state.now + holdMs;
    if (forgotten || !extendDecision(state, decision, expiresAt)) {
      return { state: 'unknown', expiresAt: state.now, journal: undefined };
    }
    return {
      state: 'extended',
      expiresAt,
      journal: this.#journal.extension(state.decisions, decision, state.now, holdMs),
    };
  }

  reset(key: string, now: number): Uint8Array | undefined {
    this.#arrive(now, SWEEP_PER_CHARGE);
    const state = this.#state;
    const counter = state.counters.claim(key, this.#alias);
    if (counter === NONE) return undefined;
    const journal = this.#journal.reset(counter, state.now);
    this.#forget(counter);
    return journal;
  }

  /** A journal is durable. Until it is told, later ones repeat what they need of it. */
  confirm(journal: Uint8Array): void {
    this.#journal.confirm(journal);
  }

  /** Lets go of what nothing is counted in any more. @param steps how many counters and decisions are looked at */
  sweep(now: number, steps: number): void {
    this.#arrive(now, steps);
    tidyDecisions(this.#state, steps);
  }

  async close(): Promise<void> {}

  /** Time passes, never backwards, and takes a little of what is over with it. */
  #arrive(now: number, counters: number): void {
    if (now > this.#state.now) this.#state.now = now;
    tidyDecisions(this.#state);
    const { numbers, live } = this.#state.counters;
    if (live < this.#sweepFrom) return;
    for (let step = 0; step < counters; step++) {
      if (this.#hand >= numbers.end) this.#hand = 1;
      const counter = this.#hand++;
      if (this.#state.counters.isTaken(counter) && isIdle(this.#state, counter)) this.#forget(counter);
    }
  }

  #forget(counter: number): void {
    drop(this.#state, counter);
    this.#state.counters.numbers.giveBack(counter);
  }

  /** Finds out what each charge meets. @returns whether every enforced limit has room */
  #look(charges: readonly LimitCharge[]): boolean {
    let admitted = true;
    for (let at = 0; at < charges.length; at++) {
      const one = charges[at];
      if (one === undefined) continue;
      const { rule, amount } = one;
      const looked = this.#lookedAt(at);
      this.#find(looked, one, at);
      looked.passes = passes(this.#state, looked.counter, looked.own, rule, amount);
      if (!looked.passes && rule.mode === 'enforce') admitted = false;
    }
    return admitted;
  }

  #find(looked: Looked, { rule, key, note, amount, floor }: LimitCharge, at: number): void {
    const { counters, now } = this.#state;
    if (!Number.isSafeInteger(amount) || amount < 0 || !Number.isSafeInteger(floor) || floor < 0) {
      throw new Error(`limit \`${rule.name}\` is charged \`${amount}\`, which is no amount`);
    }
    looked.key = key;
    looked.counter = this.#counterOf(key, note);
    if (
      looked.counter === NONE &&
      counters.live >= this.#maxKeysWithAddresses &&
      rule.scope.includes(ADDRESS)
    ) {
      looked.key = sharedKey(rule);
      looked.counter = counters.claim(looked.key, this.#alias);
    }
    looked.own = NONE;
    if (looked.counter === NONE) requireWellFormed(looked.key);
    else {
      this.#requireShape(looked.counter, rule);
      advance(this.#state, looked.counter, now);
    }
    if (rule.kind === 'concurrency' && rule.fair !== undefined) {
      looked.own = counters.claim(rule.fair.ownKey, this.#alias);
      if (looked.own === NONE) requireWellFormed(rule.fair.ownKey);
      else advance(this.#state, looked.own, now);
    }
    for (let earlier = 0; earlier < at; earlier++) {
      const other = this.#lookedAt(earlier);
      if (other.counter === looked.counter && (looked.counter !== NONE || other.key === looked.key)) {
        throw new Error(`two charges of one request have the key \`${looked.key}\``);
      }
    }
  }

  /** The counter of a key, by what was noted about it while that is still true. */
  #counterOf(key: string, note: KeyNote | undefined): number {
    const { counters } = this.#state;
    if (note === undefined) return counters.claim(key, this.#alias);
    if (note.store === this && counters.isSame(note.counter, note.generation)) return note.counter;
    const counter = counters.claim(key, this.#alias);
    if (counter !== NONE) {
      note.store = this;
      note.counter = counter;
      note.generation = i32(counters.generation, counter);
    }
    return counter;
  }

  #requireShape(counter: number, rule: LimitRule): void {
    const { counters } = this.#state;
    const { kind, span } = shapeOf(rule);
    if (u8(counters.kind, counter) === kind && f64(counters.span, counter) === span) return;
    throw new Error(`the key \`${counters.keyOf(counter)}\` counts something else than \`${rule.name}\``);
  }

  /** Takes every charge that has room. The point of no return: what throws, throws before the first of them. */
  #take({ decisionId, charges, holdMs }: AdmissionRequest): Uint8Array {
    const { decisions, now } = this.#state;
    const holds = holdAnything(charges);
    this.#requireRoom(charges, holds);
    const former = decisions.find(decisionId);
    if (former !== NONE) forget(this.#state, former);
    const decision = decisions.open(decisionId, !holds, holds ? now : now + KEEP_MS);
    this.#journal.beginAdmission(decisions, decision, now);
    for (let at = 0; at < charges.length; at++) {
      const one = charges[at];
      const looked = this.#lookedAt(at);
      if (one === undefined || !looked.passes) continue;
      // what there is no room for here is a shadow
      if (looked.hasRoom) this.#takeOne(one, looked, holdMs, decision);
    }
    if (holds && i32(decisions.firstHold, decision) === NONE) decisions.retire(decision, now + KEEP_MS);
    return this.#journal.endAdmission();
  }

  #takeOne({ rule, amount, floor }: LimitCharge, looked: Looked, holdMs: number, decision: number): void {
    const terms = this.#terms;
    const isLease = rule.kind === 'concurrency';
    terms.amount = amount;
    terms.cap = rule.kind === 'rate' ? rule.burst : rule.limit;
    terms.speed = rule.kind === 'rate' ? rule.limit : 0;
    terms.holds = holdsSomething(rule);
    terms.unit = isLease ? REQUESTS : unitNumber(rule.unit);
    terms.onExpiry = rule.kind === 'quota' ? expiryNumber(rule.onExpiry) : RELEASE;
    terms.floor = floor;
    terms.lifeMs = isLease ? rule.leaseMs : holdMs;
    looked.counter = this.#charge(looked.counter, looked.key, rule, decision);
    if (!isLease || rule.fair === undefined) return;
    terms.cap = rule.fair.guaranteed;
    looked.own = this.#charge(looked.own, rule.fair.ownKey, rule, decision);
  }

  #charge(found: number, key: string, rule: LimitRule, decision: number): number {
    const { counters } = this.#state;
    const counter = found === NONE ? counters.open(key, rule.name, shapeOf(rule)) : found;
    this.#journal.addCharge(counter, this.#terms);
    charge(this.#state, counter, this.#terms, decision);
    return counter;
  }

  /** Finds out what can be counted. @throws AppError STORE_UNAVAILABLE when an enforced limit cannot */
  #requireRoom(charges: readonly LimitCharge[], holds: boolean): void {
    const { counters, decisions } = this.#state;
    if (holds && decisions.live.size >= this.#maxHolding) tidyDecisions(this.#state, SWEEP_FOR_ROOM);
    const mayHold = !holds || decisions.live.size < this.#maxHolding;
    // a pool with fair shares has two counters
    const mayOpen = counters.live + 2 * charges.length <= this.#maxKeys;
    for (let at = 0; at < charges.length; at++) {
      const rule = charges[at]?.rule;
      const looked = this.#lookedAt(at);
      const opens = looked.counter === NONE || (looked.own === NONE && hasShares(rule));
      const canOpen = mayOpen || !opens;
      const canHold = mayHold || !holdsSomething(rule);
      looked.hasRoom = canOpen && canHold;
      if (looked.hasRoom || rule?.mode !== 'enforce') continue;
      throw noRoom(canOpen ? 'too many calls have not reported what they used' : 'too many keys are counted');
    }
  }

  #describe(charges: readonly LimitCharge[], repeated: boolean): LimitStanding[] {
    const standings: LimitStanding[] = [];
    for (let at = 0; at < charges.length; at++) {
      const one = charges[at];
      const looked = this.#looked[at];
      if (one === undefined || looked === undefined) continue;
      const violated = !looked.passes && !repeated;
      standings.push(describe(this.#state, looked.counter, looked.own, one.rule, one.amount, violated));
    }
    return standings;
  }

  #lookedAt(at: number): Looked {
    const known = this.#looked[at];
    if (known !== undefined) return known;
    const fresh: Looked = { key: '', counter: NONE, own: NONE, passes: false, hasRoom: true };
    this.#looked[at] = fresh;
    return fresh;
  }

  #readAmounts(actual: UnitAmounts): void {
    const used = this.#used;
    used[unitNumber('requests')] = actual.requests;
    used[unitNumber('input_tokens')] = actual.input_tokens;
    used[unitNumber('output_tokens')] = actual.output_tokens;
    used[unitNumber('tokens')] = actual.tokens;
    used[unitNumber('compute_ms')] = actual.compute_ms;
    used[unitNumber('micro_usd')] = actual.micro_usd;
    if (used.every(amount => Number.isSafeInteger(amount) && amount >= 0)) return;
    throw new Error('a settlement has an amount that is no amount');
  }
}

/** A request stays charged whatever becomes of it; everything else waits for its settlement. */
function holdsSomething(rule: LimitRule | undefined): boolean {
  return rule?.kind === 'concurrency' || rule?.unit !== 'requests';
}

function hasShares(rule: LimitRule | undefined): boolean {
  return rule?.kind === 'concurrency' && rule.fair !== undefined;
}

function holdAnything(charges: readonly LimitCharge[]): boolean {
  for (const { rule } of charges) if (holdsSomething(rule)) return true;
  return false;
}

/** The key of the addresses that have none of their own. */
function sharedKey(rule: LimitRule): string {
  const { kind, span } = shapeOf(rule);
  return JSON.stringify(['shared', rule.name, kind, span]);
}

/** @throws Error when a key cannot be written and read back exactly */
function requireWellFormed(key: string): void {
  if (key === '' || !key.isWellFormed()) throw new Error('a key is no well-formed text');
}

function noRoom(cause: string): AppError {
  return new AppError('STORE_UNAVAILABLE', `limits cannot be counted: ${cause}`, {
    retryAfterSeconds: RETRY_SECONDS,
  });
}
