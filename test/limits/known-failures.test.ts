/**
 * Failures that limiters are known for, each as a test that this one does not have it. The names say where it was
 * reported: issues and sources of envoyproxy/ratelimit, BerriAI/litellm, animir/node-rate-limiter-flexible, unkeyed/unkey
 * and others, as they stood in 2026.
 */
import { describe, expect, test } from 'vitest';
import { NOTHING_USED, type UnitAmounts } from '../../src/domain/limit.ts';
import type { LimitResult } from '../../src/domain/limit-answer.ts';
import { LimitDesk, NO_GUARD } from '../../src/limits/desk.ts';
import { type GuardScene, guardScene } from './guards/guard-scene.ts';
import { FACTS, layerOf, NOW, plannerWith, WINDOW } from './charges/planning-world.ts';

const DAY = 86_400_000;
const TOKENS = {
  id: 'tokens',
  kind: 'quota',
  unit: 'tokens',
  limit: 1_000,
  period: 'day',
  key: ['principal'],
};
const SLOTS = { id: 'slots', kind: 'concurrency', limit: 2, lease: '60s', key: ['principal'] };

/** How many of so many requests are admitted. */
function admitted(scene: GuardScene, count: number, changes: Parameters<GuardScene['ask']>[0] = {}): number {
  let passed = 0;
  for (let one = 0; one < count; one++) if (scene.ask(changes) === 'ALLOW') passed += 1;
  return passed;
}

function limitOf(scene: GuardScene, name: string): LimitResult {
  const found = scene.answer({}, true)?.limits.find(limit => limit.name === `platform/${name}`);
  if (found === undefined) throw new Error(`limit ${name} is not in the answer`);
  return found;
}

function settle(scene: GuardScene, decisionId: string, used: Partial<UnitAmounts>, cancelled = false) {
  const actual = { ...NOTHING_USED, ...used };
  return scene.store.settle({ decisionId, now: scene.now, actual, atLeastFloor: cancelled });
}

describe('counting', () => {
  test('a denied request counts nowhere (envoy: every counter was incremented; unions of limiters burn the others)', () => {
    const scene = guardScene({
      limits: [
        { ...WINDOW, id: 'tight', limit: 1 },
        { ...WINDOW, id: 'wide', limit: 100, key: ['tenant'] },
      ],
    });
    expect(admitted(scene, 1_000)).toBe(1);
    expect(limitOf(scene, 'wide').used).toBe(1);
  });

  test('a shadow limit that is used up switches off no other (envoy: its cache of used-up keys did)', () => {
    const scene = guardScene({
      limits: [
        { ...WINDOW, id: 'shadow', mode: 'shadow', limit: 1 },
        { ...WINDOW, id: 'real', limit: 5 },
      ],
    });
    expect(admitted(scene, 100)).toBe(5);
  });

  test('no span holds more than the limit, wherever it begins (fixed windows: twice as much across a boundary)', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 120 }] });
    const times: number[] = [];
    for (let at = 0; at < 180_000; at += 250) {
      scene.now = NOW + 59_900 + at;
      if (scene.ask() === 'ALLOW') times.push(scene.now);
    }
    const most = Math.max(...times.map(end => times.filter(at => at <= end && at > end - 60_000).length));
    expect(most).toBe(120);
  });

  test('a burst is a second limit, not an addition (two limiters in one: 140 instead of 20 at one instant)', () => {
    const scene = guardScene({
      limits: [
        { ...WINDOW, id: 'minute', limit: 120 },
        { ...WINDOW, id: 'second', limit: 20, per: '1s' },
      ],
    });
    expect(admitted(scene, 500)).toBe(20);
  });

  test('a limit of thirty days holds for thirty days (timers overflow after 24.8: 6 of 6 passed a limit of 2)', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 2, per: '30d' }] });
    expect(admitted(scene, 6)).toBe(2);
    for (const day of [1, 24, 25, 29]) {
      scene.now = NOW + day * DAY;
      expect([day, admitted(scene, 6)]).toEqual([day, 0]);
    }
    scene.now = NOW + 30 * DAY;
    expect(admitted(scene, 6)).toBe(2);
  });

  test('a span below a second has its length (whole seconds lost it)', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 1, per: '100ms' }] });
    expect(admitted(scene, 5)).toBe(1);
    scene.now = NOW + 99;
    expect(admitted(scene, 5)).toBe(0);
    scene.now = NOW + 100;
    expect(admitted(scene, 5)).toBe(1);
  });

  test('values that look like separators are other keys (`a:b` + `c` and `a` + `b:c` were one)', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 1, key: ['tenant', 'operation'] }] });
    expect(scene.ask({ tenant: 'a:b', operation: 'c' })).toBe('ALLOW');
    expect(scene.ask({ tenant: 'a', operation: 'b:c' })).toBe('ALLOW');
    expect(scene.ask({ tenant: 'a:b', operation: 'c' })).toBe('RATE_LIMITED');
  });

  test('a clock that is set back frees nothing', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 3 }] });
    expect(admitted(scene, 5)).toBe(3);
    scene.now = NOW - DAY;
    expect(admitted(scene, 5)).toBe(0);
  });
});

