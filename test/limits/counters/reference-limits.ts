/**
 * Limits as slowly and plainly as they can be written: everything that was ever charged is kept, and every answer is
 * summed up anew. What the table answers is held against it.
 */
import type { LimitCharge, LimitRule, UnitAmounts } from '../../../src/domain/limit.ts';
import { segmentWidth } from '../../../src/limits/counters/segments.ts';

/** One charge, for ever. */
interface Entry {
  readonly rule: LimitRule;
  /** When it was charged, or, of a hold, committed. */
  time: number;
  /** What counts of it. */
  amount: number;
  /** While it is held, when it ends. */
  expiry: number | undefined;
  readonly reserved: number;
  readonly floor: number;
  /** Of a rate: everything charged to the key up to and with it. */
  entered: number;
  /** Whether anything was ever counted of it: only then its time is that of a segment. */
  wasCounted: boolean;
}

interface Key {
  readonly entries: Entry[];
  /** Of a rate: what has not flowed off, in units * period, when, and the speed since. */
  level: bigint;
  levelAt: number;
  speed: number;
  entered: number;
}

interface Decision {
  readonly held: { readonly key: Key; readonly entry: Entry }[];
  settled: boolean;
}

/** What a standing must say. */
export interface ExpectedStanding {
  readonly violated: boolean;
  readonly used: number;
  readonly held: number;
  readonly retryAfterMs: number | null;
}

export class ReferenceLimits {
  #now = 0;
  #keys = new Map<string, Key>();
  readonly #decisions = new Map<string, Decision>();

