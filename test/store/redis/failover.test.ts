/**
 * What decides while Redis does not answer, and what Redis knows when it is back: nobody waits or sees an error, each
 * limit does as it says, and nothing is counted twice or dropped.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FailoverLimitStore } from '../../../src/limits/failover/failover-store.ts';
import { LimitTable } from '../../../src/limits/counters/limit-table.ts';
import type { LimitCharge, LimitRule, QuotaRule } from '../../../src/domain/limit.ts';
import { RedisLimitStore } from '../../../src/store/redis/limit-store.ts';
import { RedisConnection } from '../../../src/store/redis/redis-connection.ts';
import {
  chargeTo,
  decisionId,
  leaseRule,
  LimitCaller,
  MINUTE,
  quotaRule,
  rateRule,
  usedTokens,
  windowRule,
} from '../../conformance/limit-scene.ts';
import { openRedisLimits } from './redis-limits.ts';
import { type RedisProcess, startRedis, withoutRedis } from './redis-process.ts';

/** Long beside an answer on loopback, on a busy machine too, and short beside a test. */
const TIMEOUT_MS = 1_000;

let redis: RedisProcess;
const open: { close(): Promise<void> }[] = [];

interface Server {
  readonly store: FailoverLimitStore;
  readonly caller: LimitCaller;
  readonly local: LimitTable;
  readonly changes: (string | undefined)[];
}

