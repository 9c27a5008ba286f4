/**
 * The contract of LimitStore, sentence by sentence (src/limits/ports.ts): admission and the four kinds. What becomes
 * of holds is in limit-store-holds.ts.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LimitCharge } from '../../src/domain/limit.ts';
import type { LimitStore } from '../../src/limits/ports.ts';
import {
  chargeTo,
  DAY,
  decisionId,
  HOUR,
  leaseRule,
  LimitCaller,
  MINUTE,
  NOON,
  quotaRule,
  rateRule,
  SECOND,
  windowRule,
} from './limit-scene.ts';
import { describeLimitHolds } from './limit-store-holds.ts';

export interface LimitStoreBackend {
  readonly name: string;
  /** A store that has counted nothing. `close` lets go of everything that it took. */
  open(): Promise<{ readonly store: LimitStore; close(): Promise<void> }>;
}

export function describeLimitStore(backend: LimitStoreBackend): void {
  describe(`LimitStore on ${backend.name}`, () => {
    let opened: Awaited<ReturnType<LimitStoreBackend['open']>>;
    let caller: LimitCaller;
    beforeEach(async () => {
      opened = await backend.open();
      caller = new LimitCaller(opened.store);
    });
    afterEach(() => opened.close());
    const scene = () => caller;

    describeAdmission(scene);
    describeWindows(scene);
    describeRates(scene);
    describeQuotas(scene);
    describeLeases(scene);
    describeLimitHolds(scene);
  });
}

type Scene = () => LimitCaller;

