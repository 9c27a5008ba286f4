/** The contract of LimitStore, sentence by sentence: what is reserved, and what becomes of it. */
import { describe, expect, test } from 'vitest';
import { EXPIRY_MODES } from '../../src/domain/limit.ts';
import {
  chargeTo,
  DAY,
  HOLD_MS,
  HOUR,
  leaseRule,
  type LimitCaller,
  MINUTE,
  NOON,
  quotaRule,
  rateRule,
  SECOND,
  windowRule,
} from './limit-scene.ts';

type Scene = () => LimitCaller;

export function describeLimitHolds(scene: Scene): void {
  describe('holds', () => {
    describeSettlement(scene);
    describeExpiry(scene);
    describeExtension(scene);
  });
}

/** Charges of 400 tokens, of which 100 are input. */
const FOUR_HUNDRED = { amount: 400, floor: 100 };
const KINDS = [
  ['window', chargeTo(windowRule({ unit: 'tokens', limit: 1_000 }), FOUR_HUNDRED)],
  ['rate', chargeTo(rateRule({ unit: 'tokens', limit: 1, periodMs: DAY, burst: 1_000 }), FOUR_HUNDRED)],
  ['quota', chargeTo(quotaRule(), FOUR_HUNDRED)],
  ['rolling quota', chargeTo(quotaRule({ period: { rollingMs: DAY } }), FOUR_HUNDRED)],
] as const;

