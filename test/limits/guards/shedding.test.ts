/** Shedding: in the declared order, with hysteresis, and never on the word of a report that expired. */
import { describe, expect, test } from 'vitest';
import { type SheddingRules, sheddingRulesSchema } from '../../../src/domain/guard-rules.ts';
import type { Load } from '../../../src/limits/guards/load-board.ts';
import { LoadShedder, loadPercent } from '../../../src/limits/guards/shedding.ts';

const MODEL = 'AI::Model::"acme/support-llm"';
const GROUP = 'AI::ModelGroup::"acme/shared-llms"';
const STEPS = [
  { enterPercent: 85, leavePercent: 75, tiers: ['free'], operations: ['batch'] },
  { enterPercent: 95, leavePercent: 85, tiers: ['pro'] },
];
const ABRUPT = sheddingRulesSchema.parse({ smooth: '0s', hold: '0s', retryAfter: '7s', steps: STEPS });

function load(gpuPercent: number | null, expiresAt = 10_000, changes: Partial<Load> = {}): Load {
  const told = { gpuPercent, kvCachePercent: null, queueDepth: null, queues: 0 };
  return { subject: MODEL, sources: 1, observedAt: 0, expiresAt, ...told, ...changes };
}

function shedder(rules: SheddingRules | undefined = ABRUPT): LoadShedder {
  return new LoadShedder(() => rules);
}

function isShed(one: LoadShedder, tier: string | undefined, now: number, operation = 'generate'): boolean {
  return one.shed({ model: MODEL, ancestors: undefined, tier, operation }, now) !== undefined;
}

describe('who is turned away', () => {
  test.each([
    [84, []],
    [85, ['free', 'batch']],
    [94, ['free', 'batch']],
    [95, ['free', 'batch', 'pro']],
    [100, ['free', 'batch', 'pro']],
  ])('at a load of %i: %j, and never who is in no step', (percent, turnedAway) => {
    const one = shedder();
    one.observe(load(percent), 0);
    const turned = [
      ...['free', 'pro', 'enterprise', undefined].filter(tier => isShed(one, tier, 0)),
      ...(isShed(one, 'enterprise', 0, 'batch') ? ['batch'] : []),
    ];
    expect(new Set(turned)).toEqual(new Set(turnedAway));
  });

  test('is told which model, the load and when to try again', () => {
    const one = shedder();
    one.observe(load(90, 10_000, { subject: GROUP }), 0);
    const facts = { model: MODEL, ancestors: new Set(['x', GROUP]), tier: 'free', operation: 'generate' };
    expect(one.shed(facts, 0)).toEqual({ subject: GROUP, step: 1, loadPercent: 90, retryAfterMs: 7_000 });
    expect(one.shed({ ...facts, ancestors: undefined }, 0)).toBeUndefined();
    expect(one.shed({ ...facts, model: undefined }, 0), 'for no model').toBeUndefined();
  });

  test('is nobody without rules, and nobody any more when they are taken away', () => {
    let rules: SheddingRules | undefined;
    const one = new LoadShedder(() => rules);
    expect(one.observe(load(100), 0)).toBeUndefined();
    rules = ABRUPT;
    expect(isShed(one, 'free', 0)).toBe(false);
    one.observe(load(100), 1);
    expect(isShed(one, 'free', 1)).toBe(true);
    rules = undefined;
    expect(isShed(one, 'free', 1)).toBe(false);
  });
});

