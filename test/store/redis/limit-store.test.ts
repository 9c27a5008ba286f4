/** Limits in Redis: the contract of LimitStore on a server and on a cluster, and what is Redis's own. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LimitStore } from '../../../src/limits/ports.ts';
import {
  chargeTo,
  DAY,
  decisionId,
  leaseRule,
  LimitCaller,
  NOON,
  quotaRule,
  rateRule,
  windowRule,
} from '../../conformance/limit-scene.ts';
import { describeLimitStore } from '../../conformance/limit-store.ts';
import { openRedisLimits, plainClient, startCluster } from './redis-limits.ts';
import { type RedisProcess, startRedis, withoutRedis } from './redis-process.ts';

const skipped = withoutRedis('limits in Redis');

describe.skipIf(skipped)('limits in Redis', () => {
  let redis: RedisProcess;
  let client: Redis;
  let tests = 0;
  beforeAll(async () => {
    redis = await startRedis();
    client = plainClient(redis);
  });
  afterAll(async () => {
    client.disconnect();
    await redis.stop();
  });

  const open = (prefix: string, time: 'redis' | 'request') => openRedisLimits(redis, prefix, time);

  describeLimitStore({
    name: 'Redis',
    open: async () => {
      const store = await open(`test-${tests++}`, 'request');
      return { store, close: () => store.close() };
    },
  });

  /** Everything that is stored below a prefix but the clock, byte for byte. */
  const stateOf = async (prefix: string): Promise<Record<string, string>> => {
    const state: Record<string, string> = {};
    for (const key of (await client.keys(`{${prefix}}:*`)).sort()) {
      if (!key.endsWith('}:clock')) state[key] = (await client.dumpBuffer(key)).toString('hex');
    }
    return state;
  };

  test('a denied request changes no byte of what is stored', async () => {
    const store = await open('denied', 'request');
    const caller = new LimitCaller(store);
    const rules = [
      windowRule({ name: 'platform/w', limit: 3 }),
      rateRule({ name: 'platform/r', burst: 9 }),
      quotaRule({ name: 'platform/q' }),
      quotaRule({ name: 'platform/rolling', period: { rollingMs: 60_000 } }),
      leaseRule({
        name: 'platform/c',
        limit: 9,
        fair: { ownKey: 'own', guaranteed: 9, highWater: 9 },
      }),
      windowRule({ name: 'platform/shadow', mode: 'shadow', limit: 1 }),
    ];
    const charges = rules.map(rule => chargeTo(rule));
    expect(await caller.admitted(3, NOON, ...charges)).toBe(3);
    const before = await stateOf('denied');
    expect(Object.keys(before).length).toBeGreaterThan(9);
    for (let n = 0; n < 5; n++) expect((await caller.admit(NOON + n, ...charges)).admitted).toBe(false);
    await caller.look(NOON + 9, ...charges);
    expect(await stateOf('denied')).toEqual(before);
    await store.close();
  });

  test('every key ends by itself, and not before what it counts', async () => {
    const store = await open('ends', 'redis');
    const minute = 60_000;
    const charges = [
      chargeTo(windowRule({ name: 'platform/w', windowMs: 5 * minute })),
      chargeTo(rateRule({ name: 'platform/r', limit: 1, periodMs: 10 * minute })),
      chargeTo(quotaRule({ name: 'platform/q' })),
      chargeTo(leaseRule({ name: 'platform/c', leaseMs: 2 * 60 * minute })),
    ];
    const request = { decisionId: decisionId(1), now: 0, holdMs: 10 * minute, charges };
    expect((await store.admit(request)).admitted).toBe(true);
    const lives: Record<string, number> = {};
    for (const key of await client.keys('{ends}:*')) lives[key] = await client.pttl(key);
    const atLeast = (name: string, ms: number): void => expect(lives[`{ends}:${name}`]).toBeGreaterThan(ms);
    atLeast('c:key of platform/w', 5 * minute);
    atLeast('c:key of platform/r', 10 * minute);
    // as long as its hold can be settled
    atLeast('c:key of platform/q', 60 * minute);
    atLeast('h:key of platform/q', 60 * minute);
    atLeast('h:key of platform/c', 2 * 60 * minute);
    atLeast(`d:${decisionId(1)}`, 3 * 60 * minute);
    expect(Object.entries(lives).filter(([key, ms]) => ms < 0 && !key.endsWith(':clock'))).toEqual([]);
    await store.close();
  });

  test('time is that of Redis, and never goes back behind what any server saw', async () => {
    const store = await open('clock', 'redis');
    const one = chargeTo(windowRule({ limit: 1, windowMs: 60_000 }));
    const ask = (n: number, now: number) =>
      store.admit({ decisionId: decisionId(n), now, holdMs: 1_000, charges: [one] });
    expect((await ask(1, 0)).admitted).toBe(true);
    expect((await ask(2, Number.MAX_SAFE_INTEGER)).admitted).toBe(false);
    // another server's Redis was an hour ahead
    const seen = Number(await client.get('{clock}:clock'));
    expect(Math.abs(seen - Date.now())).toBeLessThan(60_000);
    await client.set('{clock}:clock', String(seen + 3_600_000));
    expect((await ask(3, 0)).admitted).toBe(true);
    expect((await ask(4, 0)).standings[0]?.retryAfterMs).toBe(60_000);
    await store.close();
  });

  test('admissions of one turn are one command, each all or nothing and in their order', async () => {
    const store = await open('turn', 'request');
    const narrow = chargeTo(windowRule({ name: 'platform/narrow', limit: 3 }));
    const wide = chargeTo(windowRule({ name: 'platform/wide', limit: 100 }));
    const scripts = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
    const before = await scripts();
    const admissions = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.admit({ decisionId: decisionId(n), now: NOON, holdMs: 1, charges: [wide, narrow] }),
      ),
    );
    expect((await scripts()) - before).toBe(1);
    expect(admissions.map(({ admitted }) => admitted)).toEqual(Array.from({ length: 20 }, (_, n) => n < 3));
    expect(admissions.at(-1)?.standings[0]?.used).toBe(3);
    await store.close();
  });

  test('what is no charge is refused, and does not touch what was asked beside it', async () => {
    const store = await open('refused', 'request');
    const good = chargeTo(windowRule({ limit: 1 }));
    const ask = (n: number, charges: Parameters<LimitStore['admit']>[0]['charges']) =>
      store.admit({ decisionId: decisionId(n), now: NOON, holdMs: 1, charges });
    const results = await Promise.allSettled([
      ask(1, [{ ...good, amount: 0.5 }]),
      ask(2, [good]),
      ask(3, [good, good]),
      ask(4, [{ ...good, key: '\ud800' }]),
      ask(5, [{ ...good, rule: quotaRule() }]),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    await store.close();
  });

  test('a denial behind very many holds says when it is worth to ask again, at no great cost', async () => {
    const store = await open('many', 'request');
    const quota = chargeTo(quotaRule({ limit: 3_000, onExpiry: 'release' }));
    const holds = Array.from({ length: 3_000 }, (_, n) =>
      store.admit({ decisionId: decisionId(n), now: NOON, holdMs: 1_000 + n, charges: [quota] }),
    );
    expect((await Promise.all(holds)).every(({ admitted }) => admitted)).toBe(true);
    const ask = (amount: number, now: number) =>
      store.admit({ decisionId: 'more', now, holdMs: 1, charges: [{ ...quota, amount }] });
    expect((await ask(10, NOON)).standings[0]?.retryAfterMs).toBe(1_009);
    // too many to go through: when it passes for certain, the day after the last of them has ended
    expect((await ask(3_000, NOON)).standings[0]?.retryAfterMs).toBe(DAY / 2);
    // those that have ended go with whoever comes next, although it is denied
    expect((await ask(2_000, NOON + 2_000)).admitted).toBe(false);
    expect(await client.zcard('{many}:h:key of platform/limit')).toBe(1_999);
    expect((await ask(3_000, NOON + 4_000)).admitted).toBe(true);
    await store.close();
  });

  test('what it counts is of no use to another prefix', async () => {
    const [one, other] = [await open('mine', 'request'), await open('yours', 'request')];
    const charge = chargeTo(windowRule({ limit: 1 }));
    expect(await new LimitCaller(one).admitted(3, NOON, charge)).toBe(1);
    expect(await new LimitCaller(other).admitted(3, NOON, charge)).toBe(1);
    await one.close();
    await other.close();
  });
});

