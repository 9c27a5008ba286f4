/**
 * What a server admitted alone while the shared store did not answer, until the store knows of it. Invariants:
 * nothing is forgotten before the store has acknowledged it; memory is bounded: of what does not fit the amounts are
 * kept, and only the right to settle each call apart is given up.
 */
import type { LimitCharge, LimitRule } from '../../domain/limit.ts';
import type { AdmissionRequest, Settlement } from '../ports.ts';

/** Most admissions that are remembered one by one: some 1 kB each. */
const MAX_ADMISSIONS = 50_000;
/** Most settlements that wait for the store; of further ones the holds expire. */
const MAX_SETTLEMENTS = 100_000;
/** Most charges in one step of the store, which blocks others while it runs. */
const FOLDED_PER_STEP = 32;

export class UnmergedAdmissions {
  readonly #maxAdmissions: number;
  readonly #admissions = new Map<string, AdmissionRequest>();
  readonly #settlements = new Map<string, Settlement>();
  /** Extensions that came while the store took the admission: milliseconds since the epoch. */
  readonly #extensions = new Map<string, number>();
  /** Sums of admissions that did not fit, by key. */
  readonly #folded = new Map<string, LimitCharge>();
  #foldedAt = 0;
  #foldedId = '';

  constructor(maxAdmissions = MAX_ADMISSIONS) {
    this.#maxAdmissions = maxAdmissions;
  }

  get size(): number {
    return this.#admissions.size + this.#settlements.size + this.#extensions.size + this.#folded.size;
  }

  add(request: AdmissionRequest): void {
    this.#admissions.set(request.decisionId, request);
    if (this.#admissions.size > this.#maxAdmissions) this.#foldOldest();
  }

  /** Whether the store does not know yet that this server admitted a decision. */
  has(decisionId: string): boolean {
    return this.#admissions.has(decisionId);
  }

  /** Lets what a decision holds last `holdMs` from now, also in the store. */
  extend(decisionId: string, now: number, holdMs: number): void {
    const request = this.#admissions.get(decisionId);
    if (request === undefined) return;
    const lastsMs = now - request.now + holdMs;
    const charges = request.charges.map(charge =>
      charge.rule.kind === 'concurrency' ? { ...charge, rule: { ...charge.rule, leaseMs: lastsMs } } : charge,
    );
    // a new object: what is under way to the store is not what has to arrive there
    this.#admissions.set(decisionId, { ...request, holdMs: lastsMs, charges });
  }

  /** Keeps a settlement for the store. The first of a decision counts. @returns false: there is no room */
  settle(settlement: Settlement): boolean {
    const { decisionId } = settlement;
    if (this.#settlements.has(decisionId)) return true;
    if (this.#settlements.size >= MAX_SETTLEMENTS) return false;
    this.#settlements.set(decisionId, settlement);
    return true;
  }

  /** The oldest admissions, those that stand for many first. They stay until `merged` is told of them. */
  admissions(most: number): readonly AdmissionRequest[] {
    if (this.#folded.size > 0) return [this.#foldedRequest()];
    return this.#admissions.values().take(most).toArray();
  }

  /** The oldest settlement whose admission the store knows, if it ever did. */
  settlement(): Settlement | undefined {
    return this.#settlements.values().next().value;
  }

  /** An extension of an admission that the store knows: the decision, and until when it lasts. */
  extension(): readonly [decisionId: string, until: number] | undefined {
    return this.#extensions.entries().next().value;
  }

  /** The store has taken these. */
  merged(requests: readonly AdmissionRequest[]): void {
    for (const request of requests) {
      const { decisionId, charges } = request;
      const kept = this.#admissions.get(decisionId);
      if (kept === undefined) for (const charge of charges) this.#unfold(charge);
      else if (kept !== request) this.#extensions.set(decisionId, kept.now + kept.holdMs);
      this.#admissions.delete(decisionId);
    }
  }

  extended(decisionId: string): void {
    this.#extensions.delete(decisionId);
  }

  settled(settlement: Settlement): void {
    if (this.#settlements.get(settlement.decisionId) === settlement) {
      this.#settlements.delete(settlement.decisionId);
    }
  }

  /** Adds the oldest to the sums: with what it used when that is known, else with what it reserved. */
  #foldOldest(): void {
    const [oldest] = this.#admissions.values();
    if (oldest === undefined) return;
    const { decisionId, now, charges } = oldest;
    const actual = this.#settlements.get(decisionId)?.actual;
    this.#admissions.delete(decisionId);
    this.#settlements.delete(decisionId);
    this.#foldedAt = now;
    this.#foldedId = `folded:${decisionId}`;
    for (const charge of charges) {
      const { rule, key } = charge;
      // a lease of a call that began this long ago is not worth one step of the store
      if (rule.kind === 'concurrency') continue;
      const used = actual === undefined || rule.unit === 'requests' ? charge.amount : actual[rule.unit];
      const amount = Math.min(used + (this.#folded.get(key)?.amount ?? 0), Number.MAX_SAFE_INTEGER);
      // delete first: the latest comes last, so that what is read first is what has waited longest
      this.#folded.delete(key);
      if (amount > 0) this.#folded.set(key, { rule: paidInFull(rule), key, amount, floor: amount });
    }
  }

  /** Some sums as an admission that nobody settles: when it expires, all of it is paid. */
  #foldedRequest(): AdmissionRequest {
    const charges = this.#folded.values().take(FOLDED_PER_STEP).toArray();
    const [first] = charges;
    const decisionId = `${this.#foldedId}:${first?.key ?? ''}`;
    return { decisionId, now: this.#foldedAt, holdMs: 0, charges };
  }

  /** Takes from a sum what the store has taken; more may have come in the meantime. */
  #unfold(taken: LimitCharge): void {
    const kept = this.#folded.get(taken.key);
    if (kept === undefined) return;
    const amount = kept.amount - taken.amount;
    if (amount > 0) this.#folded.set(taken.key, { ...kept, amount, floor: amount });
    else this.#folded.delete(taken.key);
  }
}

/** Nobody settles a sum: it is paid as it is. */
function paidInFull(rule: LimitRule): LimitRule {
  return rule.kind === 'quota' ? { ...rule, onExpiry: 'charge_estimate' } : rule;
}
