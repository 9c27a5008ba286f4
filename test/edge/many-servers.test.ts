/**
 * Two services on one Redis: they spend one budget, and without Redis they answer
 * as each limit says, marked in the answer, in the log, in health and metrics.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type RedisProcess, startRedis, withoutRedis } from '../store/redis/redis-process.ts';
import { type LimitedService, pushLimits, startLimitedService, testClock } from './limited-service.ts';
import { ALLOWED } from './service.ts';

const PASSWORD = 'a-password-that-no-log-may-show';
const LIMITS = {
  limits: [
    { id: 'hour', kind: 'window', unit: 'requests', limit: 10, per: '1h', key: ['principal'] },
    { id: 'tokens', kind: 'quota', unit: 'tokens', limit: 100_000, period: 'month', key: ['tenant'] },
  ],
};
const denying = (limit: object): object => ({ ...limit, onStoreFailure: 'deny' });
const QUESTION = { ...ALLOWED, input: { tokens: 100 }, params: { maxOutputTokens: 400 } };

const decisionSchema = z.looseObject({
  decisionId: z.string(),
  decision: z.enum(['allow', 'deny']),
  reason: z.object({ code: z.string() }),
  limits: z
    .array(
      z.looseObject({
        name: z.string(),
        used: z.int(),
        degraded: z.literal(true).optional(),
        violated: z.literal(true).optional(),
      }),
    )
    .default([]),
});
type Answer = z.infer<typeof decisionSchema>;

describe.skipIf(withoutRedis('several services on one Redis'))('two services on one Redis', () => {
  let redis: RedisProcess;
  let services: LimitedService[] = [];
  beforeAll(async () => {
    redis = await startRedis(['--requirepass', PASSWORD]);
    const env = {
      DURAMEN_LIMITS_REDIS_NODES: redis.url,
      DURAMEN_LIMITS_REDIS_PASSWORD: PASSWORD,
      DURAMEN_LIMITS_REDIS_TIMEOUT_MS: '5000',
      DURAMEN_LIMITS_REDIS_SERVERS: '2',
    };
    // Redis has a clock of its own, and pays no attention to these
    const clocks = [testClock(), testClock(Date.now() - 7_200_000)];
    services = await Promise.all(clocks.map(clock => startLimitedService(LIMITS, { clock, env })));
  });
  afterAll(async () => {
    for (const service of services) await service.stop();
    await redis.stop();
  });

  const ask = async (service: LimitedService | undefined, question = QUESTION): Promise<Answer> =>
    decisionSchema.parse((await service?.decide(question))?.json);
  const usedOf = ({ limits }: Answer, id: string) =>
    limits.find(({ name }) => name === `platform/${id}`)?.used;

  test('spend one budget, and know of each other what was used', async () => {
    const [one, other] = services;
    const answers: Answer[] = [];
    for (let n = 0; n < 8; n++) answers.push(await ask(n % 2 === 0 ? one : other));
    expect(answers.map(({ decision }) => decision)).toEqual(Array.from({ length: 8 }, () => 'allow'));
    expect(answers.map(answer => usedOf(answer, 'hour'))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(usedOf(answers.at(-1) ?? (await ask(one)), 'tokens')).toBe(8 * 500);
    const outcome = { status: 'completed', usage: { inputTokens: 100, outputTokens: 20 } };
    const settled = await one?.call('POST', `/v1/decisions/${answers[0]?.decisionId}/outcome`, {
      body: outcome,
    });
    expect([settled?.status, settled?.text]).toEqual([200, expect.stringContaining('"settled"')]);
    expect(usedOf(await ask(one), 'tokens')).toBe(8 * 500 + 120);
    expect((await ask(other)).decision).toBe('allow');
    expect((await ask(one)).reason.code).toBe('RATE_LIMITED');
  });

  test('answer without Redis as each limit says, and tell that they do', async () => {
    const [one] = services;
    await redis.kill();
    await expect
      .poll(async () => (await one?.call('GET', '/readyz?verbose'))?.text, { timeout: 20_000 })
      .toContain('limits are degraded');
    expect((await one?.call('GET', '/readyz'))?.status).toBe(200);
    const alone: Answer[] = [];
    for (let n = 0; n < 7; n++) alone.push(await ask(one));
    // half of ten: the other server may admit the rest
    expect(alone.filter(({ decision }) => decision === 'allow').length).toBe(5);
    expect(alone.every(({ limits }) => limits.every(({ degraded }) => degraded))).toBe(true);
    const metrics = (await one?.call('GET', '/metrics'))?.text;
    expect(metrics).toContain('duramen_limits_store_up 0');
    expect(metrics).toMatch(/duramen_limits_degraded_total [1-9]/);
    if (one !== undefined) await pushLimits(one, { limits: LIMITS.limits.map(denying) });
    const denied = await ask(one);
    expect(denied.decision).toBe('deny');
    expect(denied.limits.every(({ violated }) => violated)).toBe(true);
    if (one !== undefined) await pushLimits(one, LIMITS);
    await redis.restart();
    await expect
      .poll(async () => (await one?.call('GET', '/readyz?verbose'))?.text, { timeout: 20_000 })
      .not.toContain('limits are degraded');
    // what it admitted alone counts in Redis, which has forgotten the rest
    expect(usedOf(await ask(one), 'hour')).toBe(6);
  });

  test('write no password', () => {
    const lines = services.flatMap(({ logLines }) => logLines).join('\n');
    expect(lines).toContain('the shared store of limits is not used');
    expect(lines).not.toContain(PASSWORD);
  });
});
