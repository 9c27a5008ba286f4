/**
 * Changes of what limits have counted, as bytes that go into the log with the entry of the decision that made them.
 * Invariant: replaying the journals that are in the log, in their order, leads to what was counted by the decisions
 * that are in the log; one whose entry never got there leaves no trace.
 *
 * A counter goes by its number. Each journal says which key a number belongs to, by its alias, until a journal that
 * said so is known to be in the log, so that none relies on another that may be lost.
 */
import { AppError } from '../../domain/errors.ts';
import { blankTerms, charge, type ChargeTerms, drop } from './charging.ts';
import { ByteReader, ByteWriter, KnownTexts } from './bytes.ts';
import { f64, i32, NONE, u8 } from './columns.ts';
import { type Counters, LEASES, WINDOW } from './counters.ts';
import { DecisionId } from './decision-id.ts';
import { type Decisions, OPEN } from './decisions.ts';
import type { KeyAlias } from './key-alias.ts';
import { CHARGE_ESTIMATE, RELEASE } from './holds.ts';
import type { LimitState } from './limit-state.ts';
import {
  extendDecision,
  forget,
  isForgotten,
  KEEP_MS,
  settleDecision,
  tidyDecisions,
  type UsedAmounts,
} from './settling.ts';
import { WORDS } from './word-index.ts';

/**
 * What a journal begins with. Written to the log: numbers are never used again for something else. 1 to 4 were the same
 * with keys and ids as texts, which no release has written.
 */
const ADMISSION = 5;
const SETTLEMENT = 6;
const EXTENSION = 7;
const RESET = 8;

/** Members of a charge that are there only where they are needed. */
const HAS_KEY = 1;
const HAS_CAP = 2;
const HAS_HOLD = 4;

export const UNITS = 6;
/** Most counters: what a number in a journal can be. */
export const MAX_COUNTERS = 16_777_216;
const UNIT_BITS = 3;
const UNIT_MASK = 7;

export class LimitJournal {
  readonly #counters: Counters;
  readonly #alias: KeyAlias;
  readonly #bytes = new ByteWriter();
  readonly #id = new DecisionId();
  readonly #words = new Int32Array(WORDS);
  #countAt = 0;
  #count = 0;
  /** Counters, each with its generation, whose keys the present journal tells. */
  #told: number[] = [];
  readonly #unconfirmed = new WeakMap<Uint8Array, readonly number[]>();

  /** @param alias what keys are called in journals */
  constructor(counters: Counters, alias: KeyAlias) {
    this.#counters = counters;
    this.#alias = alias;
  }

  beginAdmission(decisions: Decisions, decision: number, now: number): void {
    this.#begin(ADMISSION, now);
    this.#decision(decisions, decision);
    this.#countAt = this.#bytes.length;
    this.#bytes.u8(0);
  }

  /** Adds a charge that is about to be made. */
  addCharge(counter: number, terms: ChargeTerms): void {
    const bytes = this.#bytes;
    const counters = this.#counters;
    const hasKey = !counters.isBound(counter);
    const hasCap = f64(counters.cap, counter) !== terms.cap || f64(counters.speed, counter) !== terms.speed;
    bytes.whole(counter);
    bytes.u8((hasKey ? HAS_KEY : 0) | (hasCap ? HAS_CAP : 0) | (terms.holds ? HAS_HOLD : 0));
    bytes.whole(terms.amount);
    if (hasKey) {
      bytes.u8(u8(counters.kind, counter));
      bytes.f64(f64(counters.span, counter));
      bytes.text(counters.nameOf(counter));
      this.#key(counter);
      this.#told.push(counter, i32(counters.generation, counter));
    }
    if (hasCap) {
      bytes.whole(terms.cap);
      bytes.whole(terms.speed);
    }
    if (terms.holds) {
      bytes.u8(terms.unit | (terms.onExpiry << UNIT_BITS));
      bytes.whole(terms.floor);
      bytes.whole(terms.lifeMs);
    }
    this.#count += 1;
  }

  settlement(
    decisions: Decisions,
    decision: number,
    now: number,
    used: UsedAmounts,
    atLeastFloor: boolean,
  ): Uint8Array {
    const bytes = this.#bytes;
    this.#begin(SETTLEMENT, now);
    this.#decision(decisions, decision);
    bytes.u8(atLeastFloor ? 1 : 0);
    for (let unit = 0; unit < UNITS; unit++) bytes.whole(f64(used, unit));
    return bytes.take();
  }

  extension(decisions: Decisions, decision: number, now: number, holdMs: number): Uint8Array {
    this.#begin(EXTENSION, now);
    this.#decision(decisions, decision);
    this.#bytes.whole(holdMs);
    return this.#bytes.take();
  }

  /** @param counter is about to be forgotten */
  reset(counter: number, now: number): Uint8Array {
    this.#begin(RESET, now);
    this.#key(counter);
    return this.#bytes.take();
  }

  endAdmission(): Uint8Array {
    this.#bytes.patchU8(this.#countAt, this.#count);
    const journal = this.#bytes.take();
    if (this.#told.length > 0) {
      this.#unconfirmed.set(journal, this.#told);
      this.#told = [];
    }
    return journal;
  }

  /** A journal is in the log: the numbers that it told need not be told again. */
  confirm(journal: Uint8Array): void {
    const told = this.#unconfirmed.get(journal);
    if (told === undefined) return;
    this.#unconfirmed.delete(journal);
    for (let at = 0; at < told.length; at += 2) {
      const counter = told[at] ?? NONE;
      if (this.#counters.isSame(counter, told[at + 1] ?? 0)) this.#counters.bind(counter);
    }
  }

  #decision(decisions: Decisions, decision: number): void {
    decisions.nameOf(decision, this.#id);
    this.#id.write(this.#bytes);
  }

  #key(counter: number): void {
    this.#counters.aliasOf(counter, this.#alias, this.#words);
    this.#bytes.words(this.#words);
  }