function describeAdmission(scene: Scene): void {
  test('all charges are taken, or none', async () => {
    const wide = chargeTo(windowRule({ name: 'platform/wide', limit: 100 }));
    const narrow = chargeTo(windowRule({ name: 'platform/narrow', limit: 3 }));
    expect(await scene().admitted(10, NOON, wide, narrow)).toBe(3);
    expect(await scene().numbers(NOON, wide)).toEqual([3, 0, 97]);
    expect(await scene().numbers(NOON, narrow)).toEqual([3, 0, 0]);
  });

  test('a standing is told for each charge, in their order, after the admission', async () => {
    const rules = [
      windowRule({ limit: 5 }),
      quotaRule({ name: 'platform/q' }),
      leaseRule({ name: 'platform/c' }),
    ];
    const { admitted, standings } = await scene().admit(NOON, ...rules.map(rule => chargeTo(rule)));
    expect(admitted).toBe(true);
    expect(standings.map(({ used, held, remaining }) => [used, held, remaining])).toEqual([
      [1, 0, 4],
      [1, 1, 999],
      [1, 1, 1],
    ]);
    expect(standings.every(({ violated, degraded }) => !violated && !degraded)).toBe(true);
  });

  test('a denial says which limits it is about, and when each would let it pass', async () => {
    const minute = chargeTo(windowRule({ name: 'platform/minute', limit: 1 }));
    const hour = chargeTo(windowRule({ name: 'platform/hour', limit: 1, windowMs: HOUR }));
    const day = chargeTo(windowRule({ name: 'platform/day', limit: 2, windowMs: DAY }));
    await scene().admit(NOON, minute, hour, day);
    const { admitted, standings } = await scene().admit(NOON + SECOND, minute, hour, day);
    expect(admitted).toBe(false);
    expect(standings.map(({ violated, retryAfterMs }) => [violated, retryAfterMs])).toEqual([
      [true, MINUTE - SECOND],
      [true, HOUR - SECOND],
      [false, null],
    ]);
  });

  test('a dry run looks and changes nothing', async () => {
    const one = chargeTo(windowRule({ limit: 1 }));
    for (let n = 0; n < 3; n++) expect((await scene().look(NOON, one)).admitted).toBe(true);
    expect((await scene().look(NOON, one)).journal).toBeUndefined();
    expect((await scene().admit(NOON, one)).admitted).toBe(true);
    expect((await scene().look(NOON, one)).admitted).toBe(false);
  });

  test('a decision that was admitted is not charged again', async () => {
    const one = chargeTo(windowRule({ limit: 2 }));
    const request = { decisionId: decisionId(99), now: NOON, holdMs: MINUTE, charges: [one] };
    for (let n = 0; n < 5; n++) expect((await scene().store.admit(request)).admitted).toBe(true);
    expect(await scene().numbers(NOON, one)).toEqual([1, 0, 1]);
  });

  test('a shadow counts, reports and never denies', async () => {
    const shadow = chargeTo(windowRule({ mode: 'shadow', limit: 2 }));
    const violated: (boolean | undefined)[] = [];
    for (let n = 0; n < 4; n++) {
      const { admitted, standings } = await scene().admit(NOON, shadow);
      expect(admitted).toBe(true);
      violated.push(standings[0]?.violated);
    }
    expect(violated).toEqual([false, false, true, true]);
    expect(await scene().numbers(NOON, shadow)).toEqual([2, 0, 0]);
  });

  test('an exhausted shadow does not keep enforced limits from counting', async () => {
    const shadow = chargeTo(windowRule({ name: 'platform/shadow', mode: 'shadow', limit: 1 }));
    const enforced = chargeTo(windowRule({ name: 'platform/enforced', limit: 5 }));
    expect(await scene().admitted(9, NOON, shadow, enforced)).toBe(5);
  });

  test('a shadow is not charged for a request that is denied', async () => {
    const shadow = chargeTo(windowRule({ name: 'platform/shadow', mode: 'shadow', limit: 10 }));
    const enforced = chargeTo(windowRule({ name: 'platform/enforced', limit: 2 }));
    await scene().admitted(9, NOON, shadow, enforced);
    expect(await scene().numbers(NOON, shadow)).toEqual([2, 0, 8]);
  });

  const kinds: readonly [string, LimitCharge][] = [
    ['window', chargeTo(windowRule({ limit: 2 }))],
    ['rate', chargeTo(rateRule({ burst: 2 }))],
    ['quota', chargeTo(quotaRule({ limit: 2, unit: 'requests' }))],
    ['concurrency', chargeTo(leaseRule({ limit: 2 }))],
  ];
  test.each(kinds)('a request of nothing is denied by an exhausted %s', async (_, one) => {
    const nothing = { ...one, amount: 0 };
    expect((await scene().admit(NOON, nothing)).admitted).toBe(true);
    expect(await scene().admitted(5, NOON, one)).toBe(2);
    expect((await scene().admit(NOON, nothing)).admitted).toBe(false);
  });

  test.each(kinds)('a %s of 0 admits nothing, ever', async (_, { rule }) => {
    const one = chargeTo({ ...rule, limit: 0 });
    const { admitted, standings } = await scene().admit(NOON, one);
    expect(admitted).toBe(false);
    expect(standings[0]).toMatchObject({ violated: true, used: 0, remaining: 0, retryAfterMs: null });
  });

  test.each(kinds)('what exceeds a %s by itself is never admitted', async (_, one) => {
    const { admitted, standings } = await scene().admit(NOON, { ...one, amount: 3 });
    expect(admitted).toBe(false);
    expect(standings[0]?.retryAfterMs).toBeNull();
    expect(await scene().admitted(5, NOON, one)).toBe(2);
  });

  test.each(kinds)('a number that changes keeps what a %s counted', async (_, one) => {
    await scene().admitted(2, NOON, one);
    const more = one.rule.kind === 'rate' ? { ...one.rule, burst: 5 } : { ...one.rule, limit: 5 };
    expect(await scene().admitted(9, NOON, { ...one, rule: more })).toBe(3);
    expect(await scene().admitted(9, NOON, one)).toBe(0);
  });

  test.each(kinds)('a clock that goes back frees nothing of a %s', async (_, one) => {
    expect(await scene().admitted(5, NOON, one)).toBe(2);
    expect(await scene().admitted(5, NOON - HOUR, one)).toBe(0);
    expect(await scene().admitted(5, NOON - 400 * DAY, one)).toBe(0);
  });

  test('keys that differ only in their separators are counted apart', async () => {
    const rule = windowRule({ limit: 1 });
    for (const key of [
      'a:b|c',
      'a|b:c',
      'a:b:c',
      'a',
      'a}',
      '{a}',
      '{a',
      ' ',
      'ä',
      'a\u0308',
      '\u0000',
      '\n',
    ]) {
      expect([key, (await scene().admit(NOON, chargeTo(rule, { key }))).admitted]).toEqual([key, true]);
    }
  });

  test('`reset` forgets what a key has counted, and no other', async () => {
    const one = chargeTo(windowRule({ name: 'platform/one', limit: 2 }));
    const other = chargeTo(windowRule({ name: 'platform/other', limit: 2 }));
    await scene().admitted(2, NOON, one, other);
    await scene().store.reset(one.key, NOON);
    await scene().store.reset('a key that nobody has', NOON);
    expect(await scene().numbers(NOON, one)).toEqual([0, 0, 2]);
    expect(await scene().numbers(NOON, other)).toEqual([2, 0, 0]);
  });
}

