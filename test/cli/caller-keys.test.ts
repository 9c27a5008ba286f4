/** `duramen caller-key` against a running service: what it prints, where, and how it ends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { ADMIN_KEY, startTestService, type TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ filled: true });
});
afterAll(() => service.stop());

async function cli(args: readonly string[], stdin = '') {
  const env = { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY };
  const terminal = recordingTerminal({ env, stdin, now: Date.now() });
  const code = await runCli(['caller-key', ...args], terminal, '0.0.0-test');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
const create = (...args: string[]) =>
  cli(['create', '--owner', 'User:acme/alice', '--expires', inDays(5), ...args]);
const recordSchema = z.looseObject({ id: z.string(), scopes: z.unknown(), networks: z.unknown() });
const listSchema = z.object({ items: z.array(recordSchema) });

async function list(...args: string[]) {
  return listSchema.parse(JSON.parse((await cli(['list', '-o', 'json', ...args])).stdout)).items;
}

test('a new key goes to stdout alone, what is said about it to stderr', async () => {
  const { code, stdout, stderr } = await create();
  expect(code).toBe(EXIT.ok);
  expect(stdout).toMatch(/^dmc_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\n$/);
  expect(stderr).toContain('shown this once');
  expect(stderr).not.toContain(stdout.slice(21, 40));
});

test('options narrow it: together they are one alternative', async () => {
  const narrowed = '--action generate --action embed --model acme/support-llm --network 10.0.0.0/8';
  const { stdout } = await create(...narrowed.split(' '), '--oauth-scope', 'payments:refund', '-o', 'json');
  expect(JSON.parse(stdout)).toMatchObject({
    scopes: [{ actions: ['generate', 'embed'], models: ['acme/support-llm'] }],
    networks: ['10.0.0.0/8'],
    oauthScopes: ['payments:refund'],
  });
});

test('keys are listed, rotated and revoked', async () => {
  const made = recordSchema.parse(JSON.parse((await create('-o', 'json')).stdout));
  const rotated = await cli(['rotate', made.id, '--overlap', '60', '-o', 'json']);
  const next = recordSchema.parse(JSON.parse(rotated.stdout));
  expect(next).toMatchObject({ replaces: made.id });
  expect((await list('--owner', 'User:acme/alice')).map(({ id }) => id)).toEqual(
    expect.arrayContaining([made.id, next.id]),
  );
  expect(await list('--unused-since', inDays(-1))).toEqual([]);
  expect((await list('--expires-before', inDays(1))).map(({ id }) => id)).toEqual([made.id]);
  expect((await cli(['revoke', next.id, '--reason', 'done'])).stderr).toBe(`key ${next.id} is revoked\n`);
  const table = await cli(['list', '--state', 'revoked']);
  expect(table.stdout).toContain(next.id);
  expect(table.stdout).toContain('User:acme/alice');
});

test('every key of an owner is revoked at once', async () => {
  await create();
  const { code, stdout } = await cli(['revoke-all', '--owner', 'User:acme/alice', '--reason', 'left']);
  expect(code).toBe(EXIT.ok);
  expect(stdout).toMatch(/REVOKED\n\d+\n/);
  expect(await list('--state', 'active')).toEqual([]);
});

test('leaked texts are read from a file or stdin, and the verdict names the key', async () => {
  const [one, two] = [await create(), await create()];
  const file = join(service.folder, 'leaked');
  writeFileSync(file, `${one.stdout}\nnot a key\n`);
  const fromFile = await cli(['report-leak', '--file', file, '--source', 'commit']);
  expect(fromFile.stdout).toContain(`true_positive   ${one.stdout.slice(4, 20)}`);
  expect(fromFile.stdout).toContain('false_positive');
  const fromStdin = await cli(['report-leak', '--file', '-'], two.stdout);
  expect(fromStdin.stdout).toContain(two.stdout.slice(4, 20));
  expect((await list('--state', 'leaked')).length).toBe(2);
});

test.each([
  ['an owner without a type', ['create', '--owner', 'alice', '--expires', inDays(1)]],
  ['an overlap that is no number', ['rotate', 'x', '--overlap', 'a day']],
  ['no expiry', ['create', '--owner', 'User:acme/alice']],
  ['a report of nothing', ['report-leak', '--file', '-']],
])('%s is a usage error', async (_, args) => {
  expect((await cli(args)).code).toBe(EXIT.usage);
});
