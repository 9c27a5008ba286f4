/** Rules, charges and requests for tests of limit stores, with everything that a test does not look at filled in. */
import type {
  ConcurrencyRule,
  KeyNote,
  LimitCharge,
  LimitRule,
  QuotaRule,
  RateRule,
  UnitAmounts,
  WindowRule,
} from '../../src/domain/limit.ts';
import type { Admission, LimitStore } from '../../src/limits/ports.ts';

/** A Sunday at noon, the day before the last of a month: 2026-11-29T12:00:00Z. */
export const NOON = Date.UTC(2026, 10, 29, 12);
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;
export const HOLD_MS = 10 * MINUTE;

const BASE = {
  name: 'platform/limit',
  unit: 'requests',
  mode: 'enforce',
  limit: 10,
  source: 'base 10',
  scope: ['principal'],
  onStoreFailure: 'local',
  alertAtPercent: [80, 100],
} as const;

export function windowRule(members: Partial<WindowRule> = {}): WindowRule {
  return { ...BASE, kind: 'window', windowMs: MINUTE, ...members };
}

export function rateRule(members: Partial<RateRule> = {}): RateRule {
  return { ...BASE, kind: 'rate', periodMs: MINUTE, burst: 3, ...members };
}

export function quotaRule(members: Partial<QuotaRule> = {}): QuotaRule {
  return {
    ...BASE,
    kind: 'quota',
    unit: 'tokens',
    period: 'day',
    onExpiry: 'charge_input',
    limit: 1_000,
    ...members,
  };
}

export function leaseRule(members: Partial<ConcurrencyRule> = {}): ConcurrencyRule {
  return { ...BASE, kind: 'concurrency', leaseMs: 5 * MINUTE, limit: 2, ...members };
}

/** What stores noted about keys: one note for each, whichever store is asked and whatever became of the key. */
const NOTES = new Map<string, KeyNote>();

/** A charge to the key of its own that each rule has. */
export function chargeTo(rule: LimitRule, members: Partial<LimitCharge> = {}): LimitCharge {
  const charge = { rule, key: `key of ${rule.name}`, amount: 1, floor: 0, ...members };
  let note = NOTES.get(charge.key);
  if (note === undefined) NOTES.set(charge.key, (note = { store: undefined, counter: 0, generation: 0 }));
  return { ...charge, note };
}

/** The id of the n-th decision of a test. */
export function decisionId(n: number): string {
  return `01922b4e-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

export function usedTokens(tokens: number): UnitAmounts {
  return {
    requests: 1,
    input_tokens: tokens,
    output_tokens: tokens,
    tokens,
    compute_ms: tokens,
    micro_usd: tokens,
  };
}

/** A store that counts decisions, so that each admission has an id of its own. */
export class LimitCaller {
  readonly store: LimitStore;
  asked = 0;

  constructor(store: LimitStore) {
    this.store = store;
  }

  /** The id of the admission that was asked for last. */
  get lastId(): string {
    return decisionId(this.asked);
  }

  async admit(now: number, ...charges: LimitCharge[]): Promise<Admission> {
    this.asked += 1;
    return this.store.admit({ decisionId: this.lastId, now, holdMs: HOLD_MS, charges });
  }

  /** What would be answered; nothing changes. */
  async look(now: number, ...charges: LimitCharge[]): Promise<Admission> {
    return this.store.admit({ decisionId: decisionId(0), now, holdMs: HOLD_MS, charges, dryRun: true });
  }

  /** How many of a number of like requests are admitted. */
  async admitted(count: number, now: number, ...charges: LimitCharge[]): Promise<number> {
    let admitted = 0;
    for (let n = 0; n < count; n++) if ((await this.admit(now, ...charges)).admitted) admitted += 1;
    return admitted;
  }

  async settle(id: string, now: number, tokens: number, atLeastFloor = false) {
    return this.store.settle({ decisionId: id, now, actual: usedTokens(tokens), atLeastFloor });
  }

  /** Used, held and remaining of one charge. */
  async numbers(
    now: number,
    one: LimitCharge,
  ): Promise<readonly [used: number, held: number, remaining: number]> {
    const [standing] = (await this.look(now, one)).standings;
    return [standing?.used ?? -1, standing?.held ?? -1, standing?.remaining ?? -1];
  }
}