describe('budgets', () => {
  test('requests that come at once do not all pass a budget for one (litellm 18730, 34732: checked before, counted after)', () => {
    const scene = guardScene({ limits: [TOKENS] });
    // 100 in and at most 200 out, each; none has ended yet
    expect(admitted(scene, 1_000)).toBe(3);
    expect(limitOf(scene, 'tokens')).toMatchObject({ used: 900, remaining: 100 });
  });

  test('what is reserved is not what is spent, and goes by itself (litellm 27639, 29493: phantom spend)', () => {
    const scene = guardScene({ limits: [{ ...TOKENS, onExpiry: 'release' }] });
    expect(admitted(scene, 3)).toBe(3);
    scene.now = NOW + 60_000;
    expect(limitOf(scene, 'tokens').used).toBe(0);
  });

  test('a call that was forgotten pays its input, not its worst case', () => {
    const scene = guardScene({ limits: [TOKENS] });
    scene.ask();
    scene.now = NOW + 60_000;
    expect(limitOf(scene, 'tokens').used).toBe(100);
  });

  test('worst cases need not fill a budget (litellm 38647: 429 for all while next to nothing was spent)', () => {
    const large = { inputTokens: 10, maxOutputTokens: 1_000 };
    const worst = guardScene({ limits: [TOKENS] });
    expect(admitted(worst, 50, { ...large, maxOutputTokens: 900 })).toBe(1);
    const capped = guardScene({ limits: [{ ...TOKENS, estimate: { policy: 'capped', at: 10 } }] });
    expect(admitted(capped, 100, large)).toBe(50);
  });

  test('a guess that is larger than the limit denies nobody (litellm 29191: the first request was always denied)', () => {
    const small = { ...TOKENS, limit: 500, estimate: { policy: 'expected', initial: 1_024 } };
    const scene = guardScene({ limits: [small] });
    expect(scene.ask({ inputTokens: undefined, maxOutputTokens: undefined })).toBe('ALLOW');
    expect(scene.ask({ inputTokens: undefined, maxOutputTokens: undefined })).toBe('BUDGET_EXHAUSTED');
  });

  test('a request that costs nothing is denied when nothing is left (litellm 35422: 1560 of 1000 were served)', () => {
    const scene = guardScene({ limits: [{ ...TOKENS, limit: 300 }] });
    expect(scene.ask()).toBe('ALLOW');
    expect(scene.ask({ inputTokens: 0, maxOutputTokens: 0 })).toBe('BUDGET_EXHAUSTED');
  });

  test('who hangs up before the first token pays the input (litellm: aborts were free)', () => {
    const scene = guardScene({ limits: [TOKENS] });
    scene.ask();
    settle(scene, scene.last, {}, true);
    expect(limitOf(scene, 'tokens').used).toBe(100);
  });

  test('settling twice changes nothing, and what is over the limit is remembered', () => {
    const scene = guardScene({ limits: [TOKENS] });
    scene.ask();
    const first = settle(scene, scene.last, { tokens: 1_500 });
    expect(first).toMatchObject({ state: 'settled', charges: [{ charged: 1_500, overdraft: 500 }] });
    expect(settle(scene, scene.last, { tokens: 1 })).toMatchObject({ state: 'repeated' });
    expect(limitOf(scene, 'tokens')).toMatchObject({ used: 1_500, remaining: 0 });
    expect(scene.ask()).toBe('BUDGET_EXHAUSTED');
  });

  test('a price that no binary fraction holds adds up exactly (money was counted in floats)', () => {
    const prices = { version: '1', default: { perRequest: 100_000 } };
    const money = { id: 'usd', kind: 'quota', unit: 'micro_usd', limit: 1_000_000, period: 'day', key: [] };
    const scene = guardScene({ limits: [money], prices });
    expect(admitted(scene, 100)).toBe(10);
    expect(limitOf(scene, 'usd')).toMatchObject({ used: 1_000_000, remaining: 0 });
  });

  test('a model without a price is denied under a limit in money, not free', () => {
    const money = { id: 'usd', kind: 'quota', unit: 'micro_usd', limit: 1_000_000, period: 'day', key: [] };
    const scene = guardScene({
      limits: [money],
      prices: { version: '1', models: [{ model: 'acme/other' }] },
    });
    expect(scene.ask()).toBe('BUDGET_EXHAUSTED');
  });
});

