/** Limits out of a log: what was measured, what follows from it, and what it would have denied. */
import { describe, expect, test } from 'vitest';
import { limitsFileSchema } from '../../../src/domain/limit-definition.ts';
import type { Price } from '../../../src/domain/price-list.ts';
import { EntityUid } from '../../../src/domain/value.ts';
import { tryLimits } from '../../../src/limits/charges/limit-trial.ts';
import {
  type LoggedModelCall,
  suggestLimits,
  type SuggestionOptions,
} from '../../../src/limits/charges/suggestion.ts';
import { MODEL, NOW } from './planning-world.ts';

const OPTIONS: SuggestionOptions = {
  percentile: 99,
  headroomPercent: 150,
  highValueRisk: 3,
  mode: 'enforce',
  prices: new Map(),
};
const PRICE: Price = {
  inputPerMillion: 1_000_000,
  outputPerMillion: 2_000_000,
  perRequest: 0,
  perComputeSecond: 0,
};
/** With a price of the model that is called. */
const PRICED: SuggestionOptions = { ...OPTIONS, prices: new Map([[MODEL.uid.id, PRICE]]) };
const SECOND = 1_000;
const MINUTE = 60_000;

function call(caller: string, time: number, changes: Partial<LoggedModelCall> = {}): LoggedModelCall {
  return {
    time,
    principal: new EntityUid('AI::User', `acme/${caller}`),
    tier: 'standard',
    tenant: 'acme',
    model: { ...MODEL, risk: 1 },
    operation: 'generate',
    inputTokens: 100,
    outputTokens: 50,
    costMicroUsd: undefined,
    endedAt: undefined,
    ...changes,
  };
}

/** `count` calls that are `gap` milliseconds apart. */
function calls(caller: string, count: number, gap: number, changes: Partial<LoggedModelCall> = {}) {
  return Array.from({ length: count }, (_, at) => call(caller, NOW + at * gap, changes));
}

function sorted(...groups: readonly (readonly LoggedModelCall[])[]): readonly LoggedModelCall[] {
  return groups.flat().toSorted((a, b) => a.time - b.time);
}

/** The written limit of an id. */
function limitOf(given: readonly LoggedModelCall[], id: string, options = OPTIONS) {
  return suggestLimits(given, options).file.limits?.find(limit => limit.id === id);
}

