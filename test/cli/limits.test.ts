/** `duramen limits` against a service: which limits hold, and a proposal out of its log that can be pushed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/run.ts';
import { limitsFileSchema } from '../../src/domain/limit-definition.ts';
import { manualClock } from '../identity/clock.ts';
import { ADMIN_KEY, ALLOWED, startTestService, type TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

const decidedSchema = z.looseObject({ decisionId: z.string() });

/** It stands still: all calls of the log come in one second of one day. */
const clock = manualClock();
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ filled: true, clock });
});
afterAll(() => service.stop());

async function cli(...args: readonly string[]) {
  const terminal = recordingTerminal({
    env: { DURAMEN_KEY: ADMIN_KEY, DURAMEN_URL: service.url },
    now: clock.now(),
  });
  const code = await runCli(['limits', ...args], terminal, 'test');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

test('shows the limits of a principal for a model, with prices', async () => {
  const { code, stdout, stderr } = await cli(
    'show',
    '--principal',
    'User:acme/alice',
    '--model',
    'acme/support-llm',
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /platform\/tenant-month-usd +quota +month +50000000000 +micro_usd +tenant +base 10000000000 x plan enterprise 1000%, tightened/,
  );
  expect(stdout).toMatch(/platform\/address-second .*; a shadow: denies nothing/);
  expect(stderr).toContain('prices platform@2026-11: 500000 and 1500000');
});

test('says what a number depends on when only a model is named, and which sets bring a limit in', async () => {
  const { stdout } = await cli('show', '--model', 'acme/support-llm');
  expect(stdout).toMatch(/platform\/principal-minute .*depends on the principal/);
  expect(stdout).toMatch(/tenant:acme\/agent-tokens .*only where a permit names agent-tokens or agents/);
});

test('wants to know whose limits', async () => {
  const { code, stderr } = await cli('show');
  expect(code).toBe(64);
  expect(stderr).toContain('say whose limits');
});

test('proposes limits out of the log that a push takes, and says what they would have denied', async () => {
  const empty = await cli('suggest', '--since', '1h');
  expect(empty.code).toBe(1);
  expect(empty.stderr).toContain('the log has no allowed call of a model');
  for (let call = 0; call < 12; call++) {
    const body = { ...ALLOWED, input: { tokens: 100 }, params: { maxOutputTokens: 50 } };
    const { json } = await service.call('POST', '/decide', { body });
    const { decisionId } = decidedSchema.parse(json);
    const outcome = { status: 'completed', usage: { inputTokens: 100, outputTokens: 20 } };
    const told = await service.call('POST', `/v1/decisions/${decisionId}/outcome`, { body: outcome });
    expect(told.status).toBe(200);
  }
  const { code, stdout, stderr } = await cli('suggest', '--since', '1h', '--high-value-risk', '1');
  expect(code).toBe(0);
  const file = limitsFileSchema.parse(JSON.parse(stdout));
  expect(file.limits.map(({ id, limit }) => [id, limit])).toEqual([
    ['principal-second', 18],
    ['principal-minute', 18],
    // 12 calls of 120 tokens, as their outcomes told, and half as much again
    ['tenant-day-tokens', 2_200],
    ['high-value-day', 14],
    // by the list of the platform
    ['tenant-day-money', expect.any(Number)],
    ['principal-at-once', 2],
  ]);
  expect(file.prices?.models.map(({ model }) => model)).toEqual([ALLOWED.resource.id]);
  expect(stderr).toContain('money: priced as now');
  expect(stderr).toContain('together 0 of 12 logged calls');
  expect(stderr).toMatch(/principal-minute +any +1 +12 +12 +12 +12/);
  const pushed = await service.call('POST', '/v1/bundles?dryRun=true', {
    body: { manifest: { layer: 'tenant:globex', version: '2' }, files: { 'limits.json': stdout } },
  });
  expect(pushed.status).toBe(200);
});
