/**
 * Limits as a decision meets them: rules with their numbers resolved, what a request charges to them and where they
 * stand. Invariant: every amount is a non-negative safe integer; money is micro-dollars, time milliseconds.
 */
import { z } from 'zod';

/** What a limit counts. `tokens` are input and output together; `micro_usd` are millionths of a dollar. */
export const LIMIT_UNITS = [
  'requests',
  'input_tokens',
  'output_tokens',
  'tokens',
  'compute_ms',
  'micro_usd',
] as const;
export const limitUnitSchema = z.enum(LIMIT_UNITS).meta({ id: 'LimitUnit' });
export type LimitUnit = z.infer<typeof limitUnitSchema>;
export type UnitAmounts = Readonly<Record<LimitUnit, number>>;

/** What a call used that never began. */
export const NOTHING_USED: UnitAmounts = {
  requests: 0,
  input_tokens: 0,
  output_tokens: 0,
  tokens: 0,
  compute_ms: 0,
  micro_usd: 0,
};

/**
 * `window`: never more than the limit in any span of its length. `rate`: GCRA, a burst and then a steady flow.
 * `quota`: a budget per period, what is spent and what is held apart. `concurrency`: leases that expire.
 */
export const LIMIT_KINDS = ['window', 'rate', 'quota', 'concurrency'] as const;
export const limitKindSchema = z.enum(LIMIT_KINDS).meta({ id: 'LimitKind' });

/** What decides when the shared store does not answer. `local`: the same limit, counted by this server alone. */
export const STORE_FAILURE_MODES = ['local', 'deny', 'allow'] as const;
export type StoreFailureMode = (typeof STORE_FAILURE_MODES)[number];

/** What becomes of a hold that nobody settled. */
export const EXPIRY_MODES = ['charge_estimate', 'charge_input', 'release'] as const;
export type ExpiryMode = (typeof EXPIRY_MODES)[number];

/** Calendar periods are UTC; a week begins on Monday. */
export const CALENDAR_PERIODS = ['hour', 'day', 'week', 'month'] as const;
export type QuotaPeriod = (typeof CALENDAR_PERIODS)[number] | { readonly rollingMs: number };

interface RuleBase {
  /** `<layer>/<id>`: `platform/user-burst`. */
  readonly name: string;
  readonly unit: LimitUnit;
  /** A shadow rule counts and reports and never denies; what it counts touches no enforced rule. */
  readonly mode: 'enforce' | 'shadow';
  /** The number that holds for this request, after tiers, classes and overrides. 0 admits nothing. */
  readonly limit: number;
  /** Where the number comes from, in one line: `base 120 x tier pro 200% x class high_value 20%`. */
  readonly source: string;
  /** Which dimensions its key has, as declared: `["tenant", "principal"]`. */
  readonly scope: readonly string[];
  readonly onStoreFailure: StoreFailureMode;
  /** Percentages of the limit at which an alert is raised, ascending. */
  readonly alertAtPercent: readonly number[];
}
export interface WindowRule extends RuleBase {
  readonly kind: 'window';
  readonly windowMs: number;
}
export interface RateRule extends RuleBase {
  readonly kind: 'rate';
  /** `limit` per this time, in milliseconds. */
  readonly periodMs: number;
  /** Most that is admitted at one instant. */
  readonly burst: number;
}
export interface QuotaRule extends RuleBase {
  readonly kind: 'quota';
  readonly period: QuotaPeriod;
  readonly onExpiry: ExpiryMode;
}
/** Weighted fair share of a pool: admits while the tenant is within its guarantee, or the pool below high water. */
export interface FairShare {
  /** Key of the tenant's own leases within the pool, which is the rule's key. */
  readonly ownKey: string;
  /** Leases of this tenant that are always admissible. */
  readonly guaranteed: number;
  /** Leases of the pool up to which unused shares are lent. */
  readonly highWater: number;
}
export interface ConcurrencyRule extends RuleBase {
  readonly kind: 'concurrency';
  readonly leaseMs: number;
  readonly fair?: FairShare;
}
export type LimitRule = WindowRule | RateRule | QuotaRule | ConcurrencyRule;

/**
 * What a store noted about a key, so that it need not look for it again. Whoever makes keys gives the same note along
 * with the same key, and never looks into it.
 */
export interface KeyNote {
  store: object | undefined;
  counter: number;
  generation: number;
}

/** What one request charges to one limit. */
export interface LimitCharge {
  readonly rule: LimitRule;
  /**
   * What is counted together, injectively encoded from the rule's name, its shape (kind and length of window, so that
   * a changed number keeps what was counted and a changed shape does not) and the values of its dimensions.
   */
  readonly key: string;
  readonly note?: KeyNote | undefined;
  /** What is reserved now; 0 still is denied when nothing remains. */
  readonly amount: number;
  /** What a cancelled or forgotten call pays at least: its input. At most `amount`. */
  readonly floor: number;
}

/** Where a limit stands for a request, after the admission that it describes. */
export interface LimitStanding {
  /** Whether this limit denied, or, a shadow, would have. */
  readonly violated: boolean;
  /** Committed and held together. */
  readonly used: number;
  readonly held: number;
  /** Never below 0. */
  readonly remaining: number;
  /** Milliseconds until everything counted now has left; 0 when nothing is counted. */
  readonly resetMs: number;
  /** When violated: milliseconds until the same request passes, alone; null: never, it exceeds the limit by itself. */
  readonly retryAfterMs: number | null;
  /** Decided by `onStoreFailure`, because the shared store did not answer. */
  readonly degraded: boolean;
}
