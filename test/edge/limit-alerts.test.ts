/** Alerts against a real service: one for each whom a limit counts, told to whom it concerns, and naming no address. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type LimitedService, startLimitedService } from './limited-service.ts';
import { ADMIN_KEY, ALLOWED } from './service.ts';

const WINDOW = { kind: 'window', unit: 'requests', limit: 5, per: '1h' };
const LIMITS = {
  limits: [
    { ...WINDOW, id: 'of-principal', key: ['principal'] },
    { ...WINDOW, id: 'of-tenant', key: ['tenant'], limit: 10 },
    { ...WINDOW, id: 'of-everybody', key: [], limit: 12, mode: 'shadow' },
    { ...WINDOW, id: 'of-address', key: ['address'], limit: 8, alertAt: [50] },
  ],
};
const IP = '198.51.100.23';
const ALICE = { ...ALLOWED, context: { ip: IP } };
const BOB = { ...ALICE, principal: { type: 'User', id: 'acme/bob' } };
const ROUTER = {
  principal: { type: 'Service', id: 'globex/router' },
  action: 'generate',
  resource: { type: 'Model', id: 'globex/translate' },
  context: { ip: '192.0.2.1' },
};

const eventsSchema = z.object({
  items: z.array(
    z.object({
      subject: z.string(),
      tenant: z.string().optional(),
      details: z.looseObject({ limit: z.string(), percent: z.int(), mode: z.string() }),
    }),
  ),
});

let service: LimitedService;
beforeAll(async () => {
  service = await startLimitedService(LIMITS);
  for (const question of [ALICE, ALICE, ALICE, ALICE, BOB, BOB, BOB, ROUTER, ROUTER, ROUTER]) {
    const code = await service.code(question);
    if (code !== 'POLICY_ALLOW') throw new Error(`a question was denied: ${code}`);
  }
});
afterAll(() => service.stop());

async function alerts(key = ADMIN_KEY) {
  const reply = await service.call('GET', '/v1/events?kind=limit.alert&order=asc', { key });
  return eventsSchema.parse(reply.json).items;
}

test('each is raised for whom the limit counts, by the tenant that it concerns', async () => {
  await expect.poll(async () => (await alerts()).length).toBe(3);
  const found = await alerts();
  expect(
    found.map(({ subject, tenant, details: { limit, percent, mode } }) => [
      limit,
      percent,
      mode,
      tenant,
      subject.slice(0, 8),
    ]),
  ).toEqual([
    ['platform/of-principal', 80, 'enforce', 'acme', 'AI::User'],
    ['platform/of-address', 50, 'enforce', undefined, expect.stringMatching(/^u:/)],
    ['platform/of-everybody', 80, 'shadow', undefined, 'platform'],
  ]);
  expect(JSON.stringify(found)).not.toContain(IP);
});

test('auditors of a tenant see what concerns it, and not how full the platform is', async () => {
  const seen = async (tenant: string) =>
    (await alerts(await service.makeKey(['auditor'], [tenant]))).map(({ details }) => details.limit);
  expect(await seen('acme')).toEqual(['platform/of-principal']);
  expect(await seen('globex')).toEqual([]);
});

test('each percentage is told once to each whom the limit counts', async () => {
  for (const question of [ALICE, ALICE, ROUTER, ROUTER, ROUTER]) await service.decide(question);
  const told = async () =>
    (await alerts())
      .filter(({ details }) => details.limit === 'platform/of-principal')
      .map(({ subject, details }) => `${subject} ${details.percent}`);
  await expect.poll(async () => (await told()).length).toBeGreaterThanOrEqual(4);
  expect((await told()).toSorted()).toEqual([
    'AI::Service::"globex/router" 100',
    'AI::Service::"globex/router" 80',
    'AI::User::"acme/alice" 100',
    'AI::User::"acme/alice" 80',
  ]);
});
