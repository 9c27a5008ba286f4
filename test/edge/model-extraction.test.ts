/**
 * A scenario of the trade: an insider copies a model by its answers. Every call is permitted, paid for and slow enough
 * for all limits of rate; what gives it away is how much one person asks one model.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type LimitedService, startLimitedService } from './limited-service.ts';

const DAY = 86_400_000;
const LIMITS = {
  modelClasses: [{ id: 'high_value', minRisk: 2 }],
  limits: [
    { id: 'second', kind: 'window', unit: 'requests', limit: 20, per: '1s', key: ['principal'] },
    { id: 'minute', kind: 'window', unit: 'requests', limit: 120, per: '60s', key: ['principal'] },
    {
      id: 'extraction',
      kind: 'window',
      unit: 'requests',
      limit: 1_000,
      per: '24h',
      key: ['principal', 'model'],
      byClass: { high_value: 20 },
    },
  ],
};
const ALICE = { type: 'User', id: 'acme/alice' };
/** Of high value, and what she works with. */
const FRAUD = { principal: ALICE, action: 'classify', resource: { type: 'Model', id: 'acme/fraud' } };
const SUPPORT = { principal: ALICE, action: 'generate', resource: { type: 'Model', id: 'acme/support-llm' } };

const alertSchema = z.object({
  items: z.array(
    z.object({
      subject: z.string(),
      details: z.looseObject({ limit: z.string(), percent: z.int(), model: z.string().optional() }),
    }),
  ),
});

let service: LimitedService;
beforeAll(async () => {
  service = await startLimitedService(LIMITS);
});
afterAll(() => service.stop());

test('the window of the model stops it at the number of the class, from wherever it comes', async () => {
  const codes: string[] = [];
  // one call a minute or so: no limit of rate ever sees more than two
  for (let call = 0; call < 260; call++) {
    const ip = `198.51.100.${call % 250}`;
    codes.push(
      await service.code({
        ...FRAUD,
        context: { ip },
        auth: { method: 'api_key', assurance: 1, scopes: [], keyId: `k${call % 7}` },
      }),
    );
    service.clock.advance(60_000);
  }
  const allowed = codes.filter(code => code === 'POLICY_ALLOW').length;
  expect([allowed, codes[199], codes[200], codes.at(-1)]).toEqual([
    200,
    'POLICY_ALLOW',
    'RATE_LIMITED',
    'RATE_LIMITED',
  ]);
});

test('whoever it is goes on working with everything else, and others with the model', async () => {
  expect(await service.code(SUPPORT)).toBe('POLICY_ALLOW');
  expect((await service.decide(SUPPORT)).json).toMatchObject({
    limits: [
      { name: 'platform/second' },
      { name: 'platform/minute' },
      { name: 'platform/extraction', used: 2 },
    ],
  });
});

test('the alert names who and which model, at four fifths and at the end', async () => {
  await expect
    .poll(async () => {
      const reply = await service.call('GET', '/v1/events?kind=limit.alert&order=asc');
      return alertSchema
        .parse(reply.json)
        .items.filter(({ details }) => details.limit === 'platform/extraction')
        .map(({ subject, details: { percent, model } }) => [subject, percent, model]);
    })
    .toEqual([
      ['AI::User::"acme/alice"', 80, 'acme/fraud'],
      ['AI::User::"acme/alice"', 100, 'acme/fraud'],
    ]);
});

test('waiting for midnight does not help: the window looks back a whole day from each call', async () => {
  // 260 minutes have gone, so the first call leaves the window 1180 minutes from now
  service.clock.advance(DAY - 260 * 60_000 - 1);
  expect(await service.code(FRAUD)).toBe('RATE_LIMITED');
  service.clock.advance(1 + DAY / 60);
  expect(await service.code(FRAUD)).toBe('POLICY_ALLOW');
});

test('a version of the model has no window of its own to begin anew in', async () => {
  service.clock.advance(2 * DAY);
  const codes: string[] = [];
  for (let call = 0; call < 210; call++) {
    const id = call % 2 === 0 ? 'acme/fraud' : 'acme/fraud@3';
    codes.push(await service.code({ ...FRAUD, resource: { type: 'Model', id } }));
    service.clock.advance(60_000);
  }
  expect(codes.filter(code => code === 'POLICY_ALLOW').length).toBe(200);
});
