/** A listener for management alone, with TLS and CAs of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { startService } from '../../../src/main.ts';
import { makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY, configFor, temporaryFolder } from '../service.ts';
import { type Scene, serverCertificate, startScene } from './scene.ts';

const gateways = makeAuthority({ subject: 'CN=gateways ca' });
const people = makeAuthority({ subject: 'CN=people ca' });
const gateway = gateways.issue({ dns: ['gateway.acme.example'] });
const operator = people.issue({ subject: 'CN=operator' });
const RULES = [
  {
    name: 'gateway',
    authority: 'gateways',
    match: { dns: 'gateway.acme.example' },
    credential: { roles: ['pep'] },
  },
  {
    name: 'operator',
    authority: 'people',
    match: { subject: 'CN=operator' },
    credential: { roles: ['admin'] },
  },
];
let scene: Scene;

beforeAll(async () => {
  const adminCa = makeAuthority({ subject: 'CN=unused' });
  const admin = serverCertificate(adminCa);
  scene = await startScene({
    files: {
      'gateways.pem': gateways.pem,
      'people.pem': people.pem,
      'admin.pem': admin.pem,
      'admin.key': admin.key,
      'admin-ca.pem': adminCa.pem,
    },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_TLS_CLIENT_AUTHORITIES: 'gateways',
      DURAMEN_ADMIN_LISTEN: '127.0.0.1:0',
      DURAMEN_ADMIN_TLS_CERTIFICATE: '{folder}/server.pem',
      DURAMEN_ADMIN_TLS_KEY: '{folder}/server.key',
      DURAMEN_ADMIN_TLS_CLIENT_CERTIFICATES: 'required',
      DURAMEN_ADMIN_TLS_CLIENT_AUTHORITIES: 'people',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([
        { name: 'gateways', ca: ['{folder}/gateways.pem'] },
        { name: 'people', ca: ['{folder}/people.pem'] },
      ]),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(RULES),
    },
  });
});
afterAll(() => scene.stop());

const QUESTION = { method: 'POST', path: '/decide', body: {} };

describe('the listener for decisions', () => {
  test('answers decisions', async () => {
    expect((await scene.ask({ ...QUESTION, client: gateway })).status).toBe(400);
  });
  test.each(['/v1/keys', '/v1/bundles', '/v1/decisions', '/v1/status', '/metrics'])(
    'does not know %s',
    async path => {
      expect((await scene.ask({ path, key: ADMIN_KEY })).status).toBe(404);
    },
  );
  test('is asked how it is', async () => {
    expect((await scene.ask({ path: '/livez' })).status).toBe(200);
  });
  test('does not take certificates of the other listener', async () => {
    expect((await scene.ask({ ...QUESTION, client: operator })).status).toBe(401);
  });
});

describe('the listener for management', () => {
  test.each(['/v1/keys', '/v1/layers', '/v1/decisions', '/v1/status', '/metrics', '/livez'])(
    'answers %s',
    async path => {
      expect((await scene.manage({ path, client: operator })).status).toBe(200);
    },
  );
  test.each(['/decide', '/decide/batch', '/decide?x=1', '/ext-authz/envoy', '/hooks/portkey/x'])(
    'does not know %s',
    async path => {
      expect((await scene.manage({ method: 'POST', path, body: {}, client: operator })).status).toBe(404);
    },
  );
  test('leaves no connection to a gateway', async () => {
    await expect(scene.manage({ path: '/livez', client: gateway })).rejects.toThrow(
      /alert|ECONNRESET|EPIPE|hang up|disconnected/i,
    );
  });
  test('records changes in the name of the rule', async () => {
    const made = await scene.manage({
      method: 'POST',
      path: '/v1/keys',
      body: { roles: ['auditor'], mayAssert: false },
      client: operator,
    });
    expect(made.status).toBe(201);
    const { text } = await scene.manage({ path: '/v1/events?kind=key.create', client: operator });
    expect(text).toContain('"actor":"certificate:operator"');
  });
});

describe('settings that contradict each other', () => {
  const file = { DURAMEN_TLS_CERTIFICATE: '/x', DURAMEN_TLS_KEY: '/x' };
  const authorities = (list: unknown): Record<string, string> => ({
    DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify(list),
  });
  const rules = (...list: unknown[]): Record<string, string> => ({
    DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(list),
  });
  const one = { name: 'a', ca: ['/x'] };
  const domain = { ...one, trustDomain: 'acme.example' };
  const credential = { roles: ['pep'] };
  const CONTRADICTIONS: Readonly<Record<string, readonly [RegExp, Record<string, string>]>> = {
    'a certificate without a key': [/go together/, { DURAMEN_TLS_CERTIFICATE: '/x' }],
    'client certificates without TLS': [
      /needs `tls.certificate`/,
      { DURAMEN_TLS_CLIENT_CERTIFICATES: 'required', ...authorities([one]) },
    ],
    'client certificates without authorities': [
      /needs `identity.authorities`/,
      { ...file, DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional' },
    ],
    'an unknown authority of a listener': [
      /no authority `b`/,
      { ...file, ...authorities([one]), DURAMEN_TLS_CLIENT_AUTHORITIES: 'b' },
    ],
    'an unknown authority of a rule': [
      /no authority `b`/,
      { ...authorities([one]), ...rules({ name: 'r', authority: 'b', match: { dns: 'x' }, credential }) },
    ],
    'a DNS rule for a trust domain': [
      /match its certificates by `spiffe`/,
      { ...authorities([domain]), ...rules({ name: 'r', authority: 'a', match: { dns: 'x' }, credential }) },
    ],
    'a SPIFFE rule for another trust domain': [
      /another trust domain/,
      {
        ...authorities([domain]),
        ...rules({ name: 'r', authority: 'a', match: { spiffe: 'spiffe://globex.example/x' }, credential }),
      },
    ],
    'a SPIFFE rule that is none': [
      /no SPIFFE id/,
      {
        ...authorities([domain]),
        ...rules({ name: 'r', authority: 'a', match: { spiffe: 'spiffe://acme.example/' }, credential }),
      },
    ],
    'a principal outside its tenant': [
      /must lie in its tenant/,
      {
        ...authorities([one]),
        ...rules({
          name: 'r',
          authority: 'a',
          match: { dns: 'x' },
          principal: { type: 'Service', id: 'globex/x', tenant: 'acme' },
        }),
      },
    ],
  };
  test.each(Object.entries(CONTRADICTIONS))(
    'keep the service from starting: %s',
    async (_, [message, env]) => {
      await expect(
        startService(configFor(temporaryFolder(), env), { writeLog: () => undefined }),
      ).rejects.toThrow(message);
    },
  );

  const REFUSED: Readonly<Record<string, Record<string, string>>> = {
    'a rule that is nothing': rules({ name: 'r', authority: 'a', match: { dns: 'x' } }),
    'a proxy that is a credential, too': rules({
      name: 'r',
      authority: 'a',
      match: { dns: 'x' },
      credential,
      proxy: { format: 'xfcc', authorities: ['a'] },
    }),
    'two rules for one name': rules(
      ...['r', 's'].map(name => ({ name, authority: 'a', match: { dns: 'x' }, credential })),
    ),
    'a wildcard': rules({ name: 'r', authority: 'a', match: { dns: '*.acme.example' }, credential }),
    'two authorities of one trust domain': authorities([domain, { ...domain, name: 'b' }]),
    'principals of all without a trust domain': authorities([{ ...one, principals: { tenant: 'acme' } }]),
    'an unknown key': authorities([{ ...one, insecure: true }]),
  };
  test.each(Object.entries(REFUSED))('are no configuration: %s', (_, env) => {
    expect(() => loadConfig({ env, readFile: () => '' })).toThrow(/identity\.(authorities|certificates)/);
  });
});
