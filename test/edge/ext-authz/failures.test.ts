/** When no decision can be made: closed, in the way that each gateway takes for closed. */
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import { PEP_KINDS, pepProfileSchema, pepProfilesSchema } from '../../../src/domain/pep-profile.ts';
import { REASON_CODES } from '../../../src/domain/reason.ts';
import { answerFailure } from '../../../src/edge/ext-authz/answer.ts';
import { clientStatus, gatewayStatus } from '../../../src/edge/ext-authz/gateway-kinds.ts';
import { loadConfig } from '../../../src/config.ts';

const lost = new AppError('LOG_UNAVAILABLE', 'the disk is full');

describe('a log that cannot be written', () => {
  test.each(PEP_KINDS)('is no allow for %s', kind => {
    const answer = answerFailure(lost, pepProfileSchema.parse({ name: 'g', kind }));
    expect(answer.headers['x-duramen-decision']).toBe('deny');
    expect(answer.headers['x-duramen-reason']).toBe('LOG_UNAVAILABLE');
    expect(answer.headers['x-duramen-status']).toBe('503');
    // with `failure_mode_allow`, Envoy lets every 5xx pass
    expect(['caddy', 'traefik'].includes(kind) ? [503] : [403]).toContain(answer.status);
  });

  test('is an error where the operator wants it so', () => {
    const answer = answerFailure(
      lost,
      pepProfileSchema.parse({ name: 'g', kind: 'envoy', onFailure: 'error' }),
    );
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });

  test('tells nothing of the inside', () => {
    const answer = answerFailure(
      new AppError('INTERNAL_ERROR', 'the decision failed inside the service'),
      pepProfileSchema.parse({ name: 'g', kind: 'agentgateway' }),
    );
    expect(answer.body).not.toMatch(/stack|node_modules|\.ts/);
  });
});

test('no deny of any kind and code is an allow or an error', () => {
  for (const kind of PEP_KINDS) {
    for (const code of REASON_CODES) {
      const status = gatewayStatus({ kind }, clientStatus({ denyStatus: {} }, code));
      expect(status).toBeGreaterThanOrEqual(400);
      // these hand a 503 on as it is, and take no error for an allow
      const mayBe503 = code === 'OVERLOADED' && (kind === 'caddy' || kind === 'traefik');
      expect(status < 500 || (mayBe503 && status === 503)).toBe(true);
      expect(kind !== 'nginx' || status === 401 || status === 403).toBe(true);
    }
  }
});

describe('profiles', () => {
  test('trust nothing by default', () => {
    expect(pepProfileSchema.parse({ name: 'g', kind: 'envoy' })).toMatchObject({
      authentication: { kind: 'key', header: 'x-duramen-key' },
      identity: { mode: 'none' },
      body: 'none',
      dialects: [],
      mcp: [],
      models: {},
      tools: 'all',
      severalModels: 'deny',
      hosts: {},
      denyStatus: {},
    });
  });

  test.each([
    ['an unknown key', { colour: 'red' }],
    ['a name in capitals', { name: 'Envoy' }],
    ['an unknown kind', { kind: 'squid' }],
    ['a header in capitals', { ip: 'X-Client-IP' }],
    ['a header with an underscore', { ip: 'x_client_ip' }],
    ['a deny that is an allow', { denyStatus: { RATE_LIMITED: 200 } }],
    ['a deny that is an error', { denyStatus: { RATE_LIMITED: 503 } }],
    ['a status that nginx hides', { kind: 'nginx', denyStatus: { RATE_LIMITED: 429 } }],
    ['an unknown code', { denyStatus: { NO: 403 } }],
    [
      'a network that is none',
      { authentication: { kind: 'network', networks: ['everywhere'], tenants: '*' } },
    ],
    ['a network without tenants', { authentication: { kind: 'network', networks: ['10.0.0.0/8'] } }],
    ['no network', { authentication: { kind: 'network', networks: [], tenants: '*' } }],
    ['a host with a wildcard inside', { hosts: { 'a.*.example': { tenant: 'acme' } } }],
    ['an endpoint with two slashes at its end', { mcp: [{ path: '/mcp//', server: 'x' }] }],
    ['a prefix with a slash at its end', { pathPrefix: '/ai/' }],
    ['an unknown dialect', { dialects: ['everything'] }],
    ['a model that is no id', { models: { a: 'b c' } }],
  ])('refuse %s', (_, extra) => {
    expect(pepProfileSchema.safeParse({ name: 'g', kind: 'envoy', ...extra }).success).toBe(false);
  });

  test('have names of their own', () => {
    expect(
      pepProfilesSchema.safeParse([
        { name: 'g', kind: 'envoy' },
        { name: 'g', kind: 'nginx' },
      ]).success,
    ).toBe(false);
  });

  test('stand in the configuration file, and what is wrong with one is told with its place', () => {
    const load = (text: string) => loadConfig({ env: { DURAMEN_CONFIG: 'c.yaml' }, readFile: () => text });
    expect(load('pepProfiles: [{name: g, kind: caddy}]').config.pepProfiles).toMatchObject([
      { name: 'g', kind: 'caddy' },
    ]);
    expect(() => load('pepProfiles: [{name: g, kind: squid}]')).toThrow(/pepProfiles\[0\]\.kind/);
  });
});
