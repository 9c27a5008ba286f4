/** A folder in the place of a file that the service needs: the start ends in one line that says where and what to do. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { ADMIN_KEY, startTestService, temporaryFolder } from './service.ts';

const made = temporaryFolder();
let folder: string;
let somewhere: string;
beforeAll(async () => {
  await (await startTestService({ folder: made })).stop();
});
beforeEach(() => {
  folder = temporaryFolder();
  somewhere = join(folder, 'a-folder');
  cpSync(made, folder, { recursive: true });
  mkdirSync(somewhere);
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => rmSync(made, { recursive: true }));

/** What the command says when it does not start. */
async function start(env: Readonly<Record<string, string>> = {}) {
  const terminal = recordingTerminal({
    env: {
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'silent',
      ...env,
    },
  });
  const code = await runCli(['serve'], terminal, '0');
  const said = terminal.stderr();
  expect(said).not.toContain('please report it');
  return { code, said };
}

test.each([
  ['pepper', /`\S+pepper` is not a file: move it away, and restore the file from a backup/],
  ['caller-key-peppers', /`\S+caller-key-peppers` is not a file: move it away/],
  ['limits.secret', /`\S+limits\.secret` is not a file: move it away/],
  ['log-signing-key', /`\S+log-signing-key` is not a file: move it away/],
  ['state.db', /`\S+state\.db` cannot be opened: EISDIR.*put the database back from a backup/],
  ['subjects.db', /`\S+subjects\.db` cannot be opened: EISDIR.*put the database back from a backup/],
  ['log/tiles.db', /`\S+tiles\.db` cannot be written: EISDIR/],
  ['anchor.checkpoint', /`\S+anchor\.checkpoint` is not a file/],
])('in the data folder: %s', async (name, says) => {
  rmSync(join(folder, name));
  mkdirSync(join(folder, name));
  const { code, said } = await start();
  expect([code, said]).toEqual([1, expect.stringMatching(says)]);
});

const introspecting = (file: string) =>
  JSON.stringify([
    {
      name: 'opaque',
      issuer: 'https://issuer.example',
      audiences: ['duramen'],
      tenants: ['acme'],
      introspection: { url: 'https://issuer.example/introspect', clientId: 'd', clientSecretFile: file },
    },
  ]);

test.each<[setting: string, env: (file: string) => Record<string, string>]>([
  ['tls', file => ({ DURAMEN_TLS_CERTIFICATE: file, DURAMEN_TLS_KEY: file })],
  ['grpc.tls', file => ({ DURAMEN_GRPC_TLS_CERTIFICATE: file, DURAMEN_GRPC_TLS_KEY: file })],
  ['identity.revocationLists', file => ({ DURAMEN_IDENTITY_REVOCATION_LISTS: file })],
  ['identity.certificateDenyList', file => ({ DURAMEN_IDENTITY_CERTIFICATE_DENY_LIST: file })],
  [
    'identity.authorities',
    file => ({ DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([{ name: 'a', ca: [file] }]) }),
  ],
  ['identity.issuers', file => ({ DURAMEN_IDENTITY_ISSUERS: introspecting(file) })],
  ['DURAMEN_CONFIG', file => ({ DURAMEN_CONFIG: file })],
])('where the setting `%s` wants a file', async (_setting, env) => {
  const { code, said } = await start(env(somewhere));
  expect([code, said]).toEqual([
    3,
    expect.stringMatching(/the configuration is not valid\n.*a-folder.*EISDIR.*\n.*hint: /),
  ]);
  // one that is missing is told in the same way
  const missing = await start(env(`${somewhere}/missing`));
  expect([missing.code, missing.said]).toEqual([3, expect.stringMatching(/missing.*ENOENT.*\n.*hint: /)]);
});
