/**
 * Limits proposed from calls that were logged. Invariant: the same calls give the same file; every number in it can be
 * traced to a percentile of what was measured and the headroom on it.
 */
import type { WrittenLimits } from '../../domain/limit-definition.ts';
import type { ModelFacts } from '../../domain/limit-facts.ts';
import type { Price } from '../../domain/price-list.ts';
import type { EntityUid } from '../../domain/value.ts';
import { modelName } from './price-book.ts';
import { concurrencyOf, moneyOf, pricesOf } from './suggestion-outcomes.ts';
import {
  describePeaks,
  type NumberOptions,
  peaksOf,
  percentileOf,
  raised,
  tiered,
  type TierPeaks,
  withoutTiers,
} from './suggestion-peaks.ts';

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
  /** What it cost, as its outcome told or as a price list said of what it used; undefined: not known. */
  readonly costMicroUsd: number | undefined;
  /** When its outcome was reported, milliseconds since the epoch; undefined: it was not. */
  readonly endedAt: number | undefined;
}

export interface SuggestionOptions extends NumberOptions {
  /** Models of at least this risk are of high value. */
  readonly highValueRisk: number;
  readonly mode: 'enforce' | 'shadow';
  /** Prices in force now, by the id of the model with its version. */
  readonly prices: ReadonlyMap<string, Price>;
}

export interface Suggestion {
  readonly file: WrittenLimits;
  readonly peaks: readonly TierPeaks[];
  /** What was not proposed, and why; and what the numbers leave out. */
  readonly notes: readonly string[];
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Percentile and headroom for models of high value: who copies a model stands out from nearly everybody. */
const HIGH_VALUE_PERCENTILE = 95;
const HIGH_VALUE_HEADROOM = 110;
const HIGH_VALUE = 'high_value';
/** A limit with what it rests on. */
export interface Proposal {
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
  const money = moneyOf(calls, options);
  const atOnce = concurrencyOf(calls, options);
  for (const { proposal } of [money, atOnce]) if (proposal !== undefined) proposals.push(proposal);
  const modelClasses = valuable.length > 0 ? [{ id: HIGH_VALUE, minRisk: options.highValueRisk }] : [];
  const prices = money.proposal === undefined ? {} : { prices: pricesOf(calls, options) };
  return {
    file: { modelClasses, ...prices, limits: proposals.map(({ limit }) => limit) },
    peaks: proposals.flatMap(({ peaks }) => peaks),
    notes: [...notesOnTokens(calls), ...[money, atOnce].flatMap(({ note }) => note ?? [])],
  };
}

/** What an outcome does not tell is taken for what was asked. */
function notesOnTokens(calls: readonly LoggedModelCall[]): readonly string[] {
  const silent = calls.filter(({ endedAt }) => endedAt === undefined).length;
  if (silent === 0) return [];
  return [`tokens: ${silent} of ${calls.length} calls have no outcome and count for what they asked`];
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
    peaks: describePeaks(id, found),
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
      peaks: describePeaks(id, withoutTiers(found)),
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
      peaks: describePeaks(id, found),
    },
  ];
}

function byPrincipal({ principal }: LoggedModelCall): string {
  return principal.key;
}

function tokensOf({ inputTokens, outputTokens }: LoggedModelCall): number {
  return inputTokens + outputTokens;
}
