/** `duramen limits usage` and `reset` against a service. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { type LimitedService, startLimitedService, testClock } from '../edge/limited-service.ts';
import { ADMIN_KEY, ALLOWED } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

const LIMITS = {
  limits: [
    { id: 'burst', kind: 'window', unit: 'requests', limit: 2, per: '60s', key: ['principal'] },
    { id: 'gold', kind: 'window', unit: 'requests', limit: 9, per: '1h', key: [], sets: ['vip'] },
    { id: 'pair', kind: 'window', unit: 'requests', limit: 99, per: '1h', key: ['principal', 'model'] },
  ],
};

let service: LimitedService;
beforeAll(async () => {
  // a clock that stands: what is counted does not leave between two looks
  service = await startLimitedService(LIMITS, { clock: testClock(Date.parse('2026-03-10T12:00:00.000Z')) });
});
afterAll(() => service.stop());

async function cli(...args: readonly string[]) {
  const terminal = recordingTerminal({
    env: { DURAMEN_KEY: ADMIN_KEY, DURAMEN_URL: service.url },
    now: Date.now(),
  });
  const code = await runCli(['limits', ...args], terminal, 'test');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

const CALL = ['--principal', 'User:acme/alice', '--model', 'acme/support-llm'];

test('shows what was used, and lets it be forgotten with a reason', async () => {
  for (let at = 0; at < 2; at++) await service.decide(ALLOWED);
  expect(await service.code(ALLOWED)).toBe('RATE_LIMITED');
  const shown = await cli('usage', ...CALL);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/platform\/burst +2 +2 +requests +0 +60 s +principal +base 2/);
  expect(shown.stdout).not.toContain('platform/gold');
  const forgotten = await cli('reset', 'platform/burst', ...CALL, '--reason', 'ticket 4711');
  expect(forgotten.code).toBe(0);
  expect(forgotten.stdout).toMatch(/platform\/burst +2 +2 /);
  expect(await service.code(ALLOWED)).toBe('POLICY_ALLOW');
});

test('looks at limits of a set that is named', async () => {
  const { stdout } = await cli('usage', ...CALL, '--limit-set', 'platform/vip');
  expect(stdout).toMatch(/platform\/gold +0 +9 +requests +9 +all together/);
});

test('of a principal alone says what stands where, and of the rest what is missing', async () => {
  const { code, stdout, stderr } = await cli('usage', '--principal', 'User:acme/alice');
  expect(code).toBe(0);
  expect(stdout).toMatch(/platform\/burst +1 +2 /);
  expect(stdout).toMatch(/platform\/gold +0 +9 +.*only where a permit names it/);
  expect(stderr).toContain('platform/pair: say the model to see where it stands');
});

test('wants to know whose limits', async () => {
  const { code, stderr } = await cli('usage', '--action', 'generate');
  expect(code).not.toBe(0);
  expect(stderr).toContain('say whose limits');
});

test.each(['User::acme/alice', 'AI::User::acme/alice', 'acme/alice'])(
  'refuses the principal %s, and says how it is written',
  async principal => {
    const { code, stderr } = await cli('usage', '--principal', principal);
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('with one colon between them: User:acme/alice');
  },
);

test('wants a reason, and a limit that is there', async () => {
  expect((await cli('reset', 'platform/burst', ...CALL)).stderr).toContain('--reason');
  const { code, stderr } = await cli('reset', 'platform/none', ...CALL, '--reason', 'x');
  expect(code).not.toBe(0);
  expect(stderr).toContain('no limit `platform/none` would be charged');
});
