/** Limits out of a log: what was measured, what follows from it, and what it would have denied. */
import { describe, expect, test } from 'vitest';
import { limitsFileSchema } from '../../../src/domain/limit-definition.ts';
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
};
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