describe('suggestLimits', () => {
  test('takes the peak of any span, not that of a minute of the clock', () => {
    // 40 calls around the end of a minute: neither minute of the clock has more than 20
    const around = Array.from({ length: 40 }, (_, at) => call('a', NOW + MINUTE - 2_000 + at * 100));
    expect(limitOf(around, 'principal-minute')).toMatchObject({ limit: 60, per: '60s', unit: 'requests' });
  });

  test('leaves the rarest callers outside and gives headroom to all others', () => {
    const usual = Array.from({ length: 199 }, (_, at) => calls(`u${at}`, 10, 5_000));
    const loop = calls('loop', 600, 50);
    expect(limitOf(sorted(...usual, loop), 'principal-minute')).toMatchObject({ limit: 15 });
    expect(
      limitOf(sorted(...usual, loop), 'principal-minute', { ...OPTIONS, percentile: 100 }),
    ).toMatchObject({
      limit: 900,
    });
  });

  test('gives tiers their factor where they need another number', () => {
    const standard = Array.from({ length: 9 }, (_, at) => calls(`s${at}`, 10, 1_000));
    const gold = calls('g', 40, 1_000, { tier: 'gold' });
    const limit = limitOf(sorted(...standard, gold), 'principal-minute', { ...OPTIONS, percentile: 90 });
    expect(limit).toMatchObject({ limit: 15, byTier: { gold: 400 } });
  });

  test('holds models of high value tighter than the rest, by caller and model and day', () => {
    const normal = calls('a', 100, 1_000);
    const valuable = Array.from({ length: 20 }, (_, at) => calls(`v${at}`, 20, 1_000, { model: MODEL }));
    const thief = calls('thief', 900, 1_000, { model: MODEL });
    const { file } = suggestLimits(sorted(normal, ...valuable, thief), OPTIONS);
    expect(file.modelClasses).toEqual([{ id: 'high_value', minRisk: 3 }]);
    expect(file.limits?.at(-1)).toMatchObject({
      id: 'high-value-day',
      limit: 22,
      per: '24h',
      key: ['principal', 'model'],
      match: { classes: ['high_value'] },
    });
    expect(limitOf(normal, 'high-value-day')).toBeUndefined();
  });

  test('budgets tokens of a tenant by its day of most, and none when none are known', () => {
    const day = 86_400_000;
    const two = sorted(calls('a', 10, 1_000), calls('b', 10, 1_000, { time: NOW + 2 * day }));
    expect(limitOf(two, 'tenant-day-tokens')).toMatchObject({ kind: 'quota', unit: 'tokens', limit: 2_300 });
    const unknown = calls('a', 10, 1_000, { inputTokens: 0, outputTokens: 0 });
    expect(limitOf(unknown, 'tenant-day-tokens')).toBeUndefined();
  });

  test('budgets money of a tenant by its day of most, with the prices that it needs', () => {
    const two = sorted(
      calls('a', 10, 1_000, { costMicroUsd: 300 }),
      calls('b', 10, 1_000, { costMicroUsd: 700, tenant: 'globex' }),
    );
    const { file, notes } = suggestLimits(two, PRICED);
    expect(file.limits?.find(({ id }) => id === 'tenant-day-money')).toMatchObject({
      kind: 'quota',
      unit: 'micro_usd',
      // 10 x 700, and half as much again, rounded up to two digits
      limit: 11_000,
      period: 'day',
      key: ['tenant'],
    });
    expect(file.prices).toMatchObject({
      default: PRICE,
      models: [{ model: 'acme/fraud', version: '3', ...PRICE }],
    });
    expect(notes).toContain('money: priced as now, and models that were not called like the dearest');
  });

  test.each([
    [
      'few calls tell their cost',
      [...calls('a', 8, SECOND, { costMicroUsd: 5 }), ...calls('b', 2, SECOND)],
      PRICED,
      'no limit in money: the cost of 8 of 10 calls is known',
    ],
    [
      'a model has no price',
      calls('a', 5, SECOND, { costMicroUsd: 5 }),
      OPTIONS,
      'no limit in money: it would deny what no price list has, model `acme/fraud@3`',
    ],
    [
      'nothing cost anything',
      calls('a', 5, SECOND, { costMicroUsd: 0 }),
      PRICED,
      'no limit in money: the calls cost nothing',
    ],
  ])('proposes no money where %s, and says so', (_, given, options, note) => {
    const { file, notes } = suggestLimits(sorted(given), options);
    expect(file.limits?.map(({ id }) => id)).not.toContain('tenant-day-money');
    expect(file.prices).toBeUndefined();
    expect(notes).toContain(note);
  });

  test('counts calls at the same time from decision to outcome, and gives leases room for them', () => {
    // one begins each second and lasts ten; where one ends another begins
    const steady = calls('a', 30, SECOND).map(one => ({ ...one, endedAt: one.time + 10 * SECOND }));
    const { file, peaks } = suggestLimits(steady, OPTIONS);
    expect(file.limits?.find(({ id }) => id === 'principal-at-once')).toMatchObject({
      kind: 'concurrency',
      limit: 15,
      lease: '1m',
      key: ['principal'],
      match: { operations: ['generate'] },
    });
    expect(peaks.find(({ limit }) => limit === 'principal-at-once')).toMatchObject({ max: 10 });
    const long = steady.map(one => ({ ...one, endedAt: one.time + 3 * MINUTE }));
    expect(limitOf(long, 'principal-at-once')).toMatchObject({ lease: '10m', limit: 45 });
  });

  test('counts a call without an outcome for its lease, while nearly all have one', () => {
    const told = calls('a', 19, 2 * MINUTE).map(one => ({ ...one, endedAt: one.time + SECOND }));
    const { file, peaks, notes } = suggestLimits(sorted(told, [call('a', NOW + 500)]), OPTIONS);
    expect(file.limits?.map(({ id }) => id)).toContain('principal-at-once');
    expect(peaks.find(({ limit }) => limit === 'principal-at-once')).toMatchObject({ max: 2 });
    expect(notes).toContain('at once: 1 of 20 calls without an outcome count for their lease');
  });

  test.each([
    [
      'many calls have no outcome',
      undefined,
      'no limit of calls at the same time: 5 of 5 calls have no outcome',
    ],
    [
      'outcomes come hours later',
      3 * 60 * MINUTE,
      'no limit of calls at the same time: outcomes come 180 minutes after decisions',
    ],
  ])('proposes nothing about calls at the same time where %s, and says so', (_, ms, note) => {
    const given = calls('a', 5, SECOND).map(one => ({
      ...one,
      endedAt: ms === undefined ? undefined : one.time + ms,
    }));
    const { file, notes } = suggestLimits(given, OPTIONS);
    expect(file.limits?.map(({ id }) => id)).not.toContain('principal-at-once');
    expect(notes).toContain(note);
  });

  test('says what was measured, for all callers and by tier', () => {
    const { peaks } = suggestLimits(
      sorted(
        calls('a', 10, 1_000),
        calls('b', 20, 1_000, { tier: 'gold' }),
        calls('c', 5, 1_000, { tier: undefined }),
      ),
      OPTIONS,
    );
    expect(peaks.filter(({ limit }) => limit === 'principal-minute')).toEqual([
      { limit: 'principal-minute', tier: 'any', callers: 3, p50: 10, p95: 20, p99: 20, max: 20 },
      { limit: 'principal-minute', tier: 'standard', callers: 1, p50: 10, p95: 10, p99: 10, max: 10 },
      { limit: 'principal-minute', tier: 'gold', callers: 1, p50: 20, p95: 20, p99: 20, max: 20 },
      { limit: 'principal-minute', tier: 'none', callers: 1, p50: 5, p95: 5, p99: 5, max: 5 },
    ]);
  });

  test('writes a file that a bundle may hold, in the mode that was asked for', () => {
    const { file } = suggestLimits(calls('a', 30, 500, { model: MODEL }), { ...OPTIONS, mode: 'shadow' });
    const parsed = limitsFileSchema.parse(JSON.parse(JSON.stringify(file)));
    expect(parsed.limits.map(({ mode }) => mode)).toEqual(['shadow', 'shadow', 'shadow', 'shadow']);
  });
});

