/**
 * What callers did at most, and the number that follows from it. Invariant: a number is the percentile of what was
 * measured and the headroom on it, rounded up to two digits.
 */
import type { LoggedModelCall } from './suggestion.ts';

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

/** The most that one caller did in any span. */
export interface Peak {
  readonly tier: string | undefined;
  readonly most: number;
}

/** How a number follows from peaks. */
export interface NumberOptions {
  /** Of the callers' peaks, which one everybody else is to fit under: 1 to 100. */
  readonly percentile: number;
  /** How much more than that is allowed, in per cent: 150 is half as much again. */
  readonly headroomPercent: number;
}

/** Largest factor of a tier, in per cent, that limits.json takes. */
const MAX_PERCENT = 100_000;

/** The most in any span of this length, for each key: a span that ends with a call and is open at its beginning. */
export function peaksOf(
  calls: readonly LoggedModelCall[],
  keyOf: (call: LoggedModelCall) => string,
  spanMs: number,
  amountOf: (call: LoggedModelCall) => number,
): readonly Peak[] {
  return groups(calls, keyOf).map(own => ({ tier: own.at(-1)?.tier, most: peakOf(own, spanMs, amountOf) }));
}

/** The most at the same time, for each key. @param endOf when a call ends, milliseconds since the epoch */
export function overlapsOf(
  calls: readonly LoggedModelCall[],
  keyOf: (call: LoggedModelCall) => string,
  endOf: (call: LoggedModelCall) => number,
): readonly Peak[] {
  return groups(calls, keyOf).map(own => ({ tier: own.at(-1)?.tier, most: overlapOf(own, endOf) }));
}

/** Calls by key, each in the order of their times. */
function groups(
  calls: readonly LoggedModelCall[],
  keyOf: (call: LoggedModelCall) => string,
): readonly (readonly LoggedModelCall[])[] {
  const byKey = new Map<string, LoggedModelCall[]>();
  for (const call of calls) {
    const key = keyOf(call);
    const own = byKey.get(key);
    if (own === undefined) byKey.set(key, [call]);
    else own.push(call);
  }
  return [...byKey.values()];
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

/** A call that ends at the instant at which another begins makes room for it. */
function overlapOf(calls: readonly LoggedModelCall[], endOf: (call: LoggedModelCall) => number): number {
  const ends = calls.map(call => endOf(call)).toSorted((a, b) => a - b);
  let most = 0;
  let ended = 0;
  for (const [at, { time }] of calls.entries()) {
    while (ended < at && (ends[ended] ?? Number.POSITIVE_INFINITY) <= time) ended += 1;
    most = Math.max(most, at + 1 - ended);
  }
  return most;
}

/** A number for all and, where a tier needs another one, its factor. */
export function tiered(
  peaks: readonly Peak[],
  { percentile, headroomPercent }: NumberOptions,
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

/** What was measured for a limit, of all callers and by tier. */
export function describePeaks(limit: string, peaks: readonly Peak[]): readonly TierPeaks[] {
  const row = (tier: string, own: readonly Peak[]): TierPeaks => ({
    limit,
    tier,
    callers: own.length,
    p50: percentileOf(own, 50),
    p95: percentileOf(own, 95),
    p99: percentileOf(own, 99),
    max: percentileOf(own, 100),
  });
  const byTier = groupedByTier(peaks);
  const tiers = byTier.size > 1 ? [...byTier].map(([tier, own]) => row(tier ?? 'none', own)) : [];
  return [row('any', peaks), ...tiers];
}

/** The same for tenants, which have no tier. */
export function withoutTiers(peaks: readonly Peak[]): readonly Peak[] {
  return peaks.map(({ most }) => ({ tier: undefined, most }));
}

function groupedByTier(peaks: readonly Peak[]): ReadonlyMap<string | undefined, readonly Peak[]> {
  const byTier = new Map<string | undefined, Peak[]>();
  for (const peak of peaks) {
    const own = byTier.get(peak.tier);
    if (own === undefined) byTier.set(peak.tier, [peak]);
    else own.push(peak);
  }
  return byTier;
}

/** The smallest peak that this share of all peaks does not exceed (nearest rank); 0 of none. */
export function percentileOf(peaks: readonly Pick<Peak, 'most'>[], percentile: number): number {
  const sorted = peaks.map(({ most }) => most).toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percentile) / 100) - 1)] ?? 0;
}

/** With the headroom, rounded up to two digits: a limit is a number that people remember. */
export function raised(number: number, headroomPercent: number): number {
  const wanted = Math.max(1, Math.ceil((number * headroomPercent) / 100));
  const step = 10 ** Math.max(0, String(wanted).length - 2);
  return Math.ceil(wanted / step) * step;
}
