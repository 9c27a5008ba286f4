/** Fair shares: what is guaranteed never exceeds the pool, and whoever asks has a share. */
import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import {
  ACTIVE_MS,
  ActiveTenants,
  fairShare,
  MAX_ACTIVE_POOLS,
  MAX_ACTIVE_TENANTS,
} from '../../../src/limits/charges/fair-shares.ts';

const POOL = 'pool';
const WEIGHTED = { weights: { acme: 3, globex: 1 }, others: 1, highWaterPercent: 80 };

function guaranteed(tenant: string, limit = 100, activity = new ActiveTenants(), now = 0): number {
  return fairShare(WEIGHTED, { limit, pool: POOL, tenant }, activity, now).guaranteed;
}

describe('a share', () => {
  test.each([
    ['acme', 100, 60],
    ['globex', 100, 20],
    ['initech', 100, 20],
    ['acme', 7, 4],
    ['globex', 4, 0],
    ['acme', 0, 0],
  ])('of %s in a pool of %i is %i', (tenant, limit, share) => expect(guaranteed(tenant, limit)).toBe(share));

  test('comes with a key of its own and the high water of the pool', () => {
    const share = fairShare(WEIGHTED, { limit: 7, pool: POOL, tenant: 'acme' }, new ActiveTenants(), 0);
    expect(share).toEqual({ ownKey: '4:poolacme', guaranteed: 4, highWater: 5 });
  });

  test('is never that of another pool or tenant', () => {
    const keyOf = (pool: string, tenant: string): string =>
      fairShare(WEIGHTED, { limit: 1, pool, tenant }, new ActiveTenants(), 0).ownKey;
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (pool, tenant, pool2, tenant2) => {
        expect(keyOf(pool, tenant) === keyOf(pool2, tenant2)).toBe(pool === pool2 && tenant === tenant2);
      }),
    );
    expect(keyOf('ab', 'c')).not.toBe(keyOf('a', 'bc'));
  });

  test('is not that of the prototype of a record', () => {
    expect(guaranteed('constructor')).toBe(20);
    expect(guaranteed('__proto__')).toBe(20);
  });
});

describe('tenants without a weight of their own', () => {
  test('divide their part among those that asked lately', () => {
    const activity = new ActiveTenants();
    const shares = ['initech', 'hooli', 'umbrella', 'initech'].map(one => guaranteed(one, 100, activity));
    expect(shares).toEqual([20, 10, 6, 6]);
    expect(guaranteed('initech', 100, activity, ACTIVE_MS), 'the others were quiet').toBe(20);
  });

  test('do not take from those that have one', () => {
    const activity = new ActiveTenants();
    for (let one = 0; one < 50; one++) guaranteed(`tenant-${one}`, 100, activity);
    expect(guaranteed('acme', 100, activity)).toBe(60);
  });

  test('have no part where all others weigh nothing', () => {
    const share = fairShare(
      { weights: { acme: 1 }, others: 0, highWaterPercent: 100 },
      { limit: 10, pool: POOL, tenant: 'initech' },
      new ActiveTenants(),
      0,
    );
    expect(share.guaranteed).toBe(0);
  });

  test('are counted in each pool apart, and in bounded memory', () => {
    const activity = new ActiveTenants();
    for (let one = 0; one < MAX_ACTIVE_TENANTS + 10; one++) activity.asked(POOL, `tenant-${one}`, 0);
    expect(activity.asked(POOL, 'one more', 0)).toBe(MAX_ACTIVE_TENANTS);
    expect(activity.asked('another pool', 'initech', 0)).toBe(1);
    for (let one = 0; one < 20_000; one++) activity.asked(`pool-${one}`, 'initech', ACTIVE_MS + one);
    expect(activity.asked(POOL, 'initech', 10 * ACTIVE_MS)).toBeGreaterThanOrEqual(1);
  });
});

describe('looking', () => {
  const visit = fc.record({
    pool: fc.nat(MAX_ACTIVE_POOLS + 1).map(one => `pool-${one}`),
    tenant: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
    wait: fc.constantFrom(0, 1, ACTIVE_MS / 4, ACTIVE_MS, -1),
  });
  const busy = fc.record({
    pool: fc.constant(POOL),
    tenant: visit.map(one => one.tenant),
    wait: visit.map(one => one.wait),
  });

  test('tells what asking would, and changes no later answer', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(visit, busy), { maxLength: 60 }), fc.boolean(), (visits, isFull) => {
        const [looked, asked] = [new ActiveTenants(), new ActiveTenants()];
        const pools = isFull ? MAX_ACTIVE_POOLS : 0;
        for (let one = 0; one < pools; one++) {
          for (const activity of [looked, asked]) activity.asked(`pool-${one}`, 'a', 0);
        }
        let now = 0;
        for (const { pool, tenant, wait } of visits) {
          now += wait;
          const [first, again] = [looked.looked(pool, tenant, now), looked.looked(pool, tenant, now)];
          const expected = asked.asked(pool, tenant, now);
          expect([first, again, looked.asked(pool, tenant, now)]).toEqual([expected, expected, expected]);
        }
      }),
    );
  });

  test('tells what asking would of a pool with as many tenants as are told apart', () => {
    const activity = new ActiveTenants();
    for (let one = 0; one < MAX_ACTIVE_TENANTS; one++) activity.asked(POOL, `tenant-${one}`, 0);
    for (const [tenant, now] of [
      ['tenant-1', 0],
      ['another', 0],
      ['another', ACTIVE_MS],
      ['tenant-9', ACTIVE_MS],
    ] as const) {
      expect(activity.looked(POOL, tenant, now)).toBe(activity.asked(POOL, tenant, now));
    }
  });
});

test('what is guaranteed to all that are active together never exceeds the pool', () => {
  const weights = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(1000));
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.nat(1000), weights, fc.nat(1000), names, (limit, own, others, tenants) => {
      const activity = new ActiveTenants();
      const declared = { weights: own, others, highWaterPercent: 80 };
      const share = (tenant: string): number =>
        fairShare(declared, { limit, pool: POOL, tenant }, activity, 0).guaranteed;
      for (const tenant of tenants) share(tenant);
      const all = new Set([...tenants, ...Object.keys(own)]);
      let sum = 0;
      for (const tenant of all) sum += share(tenant);
      expect(sum).toBeLessThanOrEqual(limit);
    }),
  );
});
