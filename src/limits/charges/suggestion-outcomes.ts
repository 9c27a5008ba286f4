/**
 * Limits that only outcomes can tell: money a day, and calls at the same time. Invariant: where too few calls tell, or
 * where a limit would deny what it cannot price, nothing is proposed and the reason is said.
 */
import { MAX_PRICES, type Price } from '../../domain/price-list.ts';
import { modelName } from './price-book.ts';
import type { LoggedModelCall, Proposal, SuggestionOptions } from './suggestion.ts';
import {
  describePeaks,
  overlapsOf,
  peaksOf,
  percentileOf,
  raised,
  tiered,
  withoutTiers,
} from './suggestion-peaks.ts';

/** A limit, or why there is none. */
export type OutcomeProposal =
  | { readonly proposal: Proposal; readonly note?: string }
  | { readonly proposal?: undefined; readonly note: string };

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Of a hundred calls, how many have to tell: fewer would say more about the gateways than about the calls. */
const MIN_TOLD_PERCENT = 90;
/** Leases that are proposed, in minutes: the shortest that twice the 99th percentile of the calls fits in. */
const LEASE_MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 240] as const;

/** Money of a tenant by its day of most. */
export function moneyOf(
  calls: readonly LoggedModelCall[],
  { headroomPercent, mode, prices }: SuggestionOptions,
): OutcomeProposal {
  const unpriced = new Set(calls.flatMap(({ model }) => (prices.has(model.uid.id) ? [] : [model.uid.id])));
  const told = calls.filter(({ costMicroUsd }) => costMicroUsd !== undefined).length;
  if (isTooFew(told, calls.length)) {
    return { note: `no limit in money: the cost of ${told} of ${calls.length} calls is known` };
  }
  if (new Set(calls.map(({ model }) => model.uid.id)).size > MAX_PRICES) {
    return { note: `no limit in money: more than ${MAX_PRICES} models were called` };
  }
  if (unpriced.size > 0) {
    const [first = ''] = unpriced;
    const which = `${unpriced.size === 1 ? 'model' : `${unpriced.size} models, such as`} \`${first}\``;
    return { note: `no limit in money: it would deny what no price list has, ${which}` };
  }
  const id = 'tenant-day-money';
  const found = withoutTiers(
    peaksOf(
      calls,
      ({ tenant }) => tenant,
      DAY_MS,
      call => call.costMicroUsd ?? 0,
    ),
  );
  const most = percentileOf(found, 100);
  if (most === 0) return { note: 'no limit in money: the calls cost nothing' };
  const limit = raised(most, headroomPercent);
  const description = `the most that a tenant spent in a day, times ${headroomPercent}%`;
  const key = ['tenant' as const];
  const proposal = {
    limit: {
      id,
      description,
      mode,
      kind: 'quota' as const,
      unit: 'micro_usd' as const,
      limit,
      period: 'day',
      key,
    },
    peaks: describePeaks(id, found),
  };
  const unknown = calls.length - told;
  const note =
    'money: priced as now, and models that were not called like the dearest' +
    (unknown === 0 ? '' : `; ${unknown} of ${calls.length} calls of unknown cost count nothing`);
  return { proposal, note };
}

/** The prices in force of the models that were called, and for all others the dearest of them. */
export function pricesOf(calls: readonly LoggedModelCall[], { prices }: SuggestionOptions) {
  const models = new Map(calls.map(({ model }) => [model.uid.id, model]));
  const listed = [...models.values()].flatMap(model => {
    const price = prices.get(model.uid.id);
    if (price === undefined) return [];
    const { version } = model;
    return [{ model: modelName(model), ...(version === '' ? {} : { version }), ...price }];
  });
  const dearest = listed.reduce<Price>((most, price) => dearer(most, price), FREE);
  return { version: 'in-force', default: dearest, models: listed };
}

const FREE: Price = { inputPerMillion: 0, outputPerMillion: 0, perRequest: 0, perComputeSecond: 0 };

/** Member by member: what costs at most. */
export function dearer(a: Price, b: Price): Price {
  return {
    inputPerMillion: Math.max(a.inputPerMillion, b.inputPerMillion),
    outputPerMillion: Math.max(a.outputPerMillion, b.outputPerMillion),
    perRequest: Math.max(a.perRequest, b.perRequest),
    perComputeSecond: Math.max(a.perComputeSecond, b.perComputeSecond),
  };
}

/** Calls of a principal at the same time: from the decision to the report of the outcome, as a lease lasts. */
export function concurrencyOf(
  calls: readonly LoggedModelCall[],
  options: SuggestionOptions,
): OutcomeProposal {
  const lengths = calls.flatMap(({ time, endedAt }) =>
    endedAt === undefined ? [] : [{ most: Math.max(0, endedAt - time) }],
  );
  const silent = calls.length - lengths.length;
  if (isTooFew(lengths.length, calls.length)) {
    return { note: `no limit of calls at the same time: ${silent} of ${calls.length} calls have no outcome` };
  }
  const usual = percentileOf(lengths, 99);
  const minutes = LEASE_MINUTES.find(minute => minute * MINUTE_MS >= 2 * usual);
  if (minutes === undefined) {
    return {
      note: `no limit of calls at the same time: outcomes come ${Math.ceil(usual / MINUTE_MS)} minutes after decisions`,
    };
  }
  const leaseMs = minutes * MINUTE_MS;
  const id = 'principal-at-once';
  // without an outcome, and beyond the lease, a call counts for as long as its lease
  const found = overlapsOf(
    calls,
    ({ principal }) => principal.key,
    ({ time, endedAt }) => Math.min(endedAt ?? Number.POSITIVE_INFINITY, time + leaseMs),
  );
  const { limit, byTier } = tiered(found, options);
  const { percentile, headroomPercent, mode } = options;
  const description = `the ${percentile}th percentile of the calls that callers had at the same time, times ${headroomPercent}%`;
  const operations = [...new Set(calls.map(({ operation }) => operation))].toSorted();
  const proposal = {
    limit: {
      id,
      description,
      mode,
      kind: 'concurrency' as const,
      limit,
      lease: `${minutes}m`,
      key: ['principal' as const],
      byTier,
      // what reports no outcome would hold its lease to the end
      match: { operations },
    },
    peaks: describePeaks(id, found),
  };
  return silent === 0
    ? { proposal }
    : {
        proposal,
        note: `at once: ${silent} of ${calls.length} calls without an outcome count for their lease`,
      };
}

function isTooFew(told: number, all: number): boolean {
  return told * 100 < all * MIN_TOLD_PERCENT;
}