  #begin(kind: number, now: number): void {
    this.#bytes.clear();
    this.#told.length = 0;
    this.#count = 0;
    this.#bytes.u8(kind);
    this.#bytes.f64(now);
  }
}

/** Applies journals to a state that nobody else changes meanwhile. */
export class LimitReplay {
  readonly #state: LimitState;
  readonly #used: UsedAmounts = new Float64Array(UNITS);
  readonly #id = new DecisionId();
  readonly #alias = new Int32Array(WORDS);
  readonly #names = new KnownTexts();
  readonly #terms = blankTerms();
  readonly #partial: boolean;

  /** @param partial earlier journals are gone: charges of counters that only they named are passed over */
  constructor(state: LimitState, partial = false) {
    this.#state = state;
    this.#partial = partial;
  }

  /**
   * @throws AppError LOG_UNAVAILABLE when another version wrote it
   * @throws Error when the bytes are no journal, or do not follow those before them
   */
  apply(journal: Uint8Array): void {
    this.applyNext(new ByteReader(journal));
  }

  /** Reads one journal of several. @throws as `apply` */
  applyNext(bytes: ByteReader): void {
    const state = this.#state;
    const kind = bytes.u8();
    state.now = Math.max(state.now, bytes.f64());
    tidyDecisions(state);
    switch (kind) {
      case ADMISSION:
        this.#admission(bytes);
        break;
      case SETTLEMENT:
        this.#settlement(bytes);
        break;
      case EXTENSION:
        this.#extension(bytes);
        break;
      case RESET: {
        bytes.words(this.#alias);
        const counter = state.counters.findRestored(this.#alias);
        if (counter !== NONE) drop(state, counter);
        break;
      }
      default:
        throw new AppError(
          'LOG_UNAVAILABLE',
          `another version of Duramen wrote what limits counted (journals of kind ${kind}): start that version`,
        );
    }
  }

  /** The numbers of counters that are free now may be given out. */
  finish(): void {
    const { counters } = this.#state;
    counters.numbers.adopt(counters.numbers.end, counter => counters.isTaken(counter));
  }

  #admission(bytes: ByteReader): void {
    const { decisions, now } = this.#state;
    const id = this.#id.read(bytes);
    let count = bytes.u8();
    const former = decisions.findRead(id);
    if (former !== NONE) forget(this.#state, former);
    const decision = decisions.openRead(id, false, now);
    while (count-- > 0) this.#charge(bytes, decision);
    if (i32(decisions.firstHold, decision) === NONE) decisions.retire(decision, now + KEEP_MS);
  }

  #charge(bytes: ByteReader, decision: number): void {
    const state = this.#state;
    const { counters } = state;
    const terms = this.#terms;
    const counter = bytes.whole();
    const members = bytes.u8();
    terms.amount = bytes.whole();
    if ((members & HAS_KEY) !== 0) this.#bind(bytes, counter);
    const isKnown = counters.isTaken(counter);
    if (!isKnown && !this.#partial) throw new Error(`counter ${counter} has no key`);
    const hasCap = (members & HAS_CAP) !== 0;
    if (hasCap) {
      terms.cap = bytes.whole();
      terms.speed = bytes.whole();
    } else if (isKnown) {
      terms.cap = f64(counters.cap, counter);
      terms.speed = f64(counters.speed, counter);
    }
    terms.holds = (members & HAS_HOLD) !== 0;
    if (terms.holds) {
      const detail = bytes.u8();
      terms.unit = detail & UNIT_MASK;
      terms.onExpiry = detail >> UNIT_BITS;
      if (terms.unit >= UNITS || terms.onExpiry > RELEASE) throw new Error('a hold has an unknown form');
      terms.floor = bytes.whole();
      terms.lifeMs = bytes.whole();
    } else {
      terms.onExpiry = CHARGE_ESTIMATE;
    }
    if (isKnown) charge(state, counter, terms, decision);
  }

  /** Gives a number the key that it has from here on. */
  #bind(bytes: ByteReader, counter: number): void {
    const state = this.#state;
    const { counters } = state;
    const kind = bytes.u8();
    const span = bytes.f64();
    const name = bytes.knownText(this.#names);
    const alias = this.#alias;
    bytes.words(alias);
    if (counter === NONE || counter >= MAX_COUNTERS || kind < WINDOW || kind > LEASES) {
      throw new Error('a counter has an unknown form');
    }
    if (counters.isRestoredAs(counter, alias)) return;
    // what had the number, or the key, has been forgotten since: nothing was counted there any more
    if (counters.isTaken(counter)) drop(state, counter);
    const former = counters.findRestored(alias);
    if (former !== NONE) drop(state, former);
    counters.restore(counter, alias, name, { kind, span });
  }

  #settlement(bytes: ByteReader): void {
    const state = this.#state;
    const decision = state.decisions.findRead(this.#id.read(bytes));
    const atLeastFloor = bytes.u8() === 1;
    for (let unit = 0; unit < UNITS; unit++) this.#used[unit] = bytes.whole();
    if (isForgotten(state, decision) || u8(state.decisions.state, decision) !== OPEN) return;
    settleDecision(state, decision, this.#used, atLeastFloor);
  }

  #extension(bytes: ByteReader): void {
    const state = this.#state;
    const decision = state.decisions.findRead(this.#id.read(bytes));
    const holdMs = bytes.whole();
    if (decision !== NONE) extendDecision(state, decision, state.now + holdMs);
  }
}