function describeWindows(scene: Scene): void {
  test('a window admits no more than its limit in any span of its length', async () => {
    const one = chargeTo(windowRule({ limit: 120 }));
    expect(await scene().admitted(200, NOON + 59_999, one)).toBe(120);
    expect(await scene().admitted(200, NOON + MINUTE, one)).toBe(0);
    expect(await scene().admitted(200, NOON + 2 * MINUTE - 2, one)).toBe(0);
    expect(await scene().admitted(200, NOON + 2 * MINUTE - 1, one)).toBe(120);
  });

  test('two windows are both kept, a burst and a minute', async () => {
    const minute = chargeTo(windowRule({ name: 'platform/minute', limit: 120 }));
    const burst = chargeTo(windowRule({ name: 'platform/burst', limit: 20, windowMs: SECOND }));
    expect(await scene().admitted(200, NOON, minute, burst)).toBe(20);
  });

  test('a window of more than 2^31 milliseconds is kept', async () => {
    const one = chargeTo(windowRule({ limit: 2, windowMs: 30 * DAY }));
    expect(await scene().admitted(6, NOON, one)).toBe(2);
    expect(await scene().admitted(6, NOON + 30 * DAY - 1, one)).toBe(0);
    expect(await scene().admitted(6, NOON + 30 * DAY, one)).toBe(2);
  });

  test('a window says when it is empty', async () => {
    const one = chargeTo(windowRule());
    expect((await scene().look(NOON, one)).standings[0]?.resetMs).toBe(0);
    await scene().admit(NOON, one);
    await scene().admit(NOON + 10 * SECOND, one);
    expect((await scene().look(NOON + 15 * SECOND, one)).standings[0]?.resetMs).toBe(55 * SECOND);
  });
}

function describeRates(scene: Scene): void {
  test('a rate admits its burst, and then as much as flows off', async () => {
    const one = chargeTo(rateRule({ limit: 60, burst: 5 }));
    expect(await scene().admitted(9, NOON, one)).toBe(5);
    expect(await scene().admitted(9, NOON + 999, one)).toBe(0);
    expect(await scene().admitted(9, NOON + 1_000, one)).toBe(1);
    expect(await scene().admitted(9, NOON + 3_500, one)).toBe(2);
    expect(await scene().admitted(9, NOON + HOUR, one)).toBe(5);
  });

  test('a rate that no millisecond divides loses nothing by rounding', async () => {
    const one = chargeTo(rateRule({ limit: 7, burst: 1, periodMs: SECOND }));
    let admitted = 0;
    for (let at = 0; at < 2 * SECOND; at++) admitted += await scene().admitted(1, NOON + at, one);
    expect(admitted).toBe(14);
  });

  test('a rate of large numbers over a long time is exact', async () => {
    const rule = rateRule({
      unit: 'micro_usd',
      limit: 999_999_999_999,
      burst: 1_000_000_000_000,
      periodMs: DAY,
    });
    const one = chargeTo(rule, { amount: 1_000_000_000_000 });
    expect((await scene().admit(NOON, one)).admitted).toBe(true);
    const [standing] = (await scene().admit(NOON + 1, one)).standings;
    expect(standing?.retryAfterMs).toBe(DAY);
    expect((await scene().look(NOON + DAY, one)).admitted).toBe(false);
    expect((await scene().look(NOON + DAY + 1, one)).admitted).toBe(true);
  });
}

