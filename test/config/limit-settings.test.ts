/** The settings of the shared store of limits: which addresses are taken, and what has to be set together. */
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { parseRedisUrl } from '../../src/config/limit-settings.ts';

const problemsOf = (env: Readonly<Record<string, string>>): string => {
  try {
    loadConfig({ env, readFile: () => '' });
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
};

describe('an address of Redis', () => {
  test.each([
    ['redis://127.0.0.1', { host: '127.0.0.1', port: 6379, tls: false }],
    ['redis://cache.example:7000', { host: 'cache.example', port: 7000, tls: false }],
    ['rediss://cache.example:6380/', { host: 'cache.example', port: 6380, tls: true }],
    ['rediss://[2001:db8::1]:6380', { host: '2001:db8::1', port: 6380, tls: true }],
  ])('%s is taken', (text, address) => expect(parseRedisUrl(text)).toEqual(address));

  test.each([
    'redis://:secret@cache.example',
    'redis://user:secret@cache.example',
    'redis://cache.example/1',
    'redis://cache.example?db=1',
    'http://cache.example',
    'cache.example:6379',
    'redis://',
    '',
  ])('`%s` is none', text => expect(parseRedisUrl(text)).toBeUndefined());
});

describe('the settings', () => {
  test('name no Redis unless they are set', () => {
    expect(loadConfig({ env: {}, readFile: () => '' }).config.limits.redis).toEqual({
      nodes: [],
      topology: 'single',
      prefix: 'duramen',
      timeoutMs: 50,
      servers: 1,
    });
  });

  test('take the seeds of a cluster from the environment', () => {
    const env = {
      DURAMEN_LIMITS_REDIS_NODES: 'redis://10.0.0.1:7000,redis://10.0.0.2:7000',
      DURAMEN_LIMITS_REDIS_TOPOLOGY: 'cluster',
    };
    expect(problemsOf(env)).toBe('');
  });

  test.each([
    [{ NODES: 'redis://10.0.0.1,redis://10.0.0.2' }, 'must be one address'],
    [{ NODES: 'redis://10.0.0.1,rediss://10.0.0.2', TOPOLOGY: 'cluster' }, 'TLS for all nodes or for none'],
    [{ NODES: 'redis://me:pass-in-an-address@10.0.0.1' }, 'without credentials'],
    [{ CERTIFICATE: '/tls/own.pem' }, 'together with `limits.redis.certificate`'],
    [{ USERNAME: 'duramen' }, 'together with `limits.redis.username`'],
    [{ PREFIX: 'a}b' }, 'small letters'],
    [{ TIMEOUT_MS: '1' }, 'limits.redis.timeoutMs'],
  ])('%j is refused', (redis, reason) => {
    const env = Object.fromEntries(
      Object.entries(redis).map(([name, value]) => [`DURAMEN_LIMITS_REDIS_${name}`, value]),
    );
    const problems = problemsOf(env);
    expect(problems).toContain(reason);
    expect(problems).not.toContain('pass-in-an-address');
  });

  test('never show the password', () => {
    const { effective } = loadConfig({
      env: { DURAMEN_LIMITS_REDIS_PASSWORD: 'not-to-be-seen' },
      readFile: () => '',
    });
    expect(JSON.stringify(effective())).not.toContain('not-to-be-seen');
  });
});