  admit(
    id: string,
    time: number,
    holdMs: number,
    charges: readonly LimitCharge[],
    dryRun: boolean,
  ): { readonly admitted: boolean; readonly standings: readonly ExpectedStanding[] } {
    this.#arrive(time);
    const passed = charges.map(one => this.#passes(one, this.#now));
    const admitted = charges.every((one, at) => one.rule.mode === 'shadow' || passed[at]);
    const retries = charges.map((one, at) => (passed[at] === true ? null : this.#retry(one)));
    if (admitted && !dryRun) {
      const decision: Decision = { held: [], settled: false };
      for (const [at, one] of charges.entries()) if (passed[at] === true) this.#take(decision, one, holdMs);
      this.#decisions.set(id, decision);
    }
    const standings = charges.map((one, at) => ({
      violated: passed[at] !== true,
      used: this.#used(one.key, one.rule, this.#now),
      held: this.#held(one.key, this.#now),
      retryAfterMs: retries[at] ?? null,
    }));
    return { admitted, standings };
  }

  /** @returns what each charge that is left was charged; undefined: nothing to settle */
  settle(
    id: string,
    time: number,
    actual: UnitAmounts,
    atLeastFloor: boolean,
  ): readonly number[] | undefined {
    this.#arrive(time);
    const decision = this.#decisions.get(id);
    if (decision === undefined || decision.settled) return undefined;
    decision.settled = true;
    const charged: number[] = [];
    for (const { key, entry } of decision.held) {
      if (![...this.#keys.values()].includes(key)) continue;
      const used = atLeastFloor ? Math.max(actual[entry.rule.unit], entry.floor) : actual[entry.rule.unit];
      if (entry.rule.kind === 'concurrency') entry.amount = 0;
      else {
        this.#settleEntry(key, entry, used);
        charged.push(used);
      }
      entry.expiry = undefined;
    }
    return charged;
  }

  extend(id: string, time: number, holdMs: number): boolean {
    this.#arrive(time);
    const decision = this.#decisions.get(id);
    if (decision === undefined || decision.settled) return false;
    let extended = false;
    for (const { key, entry } of decision.held) {
      if (entry.expiry === undefined || ![...this.#keys.values()].includes(key)) continue;
      entry.expiry = this.#now + holdMs;
      extended = true;
    }
    return extended;
  }

  reset(key: string, time: number): void {
    this.#arrive(time);
    this.#keys.delete(key);
  }

  #arrive(time: number): void {
    this.#now = Math.max(this.#now, time);
    for (const { entries } of this.#keys.values()) for (const entry of entries) expire(entry, this.#now);
  }

  #take(decision: Decision, { rule, key: name, amount, floor }: LimitCharge, holdMs: number): void {
    const known = this.#keys.get(name);
    const key = known ?? { entries: [], level: 0n, levelAt: this.#now, speed: 0, entered: 0 };
    this.#keys.set(name, key);
    const isLease = rule.kind === 'concurrency';
    const holds = isLease || rule.unit !== 'requests';
    if (rule.kind === 'rate') {
      key.level = levelAt(key, rule, rule.limit, this.#now) + BigInt(amount) * BigInt(rule.periodMs);
      key.levelAt = this.#now;
      key.speed = rule.limit;
    }
    key.entered += amount;
    const entry: Entry = {
      rule,
      time: this.#now,
      amount,
      expiry: holds ? this.#now + (isLease ? rule.leaseMs : holdMs) : undefined,
      reserved: amount,
      floor,
      entered: key.entered,
      wasCounted: amount > 0,
    };
    key.entries.push(entry);
    if (holds) decision.held.push({ key, entry });
  }

  #settleEntry(key: Key, entry: Entry, used: number): void {
    const { rule } = entry;
    const difference = used - entry.amount;
    if (rule.kind === 'rate') {
      const period = BigInt(rule.periodMs);
      const level = levelAt(key, rule, key.speed, this.#now);
      // what flowed off is what came first
      const gone = key.entered - Number(level / period);
      const left = Math.min(entry.reserved, Math.max(0, entry.entered - gone));
      key.level = level + BigInt(Math.max(difference, -left)) * period;
      key.levelAt = this.#now;
      key.entered += Math.max(0, difference);
    } else if (entry.expiry !== undefined && rule.kind === 'quota') {
      entry.amount = used;
      entry.wasCounted = used > 0;
      entry.time = this.#now;
    } else if (difference > 0) {
      key.entries.push({
        ...entry,
        amount: difference,
        time: this.#now,
        expiry: undefined,
        wasCounted: true,
      });
    } else {
      entry.amount = used;
    }
  }

  #passes(one: LimitCharge, at: number): boolean {
    const { rule, key } = one;
    const wanted = Math.max(1, one.amount);
    if (rule.kind === 'rate') return rule.limit > 0 && this.#used(key, rule, at) + wanted <= rule.burst;
    return this.#used(key, rule, at) + wanted <= rule.limit;
  }

  #used(name: string, rule: LimitRule, at: number): number {
    const key = this.#keys.get(name);
    if (key === undefined) return 0;
    if (rule.kind === 'rate') {
      const period = BigInt(rule.periodMs);
      return Number((levelAt(key, rule, rule.limit, at) + period - 1n) / period);
    }
    const entries = key.entries.map(entry => expire({ ...entry }, at));
    return entries.reduce((sum, entry) => sum + (counts(entry, entries, at) ? entry.amount : 0), 0);
  }

  #held(name: string, at: number): number {
    const entries = this.#keys.get(name)?.entries ?? [];
    const held = entries.filter(({ rule, expiry }) => isListed(rule) && expiry !== undefined && expiry > at);
    return held.reduce((sum, entry) => sum + entry.amount, 0);
  }

  /** Tries every instant at which anything leaves. */
  #retry(one: LimitCharge): number | null {
    const { rule } = one;
    const wanted = Math.max(1, one.amount);
    const most = rule.kind === 'rate' ? rule.burst : rule.limit;
    const key = this.#keys.get(one.key);
    if (wanted > most || rule.limit === 0 || key === undefined) return null;
    if (rule.kind === 'rate') {
      const speed = BigInt(Math.max(rule.limit, key.speed));
      const excess =
        levelAt(key, rule, rule.limit, this.#now) - BigInt(most - wanted) * BigInt(rule.periodMs);
      return Number((excess + speed - 1n) / speed);
    }
    const instants = key.entries.flatMap(({ time, expiry }) => {
      const ends = expiry === undefined ? [time] : [time, expiry];
      return [...ends, ...ends.map(end => (rule.kind === 'concurrency' ? end : leaves(rule, end)))];
    });
    const later = instants.filter(instant => instant > this.#now).sort((a, b) => a - b);
    const first = later.find(instant => this.#passes(one, instant));
    return first === undefined ? null : first - this.#now;
  }
}

function isListed({ kind }: LimitRule): boolean {
  return kind === 'quota' || kind === 'concurrency';
}

/** What becomes of a hold that nobody settles. */
function expire(entry: Entry, at: number): Entry {
  if (entry.expiry === undefined || entry.expiry > at) return entry;
  const { rule } = entry;
  if (rule.kind === 'concurrency' || (rule.kind === 'quota' && rule.onExpiry === 'release')) entry.amount = 0;
  else if (rule.kind === 'quota' && rule.onExpiry === 'charge_input') entry.amount = entry.floor;
  if (isListed(rule)) {
    entry.time = entry.expiry;
    entry.wasCounted = entry.amount > 0;
  }
  entry.expiry = undefined;
  return entry;
}

/** Whether a charge still counts: a segment leaves as a whole, when its last charge does. */
function counts(entry: Entry, entries: readonly Entry[], at: number): boolean {
  const { rule } = entry;
  if (rule.kind === 'concurrency' || (rule.kind === 'quota' && entry.expiry !== undefined)) return true;
  if (rule.kind === 'quota' && typeof rule.period === 'string') return leaves(rule, entry.time) > at;
  const width = segmentWidth(spanOf(rule));
  const segment = entries.filter(
    ({ time, expiry, wasCounted, rule: { kind } }) =>
      (kind === 'window' || expiry === undefined) &&
      wasCounted &&
      Math.floor(time / width) === Math.floor(entry.time / width),
  );
  return Math.max(...segment.map(({ time }) => time)) + spanOf(rule) > at;
}

function spanOf(rule: LimitRule): number {
  if (rule.kind === 'window') return rule.windowMs;
  return rule.kind === 'quota' && typeof rule.period === 'object' ? rule.period.rollingMs : 0;
}

/** When a charge leaves, by the calendar of the platform or by its span. */
function leaves(rule: LimitRule, time: number): number {
  if (rule.kind !== 'quota' || typeof rule.period === 'object') return time + spanOf(rule);
  const date = new Date(time);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  switch (rule.period) {
    case 'hour':
      return Date.UTC(year, month, day, date.getUTCHours() + 1);
    case 'day':
      return Date.UTC(year, month, day + 1);
    case 'week':
      return Date.UTC(year, month, day + 7 - ((date.getUTCDay() + 6) % 7));
    default:
      return Date.UTC(year, month + 1, 1);
  }
}

function levelAt(key: Key, rule: LimitRule, speed: number, at: number): bigint {
  if (rule.kind !== 'rate') throw new Error('only a rate has a level');
  const left = key.level - BigInt(Math.max(speed, key.speed)) * BigInt(at - key.levelAt);
  return left < 0n ? 0n : left;
}
