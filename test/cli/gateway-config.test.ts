/** `duramen gateway-config`: the files of deploy/, filled in. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { gatewayCatalog } from '../../src/cli/gateway-catalog.ts';
import { openPlaceholders } from '../../src/cli/gateway-template.ts';
import { runCli } from '../../src/cli/run.ts';
import { pepProfileSchema } from '../../src/domain/pep-profile.ts';
import { runsHere } from '../edge/ext-authz/gateway-process.ts';
import { recordingTerminal } from './recording-terminal.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const KEY = 'dmn_0123456789abcdef_secret';
const file = z.object({ path: z.string(), text: z.string() });
const printed = z.object({
  kind: z.string(),
  testedWith: z.string().nullable(),
  files: z.array(file),
  profile: file.extend({ name: z.string() }),
  open: z.array(z.string()),
});
const kinds = [...gatewayCatalog().keys()];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-gateway-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]) {
  const terminal = recordingTerminal({ env: { GATEWAY_KEY: KEY, EMPTY: '', ODD: 'a"b' } });
  const code = await runCli(['gateway-config', ...args], terminal, '0');
  return { code, out: terminal.stdout(), err: terminal.stderr() };
}

describe.each(kinds)('%s', kind => {
  test('without values is what lies in deploy/', async () => {
    const { files, profile } = printed.parse(JSON.parse((await run(kind, '--template', '-o', 'json')).out));
    for (const { path, text } of [...files, profile]) {
      expect(text).toBe(readFileSync(join(DEPLOY, path), 'utf8'));
    }
    const [main] = files;
    expect((await run(kind, '--template')).out).toBe(main?.text);
  });

  test('with every value has no placeholder left, under the name that was asked for', async () => {
    const values = {
      profile: 'my-edge',
      'key-env': 'GATEWAY_KEY',
      callers: '/etc/callers',
      modules: '/usr/lib/nginx/modules',
      script: '/etc/duramen',
      run: '/run/gateway',
      certificates: '/etc/certificates',
      ask: '127.0.0.1:9000',
    };
    const given = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
    const { code, out } = await run(kind, '-o', 'json', ...given);
    expect(code).toBe(0);
    const { files, profile, open } = printed.parse(JSON.parse(out));
    expect(open).toEqual([]);
    expect(files.flatMap(({ text }) => openPlaceholders(text))).toEqual([]);
    expect(pepProfileSchema.parse(parse(profile.text)).name).toBe('my-edge');
    const names = files.flatMap(({ text }) => [
      ...text.matchAll(/(?:\/ext-authz\/|\/hooks\/[a-z]+\/|duramen_profile: )([\w-]+)/g),
    ]);
    expect(names.map(([, name]) => name).filter(name => name !== 'my-edge')).toEqual([]);
  });
});

test('addresses go where they belong', async () => {
  const { out } = await run('envoy-grpc', '--listen', '[::1]:8443', '--grpc', 'pdp.example:8182');
  expect(out).toContain('{address: "::1", port_value: 8443}');
  expect(out).toContain('{address: "pdp.example", port_value: 8182}');
});

test('the script of Kong is written into its configuration', async () => {
  const value: unknown = parse((await run('kong')).out);
  const schema = z.object({
    services: z.array(
      z.object({ plugins: z.array(z.object({ config: z.object({ access: z.array(z.string()) }) })) }),
    ),
  });
  const [script] = schema.parse(value).services[0]?.plugins[0]?.config.access ?? [];
  expect(script?.trimEnd()).toBe(readFileSync(join(DEPLOY, 'kong/duramen.lua'), 'utf8').trimEnd());
});

describe('what is printed is loaded by', () => {
  const callers = {
    nginx: '"Bearer x" acme/alice;',
    caddy: '"Bearer x" acme/alice',
    haproxy: 'Bearer_x acme/alice',
  };
  const check = {
    nginx: (file: string, at: string) => ['-t', '-c', file, '-p', at, '-e', 'stderr'],
    caddy: (file: string) => ['validate', '--config', file, '--adapter', 'caddyfile'],
    haproxy: (file: string) => ['-c', '-f', file],
  };

  test.runIf(runsHere('njs') && runsHere('caddy') && runsHere('haproxy')).each([
    ['nginx', 'nginx', 'auth-request.conf'],
    ['nginx', 'nginx-njs', 'njs.conf'],
    ['caddy', 'caddy', 'Caddyfile'],
    ['haproxy', 'haproxy', 'haproxy.cfg'],
  ] as const)('%s: %s', async (program, kind, main) => {
    const target = join(folder, `loaded-${kind}`);
    const map = join(folder, `callers-${kind}`);
    writeFileSync(map, `${callers[program]}\n`);
    const places = ['--callers', map, '--run', target, '--modules', '/usr/lib/nginx/modules'];
    const script = ['--script', program === 'haproxy' ? join(target, 'duramen.lua') : target];
    const written = await run(kind, '--out', target, '--key-env', 'GATEWAY_KEY', ...places, ...script);
    expect(written.code).toBe(0);
    const args = check[program](join(target, main), target);
    const { status, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: folder, DURAMEN_URL: 'http://127.0.0.1:1', DURAMEN_KEY: KEY },
    });
    expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
  });
});

test('a key comes from the environment, and only where it was asked for', async () => {
  expect((await run('nginx')).out).toContain('@KEY@');
  expect((await run('nginx')).err).toContain('still to fill in: @KEY@ @CALLERS@ @RUN@');
  const filled = await run('nginx', '--key-env', 'GATEWAY_KEY');
  expect(filled.out).toContain(`X-Duramen-Key ${KEY};`);
  expect(filled.err).not.toContain(KEY);
  for (const variable of ['EMPTY', 'NONE', 'ODD']) {
    const refused = await run('nginx', '--key-env', variable);
    expect([refused.code, refused.out]).toEqual([64, '']);
    expect(refused.err).not.toContain('a"b');
  }
});

test('all files are written for their owner alone, over none that is there', async () => {
  const target = join(folder, 'njs');
  expect((await run('nginx-njs', '--out', target)).code).toBe(0);
  expect(readdirSync(target).toSorted()).toEqual(['duramen.njs', 'njs.conf', 'njs.profile.yaml']);
  expect(statSync(join(target, 'njs.conf')).mode & 0o777).toBe(0o600);
  const again = await run('nginx-njs', '--out', target, '--listen', '127.0.0.1:1');
  expect(again.code).toBe(1);
  expect(readFileSync(join(target, 'njs.conf'), 'utf8')).toContain('127.0.0.1:8080');
});

test.each([
  ['--listen', '127.0.0.1'],
  ['--listen', '127.0.0.1:0'],
  ['--pdp', 'pdp:70000'],
  ['--upstream', 'a b:80'],
  ['--callers', '/etc/x; return 200'],
  ['--callers', '/etc/x\nreturn'],
  ['--namespace', 'a"b'],
  ['--profile', 'Edge'],
  ['--profile', 'edge/../x'],
])('%s `%s` is refused', async (option, value) => {
  expect(await run('nginx', option, value)).toMatchObject({ code: 64, out: '' });
});

test('an unknown kind is told which there are', async () => {
  const { code, err } = await run('ngnix');
  expect(code).toBe(64);
  expect(err).toContain('did you mean `nginx`?');
  for (const kind of kinds) expect(err).toContain(kind);
  expect(existsSync(join(folder, 'ngnix'))).toBe(false);
});
