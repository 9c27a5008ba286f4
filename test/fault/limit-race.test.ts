/**
 * Eight servers on one Redis: a budget for a hundred admits a hundred of a thousand concurrent requests, however they
 * interleave, and no more when Redis is killed in the middle.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { chargeTo, LimitCaller, leaseRule, quotaRule, windowRule } from '../conformance/limit-scene.ts';
import { openRedisLimits } from '../store/redis/redis-limits.ts';
import { type RedisProcess, startRedis, withoutRedis } from '../store/redis/redis-process.ts';

const SERVERS = 8;
const ASKS = 125;
const BUDGET = 100;
const ROUNDS = 10;

const answerSchema = z.object({ admitted: z.int(), asked: z.int() });
const readySchema = z.object({ ready: z.literal(true) });

describe.skipIf(withoutRedis('a budget that eight servers share'))('eight servers', () => {
  let redis: RedisProcess;
  let servers: ChildProcess[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    const program = new URL('./limit-asker.ts', import.meta.url);
    servers = Array.from({ length: SERVERS }, () => fork(program, [String(redis.port)]));
    for (const server of servers) readySchema.parse((await once(server, 'message'))[0]);
  });
  afterAll(async () => {
    for (const server of servers) {
      const ended = once(server, 'exit');
      server.disconnect();
      await ended;
    }
    await redis.stop();
  });

  /** Lets all servers ask at once. @param meanwhile runs while they do @returns how many each got */
  async function race(round: string, meanwhile: () => Promise<void>): Promise<readonly number[]> {
    const answers = servers.map(async (server, number) => {
      const answer = once(server, 'message');
      server.send({ round, server: number, asks: ASKS, budget: BUDGET });
      return answerSchema.parse((await answer)[0]);
    });
    await meanwhile();
    const all = await Promise.all(answers);
    expect(all.every(({ asked }) => asked === ASKS)).toBe(true);
    return all.map(({ admitted }) => admitted);
  }

  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

  /** Used of a round's window, money and leases, in admissions. */
  async function taken(round: string): Promise<readonly number[]> {
    const store = await openRedisLimits(redis, 'race', 'redis');
    const caller = new LimitCaller(store);
    const name = `platform/${round}`;
    const [window] = await caller.numbers(0, chargeTo(windowRule({ name: `${name}-w` })));
    const [money] = await caller.numbers(0, chargeTo(quotaRule({ name, unit: 'micro_usd' })));
    const [leases] = await caller.numbers(0, chargeTo(leaseRule({ name: `${name}-c` })));
    await store.close();
    return [window, money / 3, leases];
  }

  test(`get exactly ${BUDGET} of ${SERVERS * ASKS} concurrent requests, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const admitted = sum(await race(`round-${round}`, async () => undefined));
      expect([round, admitted]).toEqual([round, BUDGET]);
      // nothing was charged for those that were denied
      expect(await taken(`round-${round}`)).toEqual([BUDGET, BUDGET, BUDGET]);
    }
  });

  test(`get no more than ${BUDGET} when Redis is killed in the middle, and no error`, async () => {
    const admitted = sum(
      await race('killed', async () => {
        const store = await openRedisLimits(redis, 'race', 'redis');
        const caller = new LimitCaller(store);
        const spent = async (): Promise<number> =>
          (await caller.numbers(0, chargeTo(quotaRule({ name: 'platform/killed', unit: 'micro_usd' }))))[0];
        await expect.poll(spent, { interval: 1, timeout: 20_000 }).toBeGreaterThan(0);
        await redis.kill();
        await store.close();
      }),
    );
    expect(admitted).toBeGreaterThan(0);
    expect(admitted).toBeLessThanOrEqual(BUDGET);
  });
});