describe.skipIf(skipped)('limits in a cluster', () => {
  let cluster: RedisProcess;
  let tests = 0;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  describeLimitStore({
    name: 'Redis Cluster',
    open: async () => {
      const store = await openRedisLimits(cluster, `test-${tests++}`, 'request', { topology: 'cluster' });
      return { store, close: () => store.close() };
    },
  });

  test('no value chooses a slot: hash tags in keys and ids mean nothing', async () => {
    const store = await openRedisLimits(cluster, 'tags', 'request', { topology: 'cluster' });
    const values = ['}', '{', '{}', '{other}', '}{other}:c:key', '\u0000', '\r\n*1\r\n'];
    for (const value of values) {
      const charges = [chargeTo(windowRule(), { key: value }), chargeTo(quotaRule(), { key: `2${value}` })];
      const request = { decisionId: `id ${value}`, now: NOON, holdMs: 1_000, charges };
      expect((await store.admit(request)).admitted).toBe(true);
      expect((await new LimitCaller(store).settle(`id ${value}`, NOON, 3)).state).toBe('settled');
    }
    const client = plainClient(cluster);
    const keys = (await client.keys('*')).filter(key => key.includes('tags'));
    client.disconnect();
    expect(keys.length).toBeGreaterThan(2 * values.length);
    expect(keys.filter(key => !key.startsWith('{tags}:'))).toEqual([]);
    await store.close();
  });
});
