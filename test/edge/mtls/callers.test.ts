/** End callers by their certificates: their own connection, or a gateway that forwards what it saw. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY, shippedBundle } from '../service.ts';
import { type Answer, type Scene, startScene } from './scene.ts';

const mesh = makeAuthority({ subject: 'CN=mesh ca' });
const customers = makeAuthority({ subject: 'CN=customers ca' });
const gateway = mesh.issue({ uris: ['spiffe://acme.example/gateway'] });
const shy = mesh.issue({ uris: ['spiffe://acme.example/shy'] });
const worker = mesh.issue({ uris: ['spiffe://acme.example/worker'] });
const alice = customers.issue({ subject: 'CN=alice' });
const globex = customers.issue({ subject: 'CN=globex' });
const stolen = customers.issue({ subject: 'CN=alice' });
const nobody = customers.issue({ subject: 'CN=nobody' });

const subject = (name: string): object => ({ authority: 'customers', match: { subject: `CN=${name}` } });
const RULES = [
  {
    name: 'gateway',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/gateway' },
    credential: { roles: ['pep'], mayForward: ['customers'] },
  },
  {
    name: 'shy',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/shy' },
    credential: {
      roles: ['pep'],
      callers: [{ tenants: ['globex'], mode: 'verify' }],
      mayForward: ['customers'],
    },
  },
  {
    name: 'worker',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/worker' },
    credential: { roles: ['pep'], tenants: ['acme'] },
    principal: { type: 'User', id: 'acme/alice', tenant: 'acme', assurance: 3 },
  },
  { name: 'alice', ...subject('alice'), principal: { type: 'User', id: 'acme/alice', tenant: 'acme' } },
  { name: 'globex', ...subject('globex'), principal: { type: 'User', id: 'globex/grace', tenant: 'globex' } },
];
const PROFILE = {
  name: 'edge',
  kind: 'envoy',
  identity: { mode: 'certificate', format: 'xfcc' },
  body: 'whole',
  dialects: ['openai'],
  models: { 'support-llm': 'acme/support-llm' },
};
/** The gateway is who its certificate says, and no key stands for it. */
const HELD = { ...PROFILE, name: 'held', authentication: { kind: 'certificate', rules: ['gateway'] } };
let scene: Scene;

beforeAll(async () => {
  scene = await startScene({
    files: {
      'mesh.pem': mesh.pem,
      'customers.pem': customers.pem,
      'mesh.crl': mesh.revoke([]),
      'customers.crl': customers.revoke([stolen.serial]),
    },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_TLS_CLIENT_AUTHORITIES: 'mesh',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([
        { name: 'mesh', ca: ['{folder}/mesh.pem'], trustDomain: 'acme.example' },
        { name: 'customers', ca: ['{folder}/customers.pem'] },
      ]),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(RULES),
      DURAMEN_IDENTITY_REVOCATION_LISTS: '{folder}/mesh.crl,{folder}/customers.crl',
      DURAMEN_PEP_PROFILES: JSON.stringify([PROFILE, HELD]),
    },
  });
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    const body = await shippedBundle(name);
    const path = '/v1/bundles?activate=true';
    const { status, text } = await scene.ask({ method: 'POST', path, key: ADMIN_KEY, body });
    if (status !== 201) throw new Error(`bundle ${name}: ${text}`);
  }
  const directory = readFileSync(join(import.meta.dirname, '../../../src/demo/directory.ndjson'), 'utf8');
  const imported = await scene.ask({
    method: 'POST',
    path: '/v1/directory/import',
    key: ADMIN_KEY,
    body: directory,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  if (!imported.text.includes('"state":"done"')) throw new Error(imported.text);
});
afterAll(() => scene.stop());

const decision = z.object({
  decisionId: z.string(),
  decision: z.enum(['allow', 'deny']),
  reason: z.object({ code: z.string(), message: z.string() }),
});

async function decide(client: Issued | undefined, credential: object, more: object = {}): Promise<Answer> {
  const body = {
    action: 'generate',
    resource: { type: 'Model', id: 'acme/support-llm' },
    credential,
    ...more,
  };
  return scene.ask({
    method: 'POST',
    path: '/decide',
    client,
    body,
    ...(client === undefined ? { key: ADMIN_KEY } : {}),
  });
}
const pem = ({ pem: certificate }: Issued): object => ({ kind: 'mtls', certificate });

describe('a caller is proven', () => {
  test('by the certificate that its gateway forwards', async () => {
    const answer = await decide(gateway, pem(alice));
    const { decision: verdict, decisionId } = decision.parse(JSON.parse(answer.text));
    expect(verdict).toBe('allow');
    const { text } = await scene.ask({ path: `/v1/decisions/${decisionId}`, key: ADMIN_KEY });
    expect(text).toContain('"method":"mtls"');
    expect(text).toContain('"binding":"certificate"');
  });

  test('by its own certificate when it asks itself', async () => {
    const answer = await decide(worker, { kind: 'mtls' });
    expect(decision.parse(JSON.parse(answer.text)).decision).toBe('allow');
  });
});

