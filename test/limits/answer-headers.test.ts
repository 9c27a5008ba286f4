/**
 * Headers for clients: their forms are those of draft-ietf-httpapi-ratelimit-headers and RFC 9651, and they tell
 * nobody of what others use.
 */
import { describe, expect, test } from 'vitest';
import type { LimitRule, LimitStanding } from '../../src/domain/limit.ts';
import { AnswerHeaders, type StandingLimit } from '../../src/limits/answer-headers.ts';
import { problemOf, refusalOf, statusOf } from '../../src/limits/verdict.ts';

const BASE = {
  name: 'platform/burst',
  unit: 'requests',
  mode: 'enforce',
  limit: 120,
  source: 'base 120',
  scope: ['principal'],
  onStoreFailure: 'local',
  alertAtPercent: [],
} as const;
const WINDOW: LimitRule = { ...BASE, kind: 'window', windowMs: 60_000 };
const RATE: LimitRule = { ...BASE, kind: 'rate', periodMs: 500, burst: 20 };
const MONTH: LimitRule = { ...BASE, kind: 'quota', period: 'month', onExpiry: 'release', unit: 'micro_usd' };
const ROLLING: LimitRule = { ...MONTH, period: { rollingMs: 86_400_000 }, unit: 'tokens' };
const LEASES: LimitRule = { ...BASE, kind: 'concurrency', leaseMs: 30_000 };
const POOL: LimitRule = { ...LEASES, fair: { ownKey: 'k', guaranteed: 1, highWater: 2 } };

function standing(over: Partial<LimitStanding> = {}): LimitStanding {
  return {
    violated: false,
    used: 20,
    held: 0,
    remaining: 100,
    resetMs: 30_001,
    retryAfterMs: null,
    degraded: false,
    ...over,
  };
}

function limit(rule: LimitRule, over: Partial<LimitStanding> = {}, amount = 1): StandingLimit {
  return { charge: { rule, key: rule.name, amount, floor: 0 }, standing: standing(over) };
}

const violated = (retryAfterMs: number | null) => ({ violated: true, remaining: 0, retryAfterMs });

describe('headers', () => {
  test.each<[string, LimitRule, string]>([
    ['a window', WINDOW, '"platform/burst";q=120;w=60'],
    ['a period below a second', RATE, '"platform/burst";q=120'],
    ['a month', MONTH, '"platform/burst";q=120;duramen-unit="micro_usd"'],
    ['a rolling day', ROLLING, '"platform/burst";q=120;w=86400;duramen-unit="tokens"'],
    ['leases', LEASES, '"platform/burst";q=120;qu="concurrent-requests"'],
  ])('describe %s', (_name, rule, policy) => {
    expect(new AnswerHeaders().write([limit(rule)], undefined)['ratelimit-policy']).toBe(policy);
  });

  test('round waiting times up, and never let a client come back before it passes', () => {
    const limits = [
      limit(WINDOW, violated(4_001)),
      limit({ ...RATE, name: 'platform/rate' }, violated(9_000)),
    ];
    expect(new AnswerHeaders().write(limits, 9_000)).toMatchObject({
      'retry-after': '9',
      ratelimit: '"platform/burst";r=0;t=5, "platform/rate";r=0;t=9',
    });
    expect(new AnswerHeaders().write([limit(WINDOW)], undefined)['ratelimit']).toBe(
      '"platform/burst";r=100;t=31',
    );
  });

  test('of what can never pass have no time', () => {
    const headers = new AnswerHeaders().write([limit(WINDOW, violated(null))], null);
    expect(headers).toMatchObject({ ratelimit: '"platform/burst";r=0' });
    expect(headers).not.toHaveProperty('retry-after');
  });

  test('tell of the limits of others only when they denied, and never of shadows', () => {
    const shared: LimitRule = { ...MONTH, name: 'platform/money', scope: ['tenant'] };
    const shadow: LimitRule = { ...WINDOW, name: 'platform/trial', mode: 'shadow' };
    const headers = new AnswerHeaders();
    expect(headers.write([limit(shared), limit(shadow, violated(1))], undefined)).toEqual({});
    expect(headers.write([limit(shared, violated(1_000))], 1_000)['ratelimit']).toContain('platform/money');
  });

  test.each(['principal', 'key', 'address'])('tell of a limit that counts by %s', dimension => {
    const own: LimitRule = { ...WINDOW, scope: ['tenant', dimension] };
    expect(new AnswerHeaders().write([limit(own)], undefined)['x-ratelimit-limit']).toBe('120');
  });

  test('name the tightest limit in the old way: one that denied, else the one with the least share left', () => {
    const wide: LimitRule = { ...WINDOW, name: 'platform/wide', limit: 1_000 };
    const headers = new AnswerHeaders();
    const old = (limits: readonly StandingLimit[]) => headers.write(limits, undefined)['x-ratelimit-limit'];
    expect(old([limit(WINDOW, { remaining: 60 }), limit(wide, { remaining: 400 })])).toBe('1000');
    expect(old([limit(WINDOW, violated(1)), limit(wide, { remaining: 0 })])).toBe('120');
  });
});

describe('a refusal', () => {
  test.each<[LimitRule, string, number]>([
    [WINDOW, 'RATE_LIMITED', 429],
    [RATE, 'RATE_LIMITED', 429],
    [MONTH, 'BUDGET_EXHAUSTED', 429],
    [LEASES, 'CONCURRENCY_LIMITED', 429],
    [POOL, 'OVERLOADED', 503],
  ])('of %o is %s', (rule, code, status) => {
    const refusal = refusalOf([limit(rule, violated(1_000))]);
    expect([refusal.code, statusOf(refusal), problemOf(refusal).status]).toEqual([code, status, status]);
  });

  test('follows the limit that opens last, and names all that denied', () => {
    const budget: LimitRule = { ...MONTH, name: 'platform/money' };
    const limits = [limit(WINDOW, violated(5_000)), limit(budget, violated(90_000)), limit(LEASES)];
    expect(refusalOf(limits)).toMatchObject({
      code: 'BUDGET_EXHAUSTED',
      retryAfterMs: 90_000,
      violated: ['platform/burst', 'platform/money'],
    });
    expect(refusalOf([limit(WINDOW, violated(null), 500), limit(budget, violated(1))])).toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: null,
      message: 'the request needs 500 requests, and limit `platform/burst` never admits more than 120',
    });
  });

  test('is a bug where no enforced limit denied', () => {
    const shadow: LimitRule = { ...WINDOW, mode: 'shadow' };
    expect(() => refusalOf([limit(WINDOW), limit(shadow, violated(1))])).toThrow('without a limit');
  });
});