describe('tryLimits', () => {
  test('denies nothing of the calls that the limits came from, where every peak has headroom', () => {
    const all = sorted(calls('a', 50, 200), calls('b', 30, 700, { model: MODEL, tier: 'gold' }));
    const { file } = suggestLimits(all, { ...OPTIONS, percentile: 100 });
    expect(tryLimits(all, file)).toMatchObject({ calls: 80, denied: 0 });
  });

  test('counts the calls, limits and callers that would have been denied, shadows too', () => {
    const usual = Array.from({ length: 199 }, (_, at) => calls(`u${at}`, 10, 5_000));
    const all = sorted(...usual, calls('loop', 600, 50));
    for (const mode of ['enforce', 'shadow'] as const) {
      const { file } = suggestLimits(all, { ...OPTIONS, mode });
      const result = tryLimits(all, file);
      const minute = result.limits.find(({ name }) => name === 'platform/principal-minute');
      // two a second until 15 have passed, at the 141st call; from there on the minute denies too
      expect(minute).toEqual({ name: 'platform/principal-minute', denied: 459, callers: 1 });
      expect(result).toMatchObject({ calls: 2_590, denied: 585 });
    }
  });

  test('charges what was used and not what was reserved', () => {
    const file = {
      limits: [
        {
          id: 'day',
          kind: 'quota' as const,
          unit: 'tokens' as const,
          limit: 1_000,
          period: 'day' as const,
          key: [],
        },
      ],
    };
    expect(tryLimits(calls('a', 7, 1_000), file)).toMatchObject({ denied: 1 });
  });
});

describe('tryLimits', () => {
  const atOnce = (limit: number) => ({
    limits: [{ id: 'lanes', kind: 'concurrency' as const, limit, lease: '1m', key: ['principal' as const] }],
  });
  /** One call a second; each lasts ten of them. */
  const steady = calls('a', 30, SECOND).map(one => ({ ...one, endedAt: one.time + 10 * SECOND }));

  test('ends each call when its outcome came', () => {
    expect(tryLimits(steady, atOnce(10))).toMatchObject({ calls: 30, denied: 0 });
    expect(tryLimits(steady, atOnce(9)).denied).toBeGreaterThan(0);
  });

  test('lets a call without an outcome hold its lease to the end', () => {
    const silent = calls('a', 3, 40 * SECOND);
    expect(tryLimits(silent, atOnce(1)).denied).toBe(1);
    expect(tryLimits(silent, atOnce(2)).denied).toBe(0);
  });

  test('charges what calls cost', () => {
    const { prices } = suggestLimits(calls('a', 3, SECOND, { costMicroUsd: 200 }), PRICED).file;
    const limits = [
      { id: 'money', kind: 'quota' as const, unit: 'micro_usd' as const, limit: 600, period: 'day', key: [] },
    ];
    // 100 tokens in and 50 out are 200 micro-dollars: what is held is what is paid
    const given = calls('a', 4, SECOND, { costMicroUsd: 200 });
    expect(tryLimits(given, { limits, ...(prices === undefined ? {} : { prices }) }).denied).toBe(1);
  });
});