const REFUSED: Readonly<Record<string, readonly [code: string, cause: string, () => Promise<Answer>]>> = {
  'of an unknown CA': [
    'UNAUTHENTICATED',
    'certificate_untrusted',
    () => decide(gateway, pem(makeAuthority({ subject: 'CN=x' }).issue({ subject: 'CN=alice' }))),
  ],
  'of an authority that the gateway may not forward': [
    'UNAUTHENTICATED',
    'certificate_untrusted',
    () => decide(gateway, pem(worker)),
  ],
  'that has expired': [
    'CREDENTIAL_EXPIRED',
    'certificate_expired',
    () => decide(gateway, pem(customers.issue({ subject: 'CN=alice', notAfter: Date.now() - 60_000 }))),
  ],
  'that is revoked': ['CREDENTIAL_REVOKED', 'certificate_revoked', () => decide(gateway, pem(stolen))],
  'without a rule': ['UNAUTHENTICATED', 'certificate_unmapped', () => decide(gateway, pem(nobody))],
  'that is none': [
    'UNAUTHENTICATED',
    'forwarded_malformed',
    () => decide(gateway, { kind: 'mtls', certificate: 'hello' }),
  ],
  'from a gateway that may not forward any': [
    'UNAUTHENTICATED',
    'forwarding_not_allowed',
    () => decide(worker, pem(alice)),
  ],
  'from a gateway without a certificate': [
    'UNAUTHENTICATED',
    'forwarding_not_allowed',
    () => decide(undefined, pem(alice)),
  ],
  'of nobody': ['UNAUTHENTICATED', 'certificate_missing', () => decide(undefined, { kind: 'mtls' })],
  'of the gateway itself, which is no principal': [
    'UNAUTHENTICATED',
    'certificate_unmapped',
    () => decide(gateway, { kind: 'mtls' }),
  ],
  'of a tenant beyond the rules of the gateway': [
    'CREDENTIAL_SCOPE',
    'tenant',
    () => decide(shy, pem(alice)),
  ],
  'of another principal than the gateway names': [
    'UNAUTHENTICATED',
    'principal_mismatch',
    () => decide(gateway, pem(globex), { principal: { type: 'User', id: 'acme/alice' } }),
  ],
};

describe('a certificate', () => {
  test.each(Object.entries(REFUSED))('%s is a logged deny', async (_, [code, cause, ask]) => {
    const answer = await ask();
    const { decisionId, ...made } = decision.parse(JSON.parse(answer.text));
    expect(made).toMatchObject({ decision: 'deny', reason: { code } });
    expect(answer.text).not.toContain(cause);
    const { text } = await scene.ask({ path: `/v1/decisions/${decisionId}`, key: ADMIN_KEY });
    expect(text).toContain(`"cause":"${cause}"`);
  });
});

describe('a gateway that asks with the headers of its client', () => {
  const question = { model: 'support-llm', messages: [{ role: 'user', content: 'hello' }] };
  const ask = (
    client: Issued | undefined,
    headers: Record<string, string | readonly string[]>,
    profile = 'edge',
  ): Promise<Answer> =>
    scene.ask({
      method: 'POST',
      path: `/ext-authz/${profile}/v1/chat/completions`,
      client,
      headers,
      body: question,
    });
  const xfcc = (...certificates: readonly Issued[]): string =>
    certificates.map(one => `Cert="${encodeURIComponent(one.pem)}"`).join(',');

  test('is allowed what the certificate of the client allows', async () => {
    expect((await ask(gateway, { 'x-forwarded-client-cert': xfcc(alice) })).status).toBe(200);
  });

  const DENIED: Readonly<Record<string, () => Record<string, string | readonly string[]>>> = {
    'no certificate': () => ({}),
    'a revoked one': () => ({ 'x-forwarded-client-cert': xfcc(stolen) }),
    'one in front that the client sent': () => ({ 'x-forwarded-client-cert': xfcc(alice, nobody) }),
    'two header lines': () => ({ 'x-forwarded-client-cert': [xfcc(alice), xfcc(alice)] }),
    'the headers of another proxy, too': () => ({
      'x-forwarded-client-cert': xfcc(alice),
      'x-ssl-client-verify': 'SUCCESS',
    }),
    'a word in place of one': () => ({ 'x-forwarded-client-cert': 'alice' }),
  };
  test.each(Object.entries(DENIED))('is denied with %s', async (_, headers) => {
    const { status } = await ask(gateway, headers());
    expect([401, 403]).toContain(status);
  });

  test('proves itself by its certificate where the profile wants one, and by nothing else', async () => {
    const headers = { 'x-forwarded-client-cert': xfcc(alice) };
    const keyed = { ...headers, 'x-duramen-key': ADMIN_KEY, authorization: `Bearer ${ADMIN_KEY}` };
    expect((await ask(gateway, headers, 'held')).status).toBe(200);
    expect((await ask(worker, headers, 'held')).status).toBe(403);
    expect((await ask(undefined, headers, 'held')).status).toBe(401);
    expect((await ask(undefined, keyed, 'held')).status).toBe(401);
  });

  test('is denied when it may not forward certificates', async () => {
    expect([401, 403]).toContain((await ask(worker, { 'x-forwarded-client-cert': xfcc(alice) })).status);
  });
});
