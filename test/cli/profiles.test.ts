/** `duramen profile` against a running service. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.ts';
import { ADMIN_KEY, startTestService, type TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startTestService();
  folder = mkdtempSync(join(tmpdir(), 'duramen-profiles-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

async function run(...args: string[]) {
  const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY } });
  const code = await runCli(['profile', ...args], terminal, '0');
  return { code, out: terminal.stdout(), err: terminal.stderr() };
}

function file(text: string): string {
  const path = join(folder, 'profile');
  writeFileSync(path, text);
  return path;
}

test('a profile is put, shown, listed and removed', async () => {
  const yaml = file(
    'kind: envoy\nbody: flagged\nidentity: {mode: assert, principal: x-user}\ndialects: [openai]\n',
  );
  const created = await run('put', 'edge', '-f', yaml, '--revision', '0');
  expect([created.code, created.err]).toEqual([0, 'profile edge is in force at revision 1\n']);
  const shown = await run('get', 'edge', '-o', 'json');
  expect(JSON.parse(shown.out)).toMatchObject({
    profile: { kind: 'envoy', body: 'flagged' },
    origin: 'api',
    readOnly: false,
    revision: 1,
  });
  expect((await run('list')).out).toMatch(/edge\s+envoy\s+key\s+assert\s+openai\s+api\s+1/);
  expect((await run('delete', 'edge', '--revision', '1')).code).toBe(0);
  expect((await run('list')).err).toContain('nothing found');
});

test('a change of what somebody else changed is refused', async () => {
  const json = file('{"name":"race","kind":"caddy"}');
  await run('put', 'race', '-f', json);
  const late = await run('put', 'race', '-f', json, '--revision', '1');
  expect([late.code, late.err.includes('PRECONDITION_FAILED')]).toEqual([1, true]);
});

test('every fault of a profile is shown with its place', async () => {
  const wrong = await run('put', 'bad', '-f', file('{"kind":"envoi","ip":"X-Real-IP"}'));
  expect(wrong.code).toBe(3);
  expect(wrong.err).toContain('/kind');
  expect(wrong.err).toContain('did you mean `envoy`?');
  expect(wrong.err).toContain('/ip');
});

test.each([
  ['a key twice', 'kind: envoy\nkind: nginx\n', 3],
  ['an alias', 'kind: &a envoy\nenv: *a\n', 3],
  ['a list', '[]', 3],
  ['the name of another', 'name: other\nkind: envoy\n', 3],
])('a file with %s is not sent', async (_what, text, code) => {
  const before = (await run('list', '-o', 'json')).out;
  expect((await run('put', 'edge', '-f', file(text))).code).toBe(code);
  expect((await run('list', '-o', 'json')).out).toBe(before);
});

test('a revision that is none is a usage error', async () => {
  expect((await run('put', 'edge', '-f', file('kind: envoy'), '--revision', 'x')).code).toBe(64);
});