function describeSettlement(scene: Scene): void {
  test('a quota tells what is held apart from what is committed', async () => {
    const one = chargeTo(quotaRule(), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    expect(await scene().numbers(NOON, one)).toEqual([400, 400, 600]);
    await scene().settle(scene().lastId, NOON, 250);
    expect(await scene().numbers(NOON, one)).toEqual([250, 0, 750]);
  });

  test.each(KINDS)('what a call did not use goes back to a %s', async (_, one) => {
    await scene().admit(NOON, one);
    await scene().admit(NOON + 1, one);
    expect((await scene().admit(NOON + 2, one)).admitted).toBe(false);
    const result = await scene().settle(scene().lastId, NOON + 2, 0);
    expect(result).toEqual({ state: 'unknown', charges: [], journal: undefined });
    const settled = await scene().store.settle({
      decisionId: '01922b4e-0000-7000-8000-000000000001',
      now: NOON + 3,
      actual: { requests: 1, input_tokens: 9, output_tokens: 9, tokens: 150, compute_ms: 9, micro_usd: 9 },
      atLeastFloor: false,
    });
    expect(settled.state).toBe('settled');
    expect(settled.charges).toEqual([{ name: one.rule.name, reserved: 400, charged: 150, overdraft: 0 }]);
    expect((await scene().numbers(NOON + 3, one))[0]).toBe(550);
  });

  test.each(KINDS)('what a call used beyond its estimate is charged to a %s, without end', async (_, one) => {
    await scene().admit(NOON, one);
    const result = await scene().settle(scene().lastId, NOON + 1, 5_000);
    expect(result.charges[0]).toMatchObject({ reserved: 400, charged: 5_000, overdraft: 4_000 });
    const [used, held, remaining] = await scene().numbers(NOON + 1, one);
    expect([used, held, remaining]).toEqual([5_000, 0, 0]);
    expect((await scene().admit(NOON + 1, one)).admitted).toBe(false);
  });

  test.each(KINDS)('a cancelled call pays at least its input to a %s', async (_, one) => {
    await scene().admit(NOON, one);
    const result = await scene().settle(scene().lastId, NOON, 0, true);
    expect(result.charges[0]).toMatchObject({ charged: 100 });
    expect((await scene().numbers(NOON, one))[0]).toBe(100);
  });

  test.each(KINDS)('settling a %s twice changes nothing', async (_, one) => {
    await scene().admit(NOON, one);
    await scene().settle(scene().lastId, NOON, 300);
    const again = await scene().settle(scene().lastId, NOON, 5);
    expect(again).toEqual({ state: 'repeated', charges: [], journal: undefined });
    expect((await scene().numbers(NOON, one))[0]).toBe(300);
  });

  test('each limit takes its own unit, requests stay charged and leases end', async () => {
    const rules = [
      windowRule({ name: 'platform/requests' }),
      windowRule({ name: 'platform/input', unit: 'input_tokens', limit: 1_000 }),
      quotaRule({ name: 'platform/money', unit: 'micro_usd' }),
      quotaRule({ name: 'platform/calls', unit: 'requests', limit: 10 }),
      leaseRule({ name: 'platform/leases' }),
    ];
    const charges = rules.map(rule =>
      chargeTo(rule, {
        amount: rule.unit === 'requests' ? 1 : 500,
        floor: rule.unit === 'requests' ? 1 : 50,
      }),
    );
    await scene().admit(NOON, ...charges);
    const { charges: settled } = await scene().store.settle({
      decisionId: scene().lastId,
      now: NOON,
      actual: { requests: 0, input_tokens: 70, output_tokens: 1, tokens: 71, compute_ms: 2, micro_usd: 90 },
      atLeastFloor: false,
    });
    expect(settled.map(({ name, charged }) => [name, charged])).toEqual([
      ['platform/input', 70],
      ['platform/money', 90],
    ]);
    const { standings } = await scene().look(NOON, ...charges);
    expect(standings.map(({ used }) => used)).toEqual([1, 70, 90, 1, 0]);
  });

  test('a decision that was never admitted is unknown', async () => {
    expect((await scene().settle('01922b4e-0000-7000-8000-0000000000ff', NOON, 1)).state).toBe('unknown');
    const one = chargeTo(windowRule({ unit: 'tokens', limit: 5 }), FOUR_HUNDRED);
    expect((await scene().admit(NOON, one)).admitted).toBe(false);
    expect((await scene().settle(scene().lastId, NOON, 1)).state).toBe('unknown');
  });

  test('a window that has gone on has nothing to give back', async () => {
    const one = chargeTo(windowRule({ unit: 'tokens', limit: 1_000 }), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    const first = scene().lastId;
    await scene().admit(NOON + MINUTE, one);
    await scene().settle(first, NOON + MINUTE, 0);
    expect((await scene().numbers(NOON + MINUTE, one))[0]).toBe(400);
  });

  test('a rate that has flowed off has nothing to give back', async () => {
    const one = chargeTo(
      rateRule({ unit: 'tokens', limit: 400, periodMs: MINUTE, burst: 400 }),
      FOUR_HUNDRED,
    );
    await scene().admit(NOON, one);
    const first = scene().lastId;
    await scene().admit(NOON + MINUTE, one);
    await scene().settle(first, NOON + MINUTE, 0);
    expect((await scene().admit(NOON + MINUTE, one)).admitted).toBe(false);
  });

  test('holds of a key that was reset change nothing when they are settled', async () => {
    const one = chargeTo(quotaRule(), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    const first = scene().lastId;
    await scene().store.reset(one.key, NOON);
    await scene().admit(NOON, one);
    const { state, charges } = await scene().settle(first, NOON, 0);
    expect([state, charges]).toEqual(['settled', []]);
    expect(await scene().numbers(NOON, one)).toEqual([400, 400, 600]);
  });
}

function describeExpiry(scene: Scene): void {
  const left = { charge_estimate: 400, charge_input: 100, release: 0 };
  test.each(EXPIRY_MODES)('a hold that nobody settles ends as the limit says: %s', async onExpiry => {
    const one = chargeTo(quotaRule({ onExpiry }), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    expect(await scene().numbers(NOON + HOLD_MS - 1, one)).toEqual([400, 400, 600]);
    expect(await scene().numbers(NOON + HOLD_MS, one)).toEqual([left[onExpiry], 0, 1_000 - left[onExpiry]]);
  });

  test.each(EXPIRY_MODES)('a settlement after %s charges the difference', async onExpiry => {
    const one = chargeTo(quotaRule({ onExpiry }), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    const { state, charges } = await scene().settle(scene().lastId, NOON + HOLD_MS + MINUTE, 250);
    expect([state, charges[0]?.charged]).toEqual(['settled', 250]);
    expect(await scene().numbers(NOON + HOLD_MS + MINUTE, one)).toEqual([250, 0, 750]);
  });

  test('what was charged in a period that is over frees nothing in the next one', async () => {
    const one = chargeTo(quotaRule({ period: 'hour', onExpiry: 'charge_estimate' }), FOUR_HUNDRED);
    await scene().admit(NOON + 30 * MINUTE, one);
    const first = scene().lastId;
    await scene().admit(NOON + HOUR, one);
    const second = scene().lastId;
    await scene().settle(second, NOON + HOUR, 400);
    await scene().settle(first, NOON + HOUR + MINUTE, 0);
    expect(await scene().numbers(NOON + HOUR + MINUTE, one)).toEqual([400, 0, 600]);
  });

  test('what is held at the end of a period is held in the next one', async () => {
    const one = chargeTo(quotaRule({ period: 'hour' }), FOUR_HUNDRED);
    await scene().admit(NOON + 55 * MINUTE, one);
    expect(await scene().numbers(NOON + HOUR, one)).toEqual([400, 400, 600]);
    await scene().settle(scene().lastId, NOON + HOUR, 300);
    expect(await scene().numbers(NOON + HOUR, one)).toEqual([300, 0, 700]);
  });

  test('a denial tells the end of the hold that makes room', async () => {
    const one = chargeTo(quotaRule({ onExpiry: 'release' }), { amount: 600 });
    await scene().admit(NOON, one);
    const [standing] = (await scene().admit(NOON + MINUTE, one)).standings;
    expect(standing?.retryAfterMs).toBe(HOLD_MS - MINUTE);
    expect((await scene().look(NOON + HOLD_MS - 1, one)).admitted).toBe(false);
    expect((await scene().look(NOON + HOLD_MS, one)).admitted).toBe(true);
  });
}

function describeExtension(scene: Scene): void {
  test('an extension lets holds and leases last from now on', async () => {
    const quota = chargeTo(quotaRule({ onExpiry: 'release' }), FOUR_HUNDRED);
    const lease = chargeTo(leaseRule({ name: 'platform/leases' }));
    await scene().admit(NOON, quota, lease);
    const now = NOON + 4 * MINUTE;
    const extended = await scene().store.extend(scene().lastId, now, HOUR);
    expect([extended.state, extended.expiresAt]).toEqual(['extended', now + HOUR]);
    expect(await scene().numbers(now + HOUR - 1, quota)).toEqual([400, 400, 600]);
    expect(await scene().numbers(now + HOUR - 1, lease)).toEqual([1, 1, 1]);
    expect(await scene().numbers(now + HOUR, quota)).toEqual([0, 0, 1_000]);
    expect(await scene().numbers(now + HOUR, lease)).toEqual([0, 0, 2]);
  });

  test('nothing is extended that was settled, has expired, or never was', async () => {
    const { store } = scene();
    const one = chargeTo(quotaRule(), FOUR_HUNDRED);
    await scene().admit(NOON, one);
    const expired = scene().lastId;
    await scene().admit(NOON + SECOND, one);
    const settled = scene().lastId;
    await scene().settle(settled, NOON + SECOND, 1);
    expect((await store.extend(settled, NOON + SECOND, HOUR)).state).toBe('settled');
    expect((await store.extend(expired, NOON + HOLD_MS, HOUR)).state).toBe('unknown');
    expect((await store.extend('01922b4e-0000-7000-8000-0000000000ff', NOON, HOUR)).state).toBe('unknown');
    expect((await scene().numbers(NOON + HOLD_MS, one))[0]).toBe(101);
  });

  test('an extension does not bring back a lease that has ended', async () => {
    const quota = chargeTo(quotaRule(), FOUR_HUNDRED);
    const lease = chargeTo(leaseRule({ name: 'platform/leases' }));
    await scene().admit(NOON, quota, lease);
    expect((await scene().store.extend(scene().lastId, NOON + 6 * MINUTE, HOUR)).state).toBe('extended');
    expect(await scene().numbers(NOON + 6 * MINUTE, lease)).toEqual([0, 0, 2]);
  });
}
