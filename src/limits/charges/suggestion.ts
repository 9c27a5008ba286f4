/**
 * Limits proposed from calls that were logged. Invariant: the same calls give the same file; every number in it can be
 * traced to a percentile of what was measured and the headroom on it.
 */
import type { WrittenLimits } from '../../domain/limit-definition.ts';
import type { ModelFacts } from '../../domain/limit-facts.ts';
import type { EntityUid } from '../../domain/value.ts';
import { modelName } from './price-book.ts';

/** One call of a model that was allowed. */
export interface LoggedModelCall {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly principal: EntityUid;
  /** undefined: the directory tells none. */
  readonly tier: string | undefined;
  readonly tenant: string;
  readonly model: ModelFacts;
  readonly operation: string;
  readonly inputTokens: number;
  /** As the outcome told them, else the most that were asked for. */
  readonly outputTokens: number;
}

export interface SuggestionOptions {
  /** Of the callers' peaks, which one everybody else is to fit under: 1 to 100. */
  readonly percentile: number;
  /** How much more than that is allowed, in per cent: 150 is half as much again. */
  readonly headroomPercent: number;
  /** Models of at least this risk are of high value. */
  readonly highValueRisk: number;
  readonly mode: 'enforce' | 'shadow';
}

/** What callers of one tier did at most, in one span; `n` of them. */
export interface TierPeaks {
  /** Name of the limit that it led to. */
  readonly limit: string;
  /** `any` of all callers together; `none` of those without a tier. */
  readonly tier: string;
  readonly callers: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface Suggestion {
  readonly file: WrittenLimits;
  readonly peaks: readonly TierPeaks[];
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Percentile and headroom for models of high value: who copies a model stands out from nearly everybody. */
const HIGH_VALUE_PERCENTILE = 95;
const HIGH_VALUE_HEADROOM = 110;
const HIGH_VALUE = 'high_value';
/** Largest factor of a tier, in per cent, that limits.json takes. */
const MAX_PERCENT = 100_000;

/** The most that one caller did in any span, by caller. */
interface Peak {
  readonly tier: string | undefined;
  readonly most: number;
}

/** A limit with what it rests on. */
interface Proposal {
  readonly limit: NonNullable<WrittenLimits['limits']>[number];
  readonly peaks: readonly TierPeaks[];
}

/** Proposes limits. @param calls in the order of their times; at least one */
export function suggestLimits(calls: readonly LoggedModelCall[], options: SuggestionOptions): Suggestion {
  const valuable = calls.filter(({ model }) => (model.risk ?? 0) >= options.highValueRisk);
  const proposals = [
    ofCaller('principal-second', '1s', SECOND_MS, calls, options),
    ofCaller('principal-minute', '60s', MINUTE_MS, calls, options),
    ...ofTokens(calls, options),
    ...ofHighValue(valuable, options),
  ];
  const modelClasses = valuable.length > 0 ? [{ id: HIGH_VALUE, minRisk: options.highValueRisk }] : [];
  return {
    file: { modelClasses, limits: proposals.map(({ limit }) => limit) },
    peaks: proposals.flatMap(({ peaks }) => peaks),
  };
}

function ofCaller(
  id: string,
  per: string,
  spanMs: number,
  calls: readonly LoggedModelCall[],
  options: SuggestionOptions,
): Proposal {
  const { percentile, headroomPercent, mode } = options;
  const found = peaksOf(calls, byPrincipal, spanMs, () => 1);
  const { limit, byTier } = tiered(found, options);
  const description = `the ${percentile}th percentile of what callers asked in ${per}, times ${headroomPercent}%`;
  const key = ['principal' as const];
  return {
    limit: { id, description, mode, kind: 'window', unit: 'requests', limit, per, key, byTier },
    peaks: describe(id, found),
  };
}

function ofTokens(
  calls: readonly LoggedModelCall[],
  { headroomPercent, mode }: SuggestionOptions,
): readonly Proposal[] {
  const id = 'tenant-day-tokens';
  const found = peaksOf(calls, ({ tenant }) => tenant, DAY_MS, tokensOf);
  const most = percentileOf(found, 100);
  if (most === 0) return [];
  const limit = raised(most, headroomPercent);
  const description = `the most that a tenant used in a day, times ${headroomPercent}%`;
  const key = ['tenant' as const];
  return [
    {
      limit: { id, description, mode, kind: 'quota', unit: 'tokens', limit, period: 'day', key },
      peaks: describe(
        id,
        found.map(peak => ({ ...peak, tier: undefined })),
      ),
    },
  ];
}

function ofHighValue(calls: readonly LoggedModelCall[], { mode }: SuggestionOptions): readonly Proposal[] {
  if (calls.length === 0) return [];
  const id = 'high-value-day';
  const found = peaksOf(
    calls,
    call => `${byPrincipal(call)} ${modelName(call.model)}`,
    DAY_MS,
    () => 1,
  );
  const limit = raised(percentileOf(found, HIGH_VALUE_PERCENTILE), HIGH_VALUE_HEADROOM);
  const description = 'whoever asks a model of high value more often than nearly all copies it';
  const match = { classes: [HIGH_VALUE] };
  const key = ['principal' as const, 'model' as const];
  return [
    {
      limit: { id, description, mode, kind: 'window', unit: 'requests', limit, per: '24h', key, match },
      peaks: describe(id, found),
    },
  ];
}

function byPrincipal({ principal }: LoggedModelCall): string {
  return principal.key;
}

function tokensOf({ inputTokens, outputTokens }: LoggedModelCall): number {
  return inputTokens + outputTokens;
}

/** The most in any span of this length, for each key: a span that ends with a call and is open at its beginning. */
function peaksOf(
  calls: readonly LoggedModelCall[],
  keyOf: (call: LoggedModelCall) => string,
  spanMs: number,
  amountOf: (call: LoggedModelCall) => number,
): readonly Peak[] {
  const byKey = new Map<string, LoggedModelCall[]>();
  for (const call of calls) {
    const key = keyOf(call);
    const own = byKey.get(key);
    if (own === undefined) byKey.set(key, [call]);
    else own.push(call);
  }
  return [...byKey.values()].map(own => ({ tier: own.at(-1)?.tier, most: peakOf(own, spanMs, amountOf) }));
}

function peakOf(
  calls: readonly LoggedModelCall[],
  spanMs: number,
  amountOf: (call: LoggedModelCall) => number,
): number {
  let most = 0;
  let sum = 0;
  let from = 0;
  for (const call of calls) {
    sum += amountOf(call);
    for (
      let oldest = calls[from];
      oldest !== undefined && call.time - oldest.time >= spanMs;
      oldest = calls[from]
    ) {
      sum -= amountOf(oldest);
      from += 1;
    }
    most = Math.max(most, sum);
  }
  return most;
}

/** A number for all and, where a tier needs another one, its factor. */
function tiered(
  peaks: readonly Peak[],
  { percentile, headroomPercent }: SuggestionOptions,
): { readonly limit: number; readonly byTier: Record<string, number> } {
  const limit = raised(percentileOf(peaks, percentile), headroomPercent);
  const byTier: Record<string, number> = {};
  for (const [tier, own] of groupedByTier(peaks)) {
    if (tier === undefined) continue;
    const wanted = raised(percentileOf(own, percentile), headroomPercent);
    const percent = Math.min(MAX_PERCENT, Math.ceil((100 * wanted) / limit));
    if (percent !== 100) byTier[tier] = percent;
  }
  return { limit, byTier };
}

function describe(limit: string, peaks: readonly Peak[]): readonly TierPeaks[] {
  const row = (tier: string, own: readonly Peak[]): TierPeaks => ({
    limit,
    tier,
    callers: own.length,
    p50: percentileOf(own, 50),
    p95: percentileOf(own, 95),
    p99: percentileOf(own, 99),
    max: percentileOf(own, 100),
  });
  const groups = groupedByTier(peaks);
  const tiers = groups.size > 1 ? [...groups].map(([tier, own]) => row(tier ?? 'none', own)) : [];
  return [row('any', peaks), ...tiers];
}

function groupedByTier(peaks: readonly Peak[]): ReadonlyMap<string | undefined, readonly Peak[]> {
  const groups = new Map<string | undefined, Peak[]>();
  for (const peak of peaks) {
    const own = groups.get(peak.tier);
    if (own === undefined) groups.set(peak.tier, [peak]);
    else own.push(peak);
  }
  return groups;
}

/** The smallest peak that this share of all peaks does not exceed (nearest rank); 0 of none. */
function percentileOf(peaks: readonly Peak[], percentile: number): number {
  const sorted = peaks.map(({ most }) => most).toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percentile) / 100) - 1)] ?? 0;
}

/** With the headroom, rounded up to two digits: a limit is a number that people remember. */
function raised(number: number, headroomPercent: number): number {
  const wanted = Math.max(1, Math.ceil((number * headroomPercent) / 100));
  const step = 10 ** Math.max(0, String(wanted).length - 2);
  return Math.ceil(wanted / step) * step;
}