/** A server that shares Redis. Its decisions have ids of their own. */
async function startServer(first: number, servers = 1): Promise<Server> {
  const changes: (string | undefined)[] = [];
  const connection = new RedisConnection(
    { nodes: [{ host: '127.0.0.1', port: redis.port }], topology: 'single' },
    { onLost: reason => store.lost(reason) },
  );
  const local = new LimitTable();
  const store: FailoverLimitStore = new FailoverLimitStore({
    shared: new RedisLimitStore({ connection, prefix: 'duramen', time: 'redis' }),
    local,
    servers,
    timeoutMs: TIMEOUT_MS,
    after: (ms, action) => {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
    now: () => Date.now(),
    onChange: reason => changes.push(reason),
    onDegraded: () => undefined,
  });
  open.push(store);
  await store.start();
  const caller = new LimitCaller(store);
  caller.asked = first;
  return { store, caller, local, changes };
}

/** What Redis itself has counted. */
async function numbersInRedis(charge: LimitCharge): Promise<readonly number[]> {
  const store = await openRedisLimits(redis, 'duramen', 'redis');
  const numbers = await new LimitCaller(store).numbers(0, charge);
  await store.close();
  return numbers;
}

const degraded = async ({ store }: Server): Promise<unknown> =>
  expect.poll(() => store.problem, { interval: 5, timeout: 20_000 }).toBeTypeOf('string');
const recovered = async ({ store }: Server): Promise<unknown> =>
  expect.poll(() => store.problem, { interval: 5, timeout: 20_000 }).toBeUndefined();

function hour(members: Partial<LimitRule> = {}): LimitCharge {
  return chargeTo({
    ...windowRule({ windowMs: 60 * MINUTE }),
    ...members,
    kind: 'window',
    windowMs: 60 * MINUTE,
  });
}

/** A quota over any day, so that no period ends between what is counted and what is read. */
function dailyRule(members: Partial<QuotaRule> = {}): QuotaRule {
  return quotaRule({ period: { rollingMs: 24 * 60 * MINUTE }, ...members });
}

describe.skipIf(withoutRedis('limits without Redis'))('while Redis does not answer', () => {
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await redis.stop();
  });

  test('each limit does what it says, and is marked', async () => {
    const server = await startServer(1_000);
    await redis.kill();
    await degraded(server);
    const charges = (['local', 'deny', 'allow'] as const).map(onStoreFailure =>
      hour({ name: `platform/${onStoreFailure}`, limit: 2, onStoreFailure }),
    );
    const [local, deny, allow] = charges;
    if (local === undefined || deny === undefined || allow === undefined) throw new Error('no charges');
    const now = Date.now();
    expect(await server.caller.admitted(5, now, local)).toBe(2);
    expect(await server.caller.admitted(5, now, deny)).toBe(0);
    expect(await server.caller.admitted(5, now, allow)).toBe(5);
    const { admitted, standings } = await server.caller.admit(now, allow, deny, local);
    expect(admitted).toBe(false);
    expect(standings.map(standing => [standing.violated, standing.degraded, standing.remaining])).toEqual([
      [false, true, 2],
      [true, true, 0],
      [true, true, 0],
    ]);
    expect(standings[1]?.retryAfterMs).toBeGreaterThan(0);
  });

  test('a limit that denies takes nothing from those beside it', async () => {
    const server = await startServer(1_000);
    await redis.kill();
    await degraded(server);
    const local = hour({ name: 'platform/local', limit: 3 });
    const deny = hour({ name: 'platform/deny', onStoreFailure: 'deny' });
    expect(await server.caller.admitted(9, Date.now(), local, deny)).toBe(0);
    expect(await server.caller.admitted(9, Date.now(), local)).toBe(3);
  });

  test('a shadow that would deny denies nothing', async () => {
    const server = await startServer(1_000);
    await redis.kill();
    await degraded(server);
    const shadow = hour({ mode: 'shadow', onStoreFailure: 'deny' });
    const { admitted, standings } = await server.caller.admit(Date.now(), shadow);
    expect([admitted, standings[0]?.violated]).toEqual([true, true]);
  });

  test.each([
    [1, 10, 10],
    [4, 10, 2],
    [100, 10, 1],
    [4, 0, 0],
  ])('one of %i servers admits of %i alone %i', async (servers, limit, most) => {
    const server = await startServer(1_000, servers);
    await redis.kill();
    await degraded(server);
    const now = Date.now();
    const charges = [
      hour({ name: 'platform/w', limit }),
      chargeTo(rateRule({ name: 'platform/r', limit, burst: limit, periodMs: 24 * 60 * MINUTE })),
      chargeTo(quotaRule({ name: 'platform/q', unit: 'requests', limit })),
      chargeTo(leaseRule({ name: 'platform/c', limit })),
      chargeTo(
        leaseRule({
          name: 'platform/fair',
          limit: 100 * limit,
          fair: { ownKey: 'own', guaranteed: limit, highWater: 0 },
        }),
      ),
    ];
    for (const charge of charges) expect(await server.caller.admitted(30, now, charge)).toBe(most);
  });

  test('a Redis that hangs makes a few wait, and then nobody', async () => {
    const server = await startServer(1_000);
    const local = hour({ limit: 100 });
    redis.freeze();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => server.caller.admit(Date.now(), local)),
    );
    expect(answers.every(({ admitted }) => admitted)).toBe(true);
    expect(server.store.problem).toBe(`no answer within ${TIMEOUT_MS} ms`);
    redis.thaw();
    await recovered(server);
  });

  test('the service starts without it, and uses it when it is there', async () => {
    await redis.kill();
    const server = await startServer(1_000);
    expect(server.store.problem).toBeDefined();
    expect(await server.caller.admitted(12, Date.now(), hour())).toBe(10);
    await redis.restart();
    await recovered(server);
    expect(await numbersInRedis(hour())).toEqual([10, 0, 0]);
    expect(server.changes.at(-1)).toBeUndefined();
  });
});

