/** `duramen revocation` against a running service. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { ADMIN_KEY, startTestService, type TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';

let service: TestService;
beforeAll(async () => {
  const issuer = {
    name: 'sso',
    issuer: 'https://sso.acme.example',
    jwksUri: 'https://sso.acme.example/keys',
    audiences: ['https://duramen.example'],
    tenants: ['acme'],
  };
  service = await startTestService({ env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([issuer]) } });
});
afterAll(() => service.stop());

async function cli(...args: string[]) {
  const terminal = recordingTerminal({ env: { DURAMEN_URL: service.url, DURAMEN_KEY: ADMIN_KEY } });
  const code = await runCli(['revocation', ...args], terminal, '0.0.0-test');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

test.each(['token', 'subject', 'client'])('a %s is revoked, and listed from then on', async kind => {
  const value = `${kind}-4711`;
  const made = await cli(
    'create',
    '--issuer',
    'sso',
    '--kind',
    kind,
    '--value',
    value,
    '--reason',
    'left',
    '-o',
    'json',
  );
  expect(made.code).toBe(EXIT.ok);
  expect(JSON.parse(made.stdout)).toMatchObject({
    issuer: 'https://sso.acme.example',
    kind,
    value,
    reason: 'left',
  });
  const { stdout } = await cli('list');
  expect(stdout).toContain(value);
  expect(stdout).toMatch(/^AT +ISSUER +KIND +VALUE +UNTIL +BY +REASON\n/);
});

test.each([
  [
    'an issuer that is none',
    ['--issuer', 'none', '--kind', 'token', '--value', 'x', '--reason', 'r'],
    EXIT.failure,
  ],
  ['a kind that is none', ['--issuer', 'sso', '--kind', 'key', '--value', 'x', '--reason', 'r'], EXIT.usage],
  ['no reason', ['--issuer', 'sso', '--kind', 'token', '--value', 'x'], EXIT.usage],
])('%s is refused', async (_name, args, code) => {
  expect((await cli('create', ...args)).code).toBe(code);
});
