/** The configuration refuses what it does not know, says where each value came from, and hides secrets. */
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { renderReference } from '../../src/config/reference.ts';
import { listSettings } from '../../src/config/setting-list.ts';
import { parseListenAddress } from '../../src/config/listen-address.ts';
import { isNetwork } from '../../src/config/settings.ts';

const SECRET = 'Zb3-kkq0_mmT9wq8PPl2aa7vvXx51ccR';

function load(env: Record<string, string>, file = '') {
  return loadConfig({ env, readFile: () => file });
}

function refusal(env: Record<string, string>, file = ''): string {
  try {
    load(env, file);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('sources', () => {
  test('without any source every setting has its default', () => {
    const { config, effective } = load({ HOME: '/root' });
    expect(config.http.listen).toBe('127.0.0.1:8181');
    expect(config.dataDir).toBe('./data');
    expect(effective().every(({ source }) => source === 'default')).toBe(true);
  });

  test('the environment wins over the file, the file over the default, the command line over all', () => {
    const file = 'engine:\n  crossCheck: all\n  evaluator: wasm\nlog.level: warn\n';
    const env = { DURAMEN_CONFIG: '/etc/duramen.yaml', DURAMEN_ENGINE_CROSS_CHECK: 'off' };
    const loaded = loadConfig({ env, readFile: () => file, overrides: { 'log.level': 'debug' } });
    expect(loaded.config.engine).toMatchObject({ crossCheck: 'off', evaluator: 'wasm' });
    expect(loaded.config.log.level).toBe('debug');
    const source = new Map(loaded.effective().map(setting => [setting.name, setting.source]));
    expect(source.get('engine.crossCheck')).toBe('DURAMEN_ENGINE_CROSS_CHECK');
    expect(source.get('engine.evaluator')).toBe('/etc/duramen.yaml');
    expect(source.get('log.level')).toBe('command line');
    expect(source.get('dataDir')).toBe('default');
  });

  test('a JSON file is read like a YAML file', () => {
    const { config } = load({ DURAMEN_CONFIG: 'c.json' }, '{"http": {"trustedProxies": ["10.0.0.0/8"]}}');
    expect(config.http.trustedProxies).toEqual(['10.0.0.0/8']);
  });

  test('lists and integers are read from text', () => {
    const { config } = load({
      DURAMEN_HTTP_TRUSTED_PROXIES: '10.0.0.1, ::1/128',
      DURAMEN_SHUTDOWN_GRACE_SECONDS: '3',
    });
    expect(config.http.trustedProxies).toEqual(['10.0.0.1', '::1/128']);
    expect(config.shutdown.graceSeconds).toBe(3);
  });

  test('secrets are in force and not shown', () => {
    const { config, effective } = load({ DURAMEN_BOOTSTRAP_KEY: SECRET, DURAMEN_KEY_PEPPER: SECRET });
    expect(config.bootstrapKey).toBe(SECRET);
    expect(JSON.stringify(effective())).not.toContain(SECRET);
    expect(effective().find(({ name }) => name === 'keyPepper')?.value).toBe('(secret)');
  });
});

describe('refusals', () => {
  const file = { DURAMEN_CONFIG: 'c.yaml' };
  const cases: [name: string, env: Record<string, string>, file: string, says: RegExp][] = [
    ['an unknown variable', { DURAMEN_HTP_LISTEN: 'x' }, '', /did you mean `DURAMEN_HTTP_LISTEN`/],
    ['an unknown key in the file', file, 'http:\n  lisen: x\n', /`http.lisen` \(did you mean `http.listen`/],
    ['an unknown group in the file', file, 'enigne:\n  crossCheck: all\n', /unknown setting `enigne`/],
    ['a group that is a number', file, 'engine: 5\n', /unknown setting `engine`/],
    [
      'a key twice in the file',
      file,
      'dataDir: a\ndataDir: b\n',
      /cannot read the configuration file `c.yaml`/,
    ],
    ['a file that is a list', file, '- a\n', /must hold a mapping/],
    ['aliases in the file', file, 'a: &x [1]\nb: *x\n', /cannot read the configuration file/],
    ['a value outside the choices', { DURAMEN_ENGINE_EVALUATOR: 'fast' }, '', /allowed: compiled \| wasm/],
    ['a number out of range', { DURAMEN_SHUTDOWN_GRACE_SECONDS: '601' }, '', /allowed: 0 to 600/],
    [
      'text for a number',
      { DURAMEN_SHUTDOWN_GRACE_SECONDS: '5s' },
      '',
      /from DURAMEN_SHUTDOWN_GRACE_SECONDS/,
    ],
    ['a short bootstrap key', { DURAMEN_BOOTSTRAP_KEY: 'abcdefgh' }, '', /at least 32 characters/],
    ['a monotonous bootstrap key', { DURAMEN_BOOTSTRAP_KEY: 'a'.repeat(40) }, '', /8 different characters/],
    [
      'a proxy that is no network',
      { DURAMEN_HTTP_TRUSTED_PROXIES: 'proxy.local' },
      '',
      /must be an IP address/,
    ],
    ['a listener without a port', { DURAMEN_HTTP_LISTEN: 'localhost' }, '', /must be `host:port`/],
  ];
  test.each(cases)('%s stops the start', (_name, env, text, says) => {
    expect(refusal(env, text)).toMatch(says);
  });

  test('every problem is reported at once', () => {
    const message = refusal({ DURAMEN_NOPE: '1', DURAMEN_LOG_LEVEL: 'loud' });
    expect(message).toContain('DURAMEN_NOPE');
    expect(message).toContain('log.level');
  });

  test('the range of a setting is not told of what lies inside of it', () => {
    const profile = { name: 'edge', kind: 'envoy' };
    const given = [{ ...profile, maxBodyBytes: 5 }];
    const small = refusal({ DURAMEN_PEP_PROFILES: JSON.stringify(given) });
    expect(small).toContain('`pepProfiles[0].maxBodyBytes` from DURAMEN_PEP_PROFILES: must be at least 1024');
    expect(small).not.toContain('allowed:');
    const many = Array.from({ length: 257 }, (_, at) => ({ ...profile, name: `p${at}` }));
    expect(refusal({ DURAMEN_PEP_PROFILES: JSON.stringify(many) })).toContain('allowed: at most 256');
  });

  test('a refused secret is not repeated in the message', () => {
    expect(refusal({ DURAMEN_BOOTSTRAP_KEY: 'hunter2-canary' })).not.toContain('canary');
  });

  test('an unreadable file is named with its cause', () => {
    const read = () => {
      throw new Error('no such file');
    };
    expect(() => loadConfig({ env: { DURAMEN_CONFIG: 'gone.yaml' }, readFile: read })).toThrow(
      'cannot read the configuration file `gone.yaml`: no such file',
    );
  });
});

test('the reference names every setting, its variable and its default', () => {
  const text = renderReference();
  for (const setting of listSettings()) {
    expect(text).toContain(`## ${setting.name}\n`);
    expect(text).toContain(setting.env);
    expect(setting.description).not.toBe('');
  }
});

test.each([
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['[::1]:8181', { host: '::1', port: 8181 }],
  ['localhost:65535', { host: 'localhost', port: 65_535 }],
  ['localhost:65536', undefined],
  ['::1:8181', undefined],
  ['[zz]:1', undefined],
])('the listen address %s is taken apart', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
});

test.each([
  ['10.0.0.0/8', true],
  ['::/0', true],
  ['10.0.0.1', true],
  ['10.0.0.0/33', false],
  ['10.0.0.0/8/8', false],
  ['host/8', false],
])('%s is a network: %s', (text, expected) => {
  expect(isNetwork(text)).toBe(expected);
});
