/** Load against a real service: from a report to who is turned away, what is recorded, and how it ends. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type LimitedService, startLimitedService } from './limited-service.ts';
import { ALLOWED } from './service.ts';

const MODEL = 'acme/support-llm';
const LIMITS = {
  limits: [{ id: 'hour', kind: 'window', unit: 'requests', limit: 100, per: '1h', key: ['principal'] }],
  penalties: { principal: { violations: 2, within: '60s' } },
  shedding: {
    smooth: '0s',
    hold: '0s',
    retryAfter: '7s',
    steps: [
      { enterPercent: 85, leavePercent: 75, operations: ['embed'] },
      { enterPercent: 95, leavePercent: 85, tiers: ['standard'] },
    ],
  },
};
/** Alice is of the tier `standard`. */
const GENERATE = ALLOWED;
const EMBED = { ...ALLOWED, action: 'embed', resource: { type: 'Model', id: 'acme/embed' } };

const stepsSchema = z.object({
  items: z.array(
    z.object({
      subject: z.string(),
      tenant: z.string(),
      details: z.looseObject({ from: z.int(), to: z.int(), expired: z.boolean() }),
    }),
  ),
});

let service: LimitedService;
let reporter: string;
beforeAll(async () => {
  service = await startLimitedService(LIMITS);
  reporter = await service.makeKey(['load'], ['acme']);
});
afterAll(() => service.stop());
/** Reports of the test before have expired. */
beforeEach(() => service.clock.advance(3_600_000));

async function report(gpuPercent: number, of: object = { model: MODEL }): Promise<void> {
  const reply = await service.call('POST', '/v1/load', { key: reporter, body: { ...of, gpuPercent } });
  expect(reply.status).toBe(200);
}

test('who is turned away gets its reason, a time to come back and 503, and pays nothing', async () => {
  await report(96);
  const reply = await service.decide(GENERATE);
  expect(reply.json).toMatchObject({
    decision: 'deny',
    reason: { code: 'OVERLOADED' },
    problem: {
      status: 503,
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    },
  });
  const { headers } = z.object({ headers: z.object({ 'retry-after': z.coerce.number() }) }).parse(reply.json);
  expect([7, 8, 9, 10, 11, 12, 13, 14]).toContain(headers['retry-after']);
  for (let again = 0; again < 10; again++) expect(await service.code(GENERATE)).toBe('OVERLOADED');
  expect((await service.call('GET', '/v1/penalties')).json).toMatchObject({ items: [] });
  await report(10);
  const after = await service.decide(GENERATE);
  expect(after.json).toMatchObject({ decision: 'allow', limits: [{ name: 'platform/hour', used: 1 }] });
});

test('steps follow each other up and down, with their thresholds apart', async () => {
  const seen: string[] = [];
  for (const percent of [84, 85, 95, 86, 84, 75, 74]) {
    await report(percent);
    await report(percent, { model: 'acme/embed' });
    const codes = [await service.code(EMBED), await service.code(GENERATE)];
    seen.push(`${percent}: ${codes.map(code => (code === 'OVERLOADED' ? 'away' : 'in')).join(' ')}`);
    service.clock.advance(1_000);
  }
  expect(seen).toEqual([
    '84: in in',
    '85: away in',
    '95: away away',
    '86: away away',
    '84: away in',
    '75: away in',
    '74: in in',
  ]);
});

test('a group of models is loaded for all that are in it', async () => {
  await report(96, { modelGroup: 'acme/shared' });
  expect(await service.code(GENERATE)).toBe('OVERLOADED');
});

test('a reporter that falls silent closes nothing, and each change is an entry', async () => {
  await report(96);
  expect(await service.code(GENERATE)).toBe('OVERLOADED');
  service.clock.advance(30_000);
  expect(await service.code(GENERATE)).toBe('POLICY_ALLOW');
  await expect
    .poll(async () => {
      const reply = await service.call('GET', '/v1/events?kind=load.step');
      return stepsSchema
        .parse(reply.json)
        .items.filter(({ subject }) => subject === `AI::Model::"${MODEL}"`)
        .slice(0, 2)
        .map(({ tenant, details: { from, to, expired } }) => [tenant, from, to, expired]);
    })
    .toEqual([
      ['acme', 2, 0, true],
      ['acme', 0, 2, false],
    ]);
});

test('nobody else is turned away: other tiers, other models', async () => {
  await report(100);
  const router = { type: 'Service', id: 'globex/router' };
  const translate = { type: 'Model', id: 'globex/translate' };
  expect(await service.code({ principal: router, action: 'generate', resource: translate })).toBe(
    'POLICY_ALLOW',
  );
  expect(await service.code(EMBED)).toBe('POLICY_ALLOW');
});
