/**
 * Admissions as the arguments of one script. Invariant: every key that the script touches is among its keys, once;
 * what cannot be counted is refused before anything is sent.
 */
import type { LimitCharge, LimitRule } from '../../domain/limit.ts';
import { CALENDAR, LEASES, ROLLING } from '../../limits/counters/counters.ts';
import { expiryNumber, RELEASE, REQUESTS, unitNumber } from '../../limits/counters/holds.ts';
import type { AdmissionRequest } from '../../limits/ports.ts';
import { shapeOf } from '../../limits/counters/standing.ts';
import type { LimitKeyNames } from './limit-keys.ts';

/** Most charges of one request: more than any set of limits that people understand. */
const MAX_CHARGES = 100;
/** The hold of a charge that nothing can change any more. */
const NO_HOLD = -1;

/** One charge, as admission.lua reads it; the order is that of standing.lua. */
type ChargeNumbers = readonly number[];
/** Instant or 0, id, 1: looks only, charges. */
type EncodedAdmission = readonly [now: number, id: string, dryRun: 0 | 1, charges: readonly ChargeNumbers[]];

/** The keys of a decision in the order of its charges: for each the name of the limit and its key. */
export type DecisionKeys = readonly (readonly [name: string, key: string])[];

export class AdmissionBatch {
  readonly #names: LimitKeyNames;
  /** Whether requests tell the time, or Redis does. */
  readonly #timed: boolean;
  readonly #decisions: string[] = [];
  readonly #counters: string[] = [];
  readonly #holds: string[] = [];
  readonly #placeOf = new Map<string, number>();
  readonly #admissions: EncodedAdmission[] = [];
  readonly #keyTexts: string[] = [];

  constructor(names: LimitKeyNames, timed: boolean) {
    this.#names = names;
    this.#timed = timed;
  }

  get size(): number {
    return this.#admissions.length;
  }

  /** Keys so far: a script has an upper bound of them. */
  get keys(): number {
    return this.#decisions.length + this.#counters.length + this.#holds.length + 1;
  }

  /** @param now 0: Redis says @throws Error when charges are no charges: a bug of who made them */
  add({ decisionId, now, holdMs, charges, dryRun }: AdmissionRequest): void {
    requireCountable(charges);
    const keys: (readonly [string, string])[] = [];
    const encoded = charges.map(charge => {
      const { rule, key } = charge;
      keys.push([rule.name, key]);
      if (rule.kind === 'concurrency' && rule.fair !== undefined) keys.push([rule.name, rule.fair.ownKey]);
      return this.#encode(charge, holdMs);
    });
    this.#decisions.push(this.#names.decision(decisionId));
    this.#admissions.push([this.#timed ? now : 0, decisionId, dryRun === true ? 1 : 0, encoded]);
    this.#keyTexts.push(JSON.stringify(keys));
  }

  /** @param more members of the first argument after the admissions */
  encode(...more: readonly number[]): { readonly keys: readonly string[]; readonly args: readonly string[] } {
    return {
      keys: [this.#names.clock, ...this.#decisions, ...this.#counters, ...this.#holds],
      args: [JSON.stringify([this.#counters.length, this.#admissions, ...more]), ...this.#keyTexts],
    };
  }

  #encode({ rule, key, amount, floor }: LimitCharge, holdMs: number): ChargeNumbers {
    const { kind, span } = shapeOf(rule);
    const isLease = rule.kind === 'concurrency';
    const lists = kind === CALENDAR || kind === ROLLING || kind === LEASES;
    const fair = isLease ? rule.fair : undefined;
    return [
      this.#place(this.#counters, this.#names.counter(key)),
      lists ? this.#place(this.#holds, this.#names.holds(key)) : 0,
      kind,
      span,
      rule.kind === 'rate' ? rule.burst : rule.limit,
      rule.kind === 'rate' ? rule.limit : 0,
      amount,
      floor,
      isLease ? REQUESTS : unitNumber(rule.unit),
      rule.kind === 'quota' ? expiryNumber(rule.onExpiry) : RELEASE,
      isLease ? rule.leaseMs : holdsSomething(rule) ? holdMs : NO_HOLD,
      rule.mode === 'shadow' ? 1 : 0,
      fair === undefined ? 0 : this.#place(this.#counters, this.#names.counter(fair.ownKey)),
      fair === undefined ? 0 : this.#place(this.#holds, this.#names.holds(fair.ownKey)),
      fair?.guaranteed ?? 0,
      fair?.highWater ?? 0,
    ];
  }

  /** The place of a key in its list, from 1 on. */
  #place(list: string[], name: string): number {
    const known = this.#placeOf.get(name);
    if (known !== undefined) return known;
    list.push(name);
    this.#placeOf.set(name, list.length);
    return list.length;
  }
}

/** A request stays charged whatever becomes of it; everything else waits for its settlement. */
function holdsSomething({ kind, unit }: LimitRule): boolean {
  return kind === 'concurrency' || unit !== 'requests';
}

function requireCountable(charges: readonly LimitCharge[]): void {
  if (charges.length > MAX_CHARGES) throw new Error(`a request has more than ${MAX_CHARGES} charges`);
  const keys = new Set<string>();
  for (const { rule, key, amount, floor } of charges) {
    if (!Number.isSafeInteger(amount) || amount < 0 || !Number.isSafeInteger(floor) || floor < 0) {
      throw new Error(`limit \`${rule.name}\` is charged \`${amount}\`, which is no amount`);
    }
    const own = rule.kind === 'concurrency' && rule.fair !== undefined ? [rule.fair.ownKey] : [];
    for (const one of [key, ...own]) {
      requireWellFormed(one);
      if (keys.has(one)) throw new Error(`two charges of one request have the key \`${one}\``);
      keys.add(one);
    }
  }
}

/** @throws Error when a key cannot be written and read back exactly */
function requireWellFormed(key: string): void {
  if (!key.isWellFormed()) throw new Error('a key is no well-formed text');
}
