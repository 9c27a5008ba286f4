/** Limits that change while they count: what was counted stays, whatever the number becomes. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { codeOf, type LimitedService, pushLimits, startLimitedService } from './limited-service.ts';
import { ADMIN_KEY, ALLOWED } from './service.ts';

const WINDOW = { id: 'day', kind: 'window', unit: 'requests', per: '24h', key: ['principal'] };
const DAY_MS = 86_400_000;

function limits(limit: number, more: object = {}): object {
  return { limits: [{ ...WINDOW, limit, ...more }] };
}

let service: LimitedService;
beforeAll(async () => {
  service = await startLimitedService(limits(3));
});
afterAll(() => service.stop());
/** Nothing is counted any more. */
beforeEach(async () => {
  service.clock.advance(DAY_MS);
  await pushLimits(service, limits(3));
});

/** How many requests pass until one does not, at most 20. */
async function passing(): Promise<number> {
  for (let count = 0; count < 20; count++) {
    if (codeOf(await service.decide(ALLOWED)) !== 'POLICY_ALLOW') return count;
  }
  return 20;
}

test('a higher number admits the difference, and a lower one nothing more', async () => {
  expect(await passing()).toBe(3);
  await pushLimits(service, limits(5));
  expect(await passing()).toBe(2);
  await pushLimits(service, limits(4));
  expect(await passing()).toBe(0);
});

test('a rollback brings the number back and keeps the count', async () => {
  await pushLimits(service, limits(10));
  expect(await passing()).toBe(10);
  const { status } = await service.call('POST', '/v1/layers/platform/rollback', {
    body: { reason: 'too many' },
  });
  expect(status).toBe(200);
  expect(await passing()).toBe(0);
  await pushLimits(service, limits(12));
  expect(await passing()).toBe(2);
});

test('an override that ends keeps the count of the number before', async () => {
  const until = new Date(service.clock.now() + 60_000).toISOString();
  const override = { principals: [ALLOWED.principal], limit: 8, until, reason: 'a test' };
  await pushLimits(service, limits(3, { overrides: [override] }));
  expect(await passing()).toBe(8);
  service.clock.advance(60_000);
  expect(await passing()).toBe(0);
});

test('another kind of counting begins at nothing', async () => {
  expect(await passing()).toBe(3);
  await pushLimits(service, limits(3, { per: '12h' }));
  expect(await passing()).toBe(3);
});

test('a refused change changes nothing', async () => {
  expect(await passing()).toBe(3);
  const body = {
    manifest: { layer: 'platform', version: 'x' },
    files: { 'limits.json': JSON.stringify(limits(-1)) },
  };
  const { status } = await service.call('POST', '/v1/bundles?activate=true', { body, key: ADMIN_KEY });
  expect(status).toBe(422);
  expect(await passing()).toBe(0);
});
