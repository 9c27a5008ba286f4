/** `duramen load` against a running service. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.ts';
import { ADMIN_KEY, startTestService, type TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ filled: true });
});
afterAll(() => service.stop());

async function run(...args: string[]) {
  const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY } });
  const code = await runCli(['load', ...args], terminal, '0');
  return { code, out: terminal.stdout(), err: terminal.stderr() };
}

test('a load is reported and shown', async () => {
  expect((await run('show')).err).toContain('nothing found');
  const reported = await run('report', '--model', 'acme/support-llm', '--gpu', '40', '--queue', '3');
  expect(reported.code).toBe(0);
  expect(reported.out).toMatch(/acme\/support-llm +1 +40 +- +3/);
  expect((await run('show')).out).toMatch(/acme\/support-llm +1 +40 +- +3/);
  const json = await run('show', '-o', 'json');
  expect(JSON.parse(json.out)).toMatchObject({ items: [{ model: 'acme/support-llm', gpuPercent: 40 }] });
});

test('a group of models is told apart from a model', async () => {
  const reported = await run('report', '--model-group', 'acme/shared', '--kv-cache', '7', '--ttl', '60');
  expect(reported.out).toContain('acme/shared (group)');
});

test.each([
  ['a number that is none', ['--model', 'acme/support-llm', '--gpu', 'much'], 64],
  ['nothing to report', ['--model', 'acme/support-llm'], 1],
  ['a model that is none', ['--model', 'acme/nothing', '--gpu', '1'], 1],
])('%s is refused', async (_, args, code) => expect((await run('report', ...args)).code).toBe(code));