function describeQuotas(scene: Scene): void {
  test.each([
    ['hour', NOON + 30 * MINUTE, NOON + HOUR],
    ['day', NOON, NOON + 12 * HOUR],
    ['week', NOON, NOON + 12 * HOUR],
    ['month', NOON, NOON + 36 * HOUR],
  ] as const)('a quota of a %s begins anew at its end in UTC', async (period, now, end) => {
    const one = chargeTo(quotaRule({ period, unit: 'requests', limit: 3 }));
    expect(await scene().admitted(5, now, one)).toBe(3);
    expect((await scene().admit(now, one)).standings[0]).toMatchObject({
      retryAfterMs: end - now,
      resetMs: end - now,
    });
    expect(await scene().admitted(5, end - 1, one)).toBe(0);
    expect(await scene().admitted(5, end, one)).toBe(3);
  });

  test('a rolling quota gives back what is older than its period', async () => {
    const one = chargeTo(quotaRule({ period: { rollingMs: 7 * DAY }, unit: 'requests', limit: 2 }));
    await scene().admit(NOON, one);
    await scene().admit(NOON + DAY, one);
    expect(await scene().admitted(2, NOON + 7 * DAY - 1, one)).toBe(0);
    expect(await scene().admitted(2, NOON + 7 * DAY, one)).toBe(1);
    expect(await scene().admitted(2, NOON + 8 * DAY, one)).toBe(1);
  });
}

function describeLeases(scene: Scene): void {
  test('leases end when they are settled or expire', async () => {
    const one = chargeTo(leaseRule());
    expect(await scene().admitted(5, NOON, one)).toBe(2);
    await scene().settle(decisionId(1), NOON + SECOND, 0);
    expect(await scene().admitted(5, NOON + SECOND, one)).toBe(1);
    expect(await scene().admitted(5, NOON + 5 * MINUTE - 1, one)).toBe(0);
    expect(await scene().admitted(5, NOON + 5 * MINUTE, one)).toBe(1);
  });

  test('a pool lends up to its high water, and keeps the rest for whom it is guaranteed', async () => {
    const share = (tenant: string, guaranteed: number) =>
      chargeTo(leaseRule({ limit: 10, fair: { ownKey: `pool of ${tenant}`, guaranteed, highWater: 6 } }), {
        key: 'pool',
      });
    expect(await scene().admitted(20, NOON, share('greedy', 2))).toBe(6);
    expect(await scene().admitted(20, NOON, share('late', 3))).toBe(3);
    expect(await scene().admitted(20, NOON, share('last', 3))).toBe(1);
    expect((await scene().admit(NOON, share('greedy', 2))).standings[0]).toMatchObject({
      violated: true,
      used: 10,
      remaining: 0,
      retryAfterMs: 5 * MINUTE,
    });
  });

  test('a tenant within its guarantee is admitted though the pool is above high water', async () => {
    const share = (tenant: string) =>
      chargeTo(leaseRule({ limit: 10, fair: { ownKey: `pool of ${tenant}`, guaranteed: 3, highWater: 5 } }), {
        key: 'pool',
      });
    expect(await scene().admitted(9, NOON, share('one'))).toBe(5);
    expect(await scene().admitted(9, NOON, share('two'))).toBe(3);
    await scene().settle(decisionId(1), NOON, 0);
    expect(await scene().admitted(9, NOON, share('one'))).toBe(0);
  });
}