describe.skipIf(withoutRedis('the return of Redis'))('when Redis is back', () => {
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await redis.stop();
  });

  test('it knows what was admitted without it, once, also where its own answer was late', async () => {
    const servers = [await startServer(1_000), await startServer(2_000)];
    const charges = [hour({ name: 'platform/w', limit: 100 }), chargeTo(dailyRule({ name: 'platform/q' }))];
    const ask = async (): Promise<void> => {
      for (const { caller } of servers) {
        await Promise.all([1, 2, 3, 4, 5, 6].map(() => caller.admit(Date.now(), ...charges)));
      }
    };
    await ask();
    // what is sent now is read by Redis when it goes on, after everybody has given up
    redis.freeze();
    await ask();
    for (const server of servers) await degraded(server);
    await ask();
    redis.thaw();
    for (const server of servers) await recovered(server);
    const [window, quota] = charges;
    if (window === undefined || quota === undefined) throw new Error('no charges');
    expect(await numbersInRedis(window)).toEqual([36, 0, 64]);
    expect(await numbersInRedis(quota)).toEqual([36, 36, 964]);
  });

  test('what was admitted without it counts against the limit, and may exceed it', async () => {
    const [one, other] = [await startServer(1_000), await startServer(2_000)];
    await redis.kill();
    for (const server of [one, other]) await degraded(server);
    for (const { caller } of [one, other]) expect(await caller.admitted(20, Date.now(), hour())).toBe(10);
    await redis.restart();
    for (const server of [one, other]) await recovered(server);
    expect(await numbersInRedis(hour())).toEqual([20, 0, 0]);
    expect(await one.caller.admitted(1, Date.now(), hour())).toBe(0);
  });

  test('a reserve that nobody may use is given back', async () => {
    const server = await startServer(1_000);
    const money = chargeTo(dailyRule({ unit: 'micro_usd', onStoreFailure: 'deny' }), { amount: 100 });
    redis.freeze();
    expect(await server.caller.admitted(1, Date.now(), money)).toBe(0);
    redis.thaw();
    await expect.poll(() => server.store.unmerged, { interval: 5, timeout: 20_000 }).toBe(0);
    expect(await numbersInRedis(money)).toEqual([0, 0, 1_000]);
  });

  test('calls that ended meanwhile are settled, those it reserved as well as those it never saw', async () => {
    const server = await startServer(1_000);
    const quota = chargeTo(dailyRule(), { amount: 100 });
    await server.caller.admit(Date.now(), quota);
    const known = server.caller.lastId;
    await redis.kill();
    await degraded(server);
    await server.caller.admit(Date.now(), quota);
    const alone = server.caller.lastId;
    expect((await server.caller.settle(alone, Date.now(), 7)).state).toBe('settled');
    expect((await server.caller.settle(alone, Date.now(), 9)).state).toBe('repeated');
    expect((await server.caller.settle(known, Date.now(), 30)).state).toBe('deferred');
    await expect(server.store.extend(known, Date.now(), MINUTE)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await expect(server.store.reset(quota.key, Date.now())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await redis.restart();
    await recovered(server);
    // Redis lost what it knew with its memory: the call it had reserved is unknown to it
    expect(await numbersInRedis(quota)).toEqual([7, 0, 993]);
    expect((await server.caller.settle(alone, Date.now(), 9)).state).toBe('repeated');
  });

  test('what it had reserved is settled with what was used', async () => {
    const server = await startServer(1_000);
    const quota = chargeTo(dailyRule(), { amount: 100 });
    await server.caller.admit(Date.now(), quota);
    redis.freeze();
    expect((await server.caller.settle(server.caller.lastId, Date.now(), 30)).state).toBe('deferred');
    redis.thaw();
    await expect.poll(() => server.store.unmerged, { interval: 5, timeout: 20_000 }).toBe(0);
    expect(await numbersInRedis(quota)).toEqual([30, 0, 970]);
  });

  test('a call that goes on keeps its lease', async () => {
    const server = await startServer(1_000);
    await redis.kill();
    await degraded(server);
    const lease = chargeTo(leaseRule({ leaseMs: 1 }));
    const begun = Date.now();
    await server.store.admit({ decisionId: decisionId(1), now: begun, holdMs: 1, charges: [lease] });
    expect((await server.store.extend(decisionId(1), begun, 10 * MINUTE)).state).toBe('extended');
    await redis.restart();
    await recovered(server);
    expect(await numbersInRedis(lease)).toEqual([1, 1, 1]);
    await server.store.settle({
      decisionId: decisionId(1),
      now: Date.now(),
      actual: usedTokens(0),
      atLeastFloor: false,
    });
    expect(await numbersInRedis(lease)).toEqual([0, 0, 2]);
  });
});
