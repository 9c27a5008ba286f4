/** The commands against a running service: what they print, where, and how they end. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT, type ExitCode } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { loadConfig } from '../../src/config.ts';
import { type RunningService, startService } from '../../src/main.ts';
import { recordingTerminal } from './recording-terminal.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const ADMIN_KEY = 'command-test-admin-key-0123456789abcdef';
const DIGEST = /sha256:[0-9a-f]{64}/;

let folder: string;
let service: RunningService;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-cli-'));
  const { config } = loadConfig({
    env: {
      DURAMEN_DATA_DIR: join(folder, 'data'),
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'silent',
    },
    readFile: () => '',
  });
  service = await startService(config, { writeLog: () => undefined });
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    const pushed = await cli('push', join(REPOSITORY, 'policies', name), '--activate');
    if (pushed.code !== EXIT.ok) throw new Error(pushed.stderr);
  }
  const imported = await cli('import', join(REPOSITORY, 'src/demo/directory.ndjson'), '-o', 'json');
  if (imported.code !== EXIT.ok) throw new Error(imported.stderr);
});

afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true });
});

interface Ended {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

function cli(...args: string[]): Promise<Ended> {
  return cliWith({ DURAMEN_KEY: ADMIN_KEY }, ...args);
}

async function cliWith(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended> {
  const terminal = recordingTerminal({
    env: { DURAMEN_URL: service.url, ...env },
    stdin: JSON.stringify(ASKED),
    now: Date.now(),
  });
  const code = await runCli(args, terminal, '0.0.0-test');
  // what a command has to say is never cut off, however it ends
  expect(terminal.isCutShort()).toBe(false);
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

const ASKED = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
};
const ALICE = ['--principal', 'User:acme/alice'];

describe('decide', () => {
  test('ends with 0 for an allow and shows each check', async () => {
    const { code, stdout, stderr } = await cli('decide', '--file', '-');
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain('✓ allow  POLICY_ALLOW at level action');
    expect(stdout).toContain('✓ tenant   useTenant AI::Tenant::"acme"  tenant:acme/acme.members');
    expect(stderr).toBe('');
  });

  test('ends with 2 for a deny and says what was missing', async () => {
    const asked = [...ALICE, '--action', 'classify', '--resource', 'Model:acme/card-fraud'];
    const { code, stdout } = await cli('decide', ...asked);
    expect(code).toBe(EXIT.deny);
    expect(stdout).toContain('✗ deny  NO_MATCHING_PERMIT at level endpoint');
    expect(stdout).toContain(
      'nearest: tenant:acme/acme.org-pattern: `principal.clearance >= resource.risk` is false',
    );
  });

  test('prints the decision itself as JSON', async () => {
    const { code, stdout } = await cli('decide', '--file', '-', '-o', 'json');
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(stdout)).toMatchObject({ decision: 'allow', reason: { code: 'POLICY_ALLOW' } });
  });

  test('ends with 1 when the request is malformed, and names the place', async () => {
    const file = join(folder, 'bad.json');
    writeFileSync(file, JSON.stringify({ ...ASKED, principle: 'alice' }));
    const { code, stderr } = await cli('decide', '--file', file);
    expect(code).toBe(EXIT.failure);
    expect(stderr).toContain('principle');
    expect(stderr).toContain('did you mean');
  });
});

describe('bundles', () => {
  const acme = join(REPOSITORY, 'policies/tenants/acme');

  test('pushing the same again changes nothing', async () => {
    const { code, stdout } = await cli('push', acme, '-o', 'json');
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(stdout)).toMatchObject({ layer: 'tenant:acme', state: 'active' });
  });

  test('a bundle is staged, activated with a reason, and rolled back', async () => {
    const next = join(folder, 'next');
    cpSync(acme, next, { recursive: true });
    writeFileSync(join(next, 'manifest.json'), '{"layer": "tenant:acme", "version": "2.0.0"}');
    const staged = await cli('push', next);
    expect(staged.stdout).toContain('staged');
    expect(staged.stderr).toContain(`activate ${DIGEST.exec(staged.stdout)?.[0]} --reason `);
    const digest = DIGEST.exec(staged.stdout)?.[0] ?? '';
    const late = await cli('activate', digest, '--reason', 'first', '--expected-active', 'none');
    expect(late.code).toBe(EXIT.failure);
    const activated = await cli('activate', digest, '--reason', 'a new version');
    expect(activated.stdout).toContain('a new version');
    const other = `sha256:${'0'.repeat(64)}`;
    const refused = await cli('rollback', 'tenant:acme', '--reason', 'too late', '--expected-active', other);
    expect([refused.code, refused.stderr]).toEqual([
      EXIT.failure,
      expect.stringContaining('ACTIVATION_CONFLICT'),
    ]);
    const rolledBack = await cli(
      'rollback',
      'tenant:acme',
      '--reason',
      'too early',
      '--expected-active',
      digest,
    );
    expect(rolledBack.stdout).toContain('rollback');
    const history = await cli('layers', 'tenant:acme');
    const kinds = history.stdout
      .split('\n')
      .slice(1)
      .map(line => /rollback|activate /.exec(line)?.[0]?.trim());
    expect(kinds.filter(kind => kind !== undefined)).toEqual(['rollback', 'activate', 'activate']);
  });

  test('a refused bundle ends with 3, a failing test with 4', async () => {
    const bad = join(folder, 'bad');
    cpSync(acme, bad, { recursive: true });
    writeFileSync(join(bad, 'policies/open.cedar'), '@id("open")\npermit (principal, action, resource);\n');
    const refused = await cli('push', bad, '--dry-run');
    expect(refused.code).toBe(EXIT.invalid);
    expect(refused.stderr).toContain('policies/open.cedar:1:1');
    writeFileSync(
      join(bad, 'policies/open.cedar'),
      '@id("open")\n@reason("all")\npermit (principal, action, resource in AI::Tenant::"acme");\n',
    );
    expect((await cli('push', bad, '--dry-run')).code).toBe(EXIT.testsFailed);
  });

  test('layers lists what is active', async () => {
    const { stdout } = await cli('layers');
    const layers = stdout
      .split('\n')
      .slice(1)
      .map(line => line.split(' ')[0]);
    expect(layers.filter(layer => layer !== '')).toEqual(['platform', 'tenant:acme', 'tenant:globex']);
  });

  test('a rollback warns of what active layers rely on and is gone', async () => {
    const wider = join(folder, 'wider');
    cpSync(join(REPOSITORY, 'policies/platform'), wider, { recursive: true });
    const limits = z
      .looseObject({ limits: z.array(z.looseObject({ id: z.string() })) })
      .parse(JSON.parse(readFileSync(join(wider, 'limits.json'), 'utf8')));
    const more = { ...limits, limits: [...limits.limits, { ...limits.limits[0], id: 'extra' }] };
    writeFileSync(join(wider, 'limits.json'), JSON.stringify(more));
    expect((await cli('push', wider, '--activate')).code).toBe(EXIT.ok);
    const relying = join(folder, 'relying');
    mkdirSync(relying);
    writeFileSync(join(relying, 'manifest.json'), '{"layer": "tenant:initech", "version": "1"}');
    writeFileSync(join(relying, 'limits.json'), '{"tighten": [{"limit": "extra", "to": 1}]}');
    expect((await cli('push', relying, '--activate')).code).toBe(EXIT.ok);
    const { code, stdout, stderr } = await cli('rollback', 'platform', '--reason', 'too wide', '-o', 'json');
    expect(code).toBe(EXIT.ok);
    expect(stderr).toContain(
      'warning: tenant:initech/limits.json: `tighten` lowers limit `extra`, which is gone',
    );
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'rollback', warnings: [{}] });
  });
});

describe('config', () => {
  const settings = z.object({ settings: z.array(z.object({ name: z.string(), value: z.unknown() })) });

  test('as JSON has values as values, and hides secrets', async () => {
    const env = { DURAMEN_DATA_DIR: '/srv/duramen', DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY };
    const { code, stdout } = await cliWith(env, 'config', '-o', 'json');
    expect(code).toBe(EXIT.ok);
    const found = new Map(settings.parse(JSON.parse(stdout)).settings.map(one => [one.name, one.value]));
    expect(found.get('dataDir')).toBe('/srv/duramen');
    expect(found.get('bootstrapKey')).toBe('(secret)');
    expect(found.get('keyPepper')).toBeNull();
    expect([...found.values()].some(value => typeof value === 'number')).toBe(true);
    expect((await cliWith(env, 'config')).stdout).toContain('"/srv/duramen"');
  });
});

describe('import', () => {
  test('counts what it replaced', async () => {
    const { code, stdout } = await cli('import', join(REPOSITORY, 'src/demo/directory.ndjson'), '-o', 'json');
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(stdout)).toMatchObject({ created: 0, replaced: 47 });
  });

  test('ends with 3 and the line of what is wrong, and changes nothing', async () => {
    const file = join(folder, 'bad.ndjson');
    writeFileSync(file, '{"type":"Team","id":"acme/new"}\n{"type":"User","id":"acme/new","attributes":{}}\n');
    const { code, stderr } = await cli('import', file);
    expect(code).toBe(EXIT.invalid);
    expect(stderr).toContain('  line 2 /attributes/clearance: the attribute `clearance` is missing\n');
    const asked = ['--principal', 'Team:acme/new', '--action', 'invoke', '--resource', 'Model:acme/fraud'];
    expect((await cli('decide', ...asked)).stdout).toContain('UNKNOWN_PRINCIPAL');
  });

  test('a file that is not there is a usage error', async () => {
    expect((await cli('import', join(folder, 'nothing'))).code).toBe(EXIT.usage);
  });

  test('with a key that is limited to a tenant does not change what the tenant is', async () => {
    const made = await cli('key', 'create', '--role', 'directory', '--tenant', 'acme', '-o', 'json');
    const { key } = z.looseObject({ key: z.string() }).parse(JSON.parse(made.stdout));
    const file = join(folder, 'own-tenant.ndjson');
    writeFileSync(file, '{"type":"Tenant","id":"acme","attributes":{"plan":"unlimited"}}\n');
    const { code, stderr } = await cliWith({ DURAMEN_KEY: key }, 'import', file);
    expect(code).toBe(EXIT.invalid);
    expect(stderr).toContain('builtin/tenant-itself');
  });
});

describe('keys', () => {
  test('a new key goes alone to stdout, works, and stops working when it is revoked', async () => {
    const made = await cli(
      'key',
      'create',
      '--role',
      'pep',
      '--tenant',
      'acme',
      '--description',
      'a gateway',
    );
    const key = made.stdout.trim();
    expect(key).toMatch(/^dmn_\S+$/);
    expect(made.stderr).not.toContain(key);
    expect((await cliWith({ DURAMEN_KEY: key }, 'decide', '--file', '-')).code).toBe(EXIT.ok);

    const list = await cli('key', 'list', '-o', 'json');
    const { items } = z
      .object({ items: z.array(z.object({ id: z.string(), description: z.string() })) })
      .parse(JSON.parse(list.stdout));
    const id = items.find(({ description }) => description === 'a gateway')?.id ?? '';
    expect((await cli('key', 'revoke', id)).code).toBe(EXIT.ok);
    const refused = await cliWith({ DURAMEN_KEY: key }, 'decide', '--file', '-');
    expect(refused.code).toBe(EXIT.failure);
    expect(refused.stderr).toContain('DURAMEN_KEY is not a valid key');
    expect((await cli('key', 'list')).stdout).toContain('revoked');
  });

  test('without a key the hint says how to get one', async () => {
    const { code, stderr } = await cliWith({}, 'layers');
    expect(code).toBe(EXIT.failure);
    expect(stderr).toContain('duramen key create');
  });
});

const erasedSchema = z.object({
  entityDeleted: z.boolean(),
  stillNamedBy: z.object({ bundles: z.number() }),
});

describe('audit', () => {
  test('verifies an input without sending it, and ends with 5 when it is another', async () => {
    const hash = 'sha256:43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777';
    const request = JSON.stringify({ ...ASKED, input: { hash } });
    const file = join(folder, 'request.json');
    writeFileSync(file, request);
    const decided = await cli('decide', '--file', file, '-o', 'json');
    const { decisionId } = z.object({ decisionId: z.string() }).parse(JSON.parse(decided.stdout));
    const input = (text: string): string => {
      writeFileSync(join(folder, 'input.json'), text);
      return join(folder, 'input.json');
    };
    const verify = (...args: string[]) => cli('audit', 'verify-input', decisionId, ...args);
    expect(await verify('--hash', hash)).toMatchObject({ code: EXIT.ok, stderr: '' });
    expect((await verify('--json', input('{ "b": 2, "a": 1 }'))).code).toBe(EXIT.ok);
    expect((await verify('--text', input('{"a":1,"b":2}'))).code).toBe(EXIT.ok);
    const other = await verify('--json', input('{"a":1,"b":3}'), '-o', 'json');
    expect(other.code).toBe(EXIT.notVerified);
    expect(JSON.parse(other.stdout)).toEqual({ decisionId, matches: false });
    expect((await verify('--json', input('{"a":1,"a":1}'))).code).toBe(EXIT.usage);
    expect((await verify()).code).toBe(EXIT.usage);
  });

  test('forgets a principal, says what is left to do, and refuses a living one', async () => {
    const erase = (...args: string[]) => cli('audit', 'erase', 'User:acme/bob', '--reason', 't1', ...args);
    const living = await erase();
    expect(living.code).toBe(EXIT.failure);
    expect(living.stderr).toContain('delete');
    const { code, stdout, stderr } = await erase('--delete-entity', '-o', 'json');
    expect(code).toBe(EXIT.ok);
    const { entityDeleted, stillNamedBy } = erasedSchema.parse(JSON.parse(stdout));
    expect(entityDeleted).toBe(true);
    expect(stillNamedBy.bundles).toBeGreaterThan(0);
    expect(stderr).toContain(`${stillNamedBy.bundles} stored bundles name it`);
    expect((await cli('audit', 'erase', 'alice', '--reason', 't1')).code).toBe(EXIT.usage);
  });
});

describe('log', () => {
  test('finds decisions by their filters, prints one, and finds events', async () => {
    const asked = [...ALICE, '--action', 'paint', '--resource', 'Model:acme/fraud'];
    const decided = await cli('decide', ...asked, '-o', 'json');
    const { decisionId } = z.object({ decisionId: z.string() }).parse(JSON.parse(decided.stdout));
    const found = await cli(
      'log',
      'query',
      '--since',
      '1h',
      '--code',
      'UNKNOWN_ACTION',
      '--principal',
      'acme/alice',
    );
    expect(found.stdout.split('\n')[0]).toMatch(/^INDEX +TIME +DECISION +CODE/);
    expect(found.stdout).toMatch(/deny +UNKNOWN_ACTION +action +User:acme\/alice +paint +Model:acme\/fraud/);
    const one = await cli('log', 'get', decisionId);
    expect(JSON.parse(one.stdout)).toMatchObject({ decisionId, decision: 'deny' });
    const events = await cli('log', 'events', '--kind', 'entity.import');
    expect(events.stdout).toContain('entity.import');
  });

  test('says when there is no such decision', async () => {
    const { code, stderr } = await cli('log', 'get', '01900000-0000-7000-8000-000000000000');
    expect(code).toBe(EXIT.failure);
    expect(stderr).toContain('there is no decision');
  });
});

describe('usage', () => {
  test.each([
    [[], 'Usage: duramen'],
    [['decidee'], 'Did you mean decide?'],
    [['push'], "missing required argument 'dir'"],
    [['layers', '-o', 'xml'], 'Allowed choices are table, json'],
    [['rollback', 'platform'], "required option '--reason <text>'"],
    [['rollback', 'platform'], '(duramen rollback --help says more)'],
    [['log', 'query', '--decisions', 'deny'], '(duramen log query --help says more)'],
    [['layers', '--url', 'nowhere'], '`nowhere` is not an address'],
  ])('%j ends with 64', async (args, message) => {
    const { code, stdout, stderr } = await cli(...args);
    expect(code).toBe(EXIT.usage);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  test('asking for help is no error', async () => {
    const { code, stdout } = await cli('push', '--help');
    expect(code).toBe(EXIT.ok);
    expect(stdout).toContain('--activate');
  });
});