describe('hysteresis', () => {
  test('keeps a step until the load is below where it ends, not where it began', () => {
    const one = shedder();
    const steps = [90, 80, 75, 74, 84, 96, 86, 84, 10].map((percent, now) => {
      one.observe(load(percent), now);
      return one.standing(MODEL, now)?.step;
    });
    expect(steps).toEqual([1, 1, 1, 0, 0, 2, 2, 1, 0]);
  });

  test('reports a change once, with where it came from', () => {
    const one = shedder();
    expect(one.observe(load(96), 5)).toEqual({
      subject: MODEL,
      from: 0,
      to: 2,
      loadPercent: 96,
      at: 5,
      expired: false,
    });
    expect(one.observe(load(97), 6)).toBeUndefined();
    expect(one.observe(load(80), 7)).toMatchObject({ from: 2, to: 1 });
  });

  test('holds a step for its time, however fast the load goes; up it goes at once', () => {
    const one = shedder({ ...ABRUPT, hold: 1_000 });
    one.observe(load(85), 0);
    expect(one.observe(load(95), 1)).toMatchObject({ from: 1, to: 2 });
    expect(one.observe(load(0), 1_000)).toBeUndefined();
    expect(one.observe(load(0), 1_001)).toMatchObject({ from: 2, to: 0 });
  });

  test('smooths: one report of a peak moves nothing, a load that stays does', () => {
    const one = shedder({ ...ABRUPT, smooth: 5_000 });
    one.observe(load(50), 0);
    expect(one.observe(load(100), 1_000)).toBeUndefined();
    expect(one.standing(MODEL, 1_000)?.loadPercent).toBe(59);
    let now = 1_000;
    while (one.standing(MODEL, now)?.step === 0 && now < 9_000)
      one.observe(load(100, 20_000), (now += 1_000));
    expect(now).toBe(7_000);
  });

  test('follows the load alike, whether it is reported often or seldom', () => {
    const rules = { ...ABRUPT, smooth: 5_000 };
    const [often, seldom] = [shedder(rules), shedder(rules)];
    for (const one of [often, seldom]) one.observe(load(20), 0);
    for (let now = 100; now <= 5_000; now += 100) often.observe(load(80), now);
    seldom.observe(load(80), 5_000);
    expect(often.standing(MODEL, 5_000)).toEqual(seldom.standing(MODEL, 5_000));
    expect(often.standing(MODEL, 5_000)?.loadPercent, 'two thirds of the way').toBe(58);
  });
});

describe('a load that is no longer reported', () => {
  test('turns nobody away, to the millisecond', () => {
    const one = shedder();
    one.observe(load(100, 10_000), 0);
    expect(isShed(one, 'free', 9_999)).toBe(true);
    expect(isShed(one, 'free', 10_000)).toBe(false);
    expect(one.standing(MODEL, 10_000)).toBeUndefined();
  });

  test('ends its step once, as expired', () => {
    const one = shedder();
    one.observe(load(100, 10_000), 0);
    one.observe(load(10, 10_000, { subject: GROUP }), 0);
    expect(one.expire(9_999)).toEqual([]);
    expect(one.expire(10_000)).toEqual([
      { subject: MODEL, from: 2, to: 0, loadPercent: 100, at: 10_000, expired: true },
    ]);
    expect(one.expire(10_001)).toEqual([]);
  });

  test('is not mixed with the first report after it', () => {
    const one = shedder({ ...ABRUPT, smooth: 5_000, hold: 60_000 });
    one.observe(load(100, 1_000), 0);
    expect(one.observe(load(20, 3_000), 2_000)).toMatchObject({ from: 2, to: 0, loadPercent: 20 });
  });
});

test.each([
  ['the processors', { gpuPercent: 70, kvCachePercent: 60, queueDepth: 32, queues: 1 }, 70],
  ['the cache', { gpuPercent: 70, kvCachePercent: 71, queueDepth: 32, queues: 1 }, 71],
  ['the queue of a replica', { gpuPercent: 10, kvCachePercent: 0, queueDepth: 60, queues: 1 }, 94],
  ['the queues of two replicas', { gpuPercent: 10, kvCachePercent: 0, queueDepth: 60, queues: 2 }, 47],
  ['a queue that is over-full', { gpuPercent: null, kvCachePercent: null, queueDepth: 900, queues: 1 }, 100],
  ['nothing', { gpuPercent: null, kvCachePercent: null, queueDepth: null, queues: 0 }, 0],
])('the load is the worst of all: %s', (_, told, percent) => {
  expect(loadPercent({ ...load(0), ...told }, { queueFull: 64 })).toBe(percent);
});

describe('rules', () => {
  test.each([
    ['leave where they begin', [{ enterPercent: 80, leavePercent: 80, tiers: ['free'] }]],
    ['turn nobody away', [{ enterPercent: 80, leavePercent: 70 }]],
    ['begin in another order', [STEPS[1], STEPS[0]]],
    ['end in another order', [STEPS[0], { enterPercent: 90, leavePercent: 70, tiers: ['pro'] }]],
    ['have no steps', []],
  ])('are refused when they %s', (_, steps) => {
    expect(sheddingRulesSchema.safeParse({ steps }).success).toBe(false);
  });
});
