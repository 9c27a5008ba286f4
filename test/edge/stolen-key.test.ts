/** A scenario of the trade: a key was stolen, and whoever has it calls a million times as fast as it goes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { guardScene } from '../limits/guards/guard-scene.ts';
import { codeOf, type LimitedService, startLimitedService } from './limited-service.ts';
import { ALLOWED } from './service.ts';

const LIMITS = {
  limits: [
    { id: 'second', kind: 'window', unit: 'requests', limit: 20, per: '1s', key: ['principal'] },
    { id: 'minute', kind: 'window', unit: 'requests', limit: 120, per: '60s', key: ['principal'] },
    {
      id: 'budget',
      kind: 'quota',
      unit: 'micro_usd',
      limit: 2_000_000,
      period: 'day',
      key: ['principal'],
      onStoreFailure: 'deny',
    },
  ],
  // a cent each
  prices: { version: '1', default: { perRequest: 10_000 } },
  penalties: { principal: { violations: 50, within: '60s', block: '60s', maxBlock: '24h', forget: '1h' } },
};
const ANOTHER = { ...ALLOWED, principal: { type: 'User', id: 'acme/bob' } };
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

test('of a million calls in an hour as many are let through as the limits say, and no more', () => {
  const scene = guardScene(LIMITS);
  const start = scene.now;
  const passed: number[] = [];
  const codes = new Map<string, number>();
  const calls = 1_000_000;
  for (let call = 0; call < calls; call++) {
    scene.now = start + Math.floor((call * HOUR) / calls);
    const code = scene.ask();
    codes.set(code, (codes.get(code) ?? 0) + 1);
    if (code === 'ALLOW') passed.push(scene.now - start);
  }
  const within = (from: number, ms: number): number =>
    passed.filter(at => at >= from && at < from + ms).length;
  expect(within(0, SECOND), 'of the first second').toBe(20);
  expect(Math.max(...passed.map(at => within(at, 60 * SECOND))), 'of any minute').toBeLessThanOrEqual(120);
  expect(passed.length, 'of the two dollars').toBeLessThanOrEqual(200);
  expect(codes.get('PENALTY_BLOCKED') ?? 0, 'refused before anything is evaluated').toBeGreaterThan(900_000);
  // each block twice as long as the one before: an hour has room for so many
  const lengths = scene.blocks.map(({ since, until }) => (until - since) / SECOND);
  expect(lengths).toEqual([60, 120, 240, 480, 960, 1_920]);
  const alerts = scene.alerts.map(({ rule, percent }) => `${rule.name} ${percent}`);
  expect(new Set(alerts)).toContain('platform/second 100');
});

const alertSchema = z.object({
  items: z.array(
    z.object({ kind: z.string(), subject: z.string(), details: z.looseObject({ limit: z.string() }) }),
  ),
});

let service: LimitedService;
beforeAll(async () => {
  service = await startLimitedService(LIMITS);
});
afterAll(() => service.stop());

test('on the wire it stops within the second, an alert names whose key it is, and nobody else notices', async () => {
  const key = await service.makeKey(['pep']);
  const answers: string[] = [];
  // 600 calls in three seconds, twenty at a time
  for (let wave = 0; wave < 30; wave++) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => service.decide(ALLOWED, key)));
    answers.push(...replies.map(codeOf));
    expect(await service.code(ANOTHER), 'another caller of the tenant').toBe('POLICY_ALLOW');
    service.clock.advance(100);
  }
  const count = (codes: readonly string[], wanted: string): number =>
    codes.filter(code => code === wanted).length;
  expect(count(answers, 'POLICY_ALLOW')).toBe(20);
  expect(answers.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 'POLICY_ALLOW'));
  expect(new Set(answers.slice(20, 60))).toEqual(new Set(['RATE_LIMITED']));
  // the block begins within this wave: its calls arrive in any order, and some are on their way when it does
  const last = answers.slice(60, 80);
  expect(count(last, 'RATE_LIMITED')).toBeGreaterThanOrEqual(10);
  expect(count(last, 'RATE_LIMITED') + count(last, 'PENALTY_BLOCKED')).toBe(20);
  expect(new Set(answers.slice(80))).toEqual(new Set(['PENALTY_BLOCKED']));
  await expect
    .poll(async () => {
      const { items } = alertSchema.parse((await service.call('GET', '/v1/events?kind=limit.alert')).json);
      return items.filter(({ details }) => details.limit === 'platform/second');
    })
    .toMatchObject([
      { subject: 'AI::User::"acme/alice"', details: { percent: 100 } },
      { subject: 'AI::User::"acme/alice"', details: { percent: 80 } },
    ]);
  const blocked = await service.call('GET', '/v1/penalties');
  expect(blocked.json).toMatchObject({ items: [{ principal: { type: 'User', id: 'acme/alice' } }] });
  const { text } = await service.call('GET', '/metrics');
  expect(text).toMatch(/^duramen_penalties_total\{kind="principal"\} 1$/m);
  expect(text).toMatch(
    /^duramen_limit_alerts_total\{limit="platform\/second",percent="100",mode="enforce"\} 1$/m,
  );
});