describe('running calls', () => {
  test('a slot that was lost comes back by itself (litellm 20256: a key was locked until a restart)', () => {
    const scene = guardScene({ limits: [SLOTS] });
    expect(admitted(scene, 5)).toBe(2);
    scene.now = NOW + 59_999;
    expect(admitted(scene, 5)).toBe(0);
    scene.now = NOW + 60_000;
    expect(admitted(scene, 5)).toBe(2);
  });

  test('a slot is given back once, by the call that has it (litellm 28160, 27955: counters below zero)', () => {
    const scene = guardScene({ limits: [SLOTS] });
    scene.ask();
    const { last } = scene;
    for (let one = 0; one < 10; one++) settle(scene, last, {});
    settle(scene, 'never-was', {});
    expect(limitOf(scene, 'slots').used).toBe(0);
    expect(admitted(scene, 10)).toBe(2);
  });

  test('a call that runs is counted over every boundary of time (litellm 32441: a new minute forgot it)', () => {
    const scene = guardScene({ limits: [{ ...SLOTS, lease: '3600s' }] });
    expect(admitted(scene, 2)).toBe(2);
    for (const minute of [1, 2, 59]) {
      scene.now = NOW + minute * 60_000;
      expect([minute, admitted(scene, 3)]).toEqual([minute, 0]);
    }
  });
});

describe('when counting fails', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('the counters are gone');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the counters are gone'))],
  ])(
    'a store that %s admits nobody (unkey: the request went on, and a line was logged)',
    async (_, admit) => {
      const layer = layerOf('platform', { limits: [WINDOW] });
      const { store } = guardScene({ limits: [] });
      const failing = { ...storeOf(store), admit };
      const desk = new LimitDesk({ store: failing, planning: plannerWith(), guard: NO_GUARD, holdMs: 1_000 });
      const question = { decisionId: 'd', now: NOW, facts: FACTS, layers: [layer], dryRun: false };
      await expect((async () => desk.admit(question))()).rejects.toThrow('the counters are gone');
    },
  );

  test('a store that admits what it says is violated is not believed', () => {
    const layer = layerOf('platform', { limits: [{ ...WINDOW, limit: 0 }] });
    const { store } = guardScene({ limits: [] });
    const lying: typeof store.admit = request => ({ ...store.admit(request), admitted: true });
    const desk = new LimitDesk({
      store: { ...storeOf(store), admit: lying },
      planning: plannerWith(),
      guard: NO_GUARD,
      holdMs: 1_000,
    });
    const question = { decisionId: 'd', now: NOW, facts: FACTS, layers: [layer], dryRun: false };
    expect(() => desk.admit(question)).toThrow('is violated and was admitted');
  });
});

/** A store whose methods can be replaced one by one. */
function storeOf(store: GuardScene['store']) {
  return {
    admit: store.admit.bind(store),
    settle: store.settle.bind(store),
    extend: store.extend.bind(store),
    reset: store.reset.bind(store),
    close: () => store.close(),
  };
}

describe('retries', () => {
  test('a request that can never pass is told so, instead of to try again for ever', () => {
    const scene = guardScene({ limits: [{ ...TOKENS, limit: 50 }] });
    const answer = scene.answer();
    expect(answer?.refusal).toMatchObject({ code: 'BUDGET_EXHAUSTED', retryAfterMs: null });
    expect(answer?.members.headers).not.toHaveProperty('retry-after');
    expect(answer?.members.problem?.status).toBe(403);
  });

  test('who waits as long as was said passes, and who waits less does not', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 3, per: '1s' }] });
    for (const at of [0, 300, 600]) {
      scene.now = NOW + at;
      scene.ask();
    }
    const wait = scene.answer()?.refusal?.retryAfterMs ?? Number.NaN;
    scene.now = NOW + 600 + wait - 1;
    expect(scene.ask()).toBe('RATE_LIMITED');
    scene.now = NOW + 600 + wait;
    expect(scene.ask()).toBe('ALLOW');
  });

  test('asking again while blocked makes no block longer (jails that grow with every knock)', () => {
    const penalties = { principal: { violations: 3, within: '60s', block: '60s' } };
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 1 }], penalties });
    for (let at = 0; at < 60_000; at += 50) {
      scene.now = NOW + at;
      scene.ask();
    }
    const [block, ...more] = scene.blocks;
    expect([block?.since, block?.until, more]).toEqual([NOW + 150, NOW + 60_150, []]);
    scene.now = NOW + 60_150;
    expect(scene.ask()).toBe('ALLOW');
  });
});
