/**
 * Real gateways with certificates on both sides: clients prove themselves by theirs, the gateway forwards them, and
 * proves itself to the service by its own. What is not installed is skipped and said so; under CI it fails.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { type ForgedAuthority, type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import {
  type Answer,
  type Ask,
  fillScene,
  type Scene,
  send,
  serverCertificate,
  startScene,
} from '../mtls/scene.ts';
import { chatOf } from './asking.ts';
import {
  type GatewayName,
  type GatewayProcess,
  runsHere,
  startGateway,
  startUpstream,
  type Upstream,
} from './gateway-process.ts';

const mesh = makeAuthority({ subject: 'CN=mesh ca' });
const customers = makeAuthority({ subject: 'CN=customers ca' });
const others = makeAuthority({ subject: 'CN=customers ca' });
const gatewayOwn = mesh.issue({ uris: ['spiffe://acme.example/gateway'] });
const worker = mesh.issue({ uris: ['spiffe://acme.example/worker'] });
const alice = customers.issue({ subject: 'CN=alice' });
const erin = customers.issue({ subject: 'CN=erin' });
const nobody = customers.issue({ subject: 'CN=nobody' });
const stolen = customers.issue({ subject: 'CN=alice' });
const forged = others.issue({ subject: 'CN=alice' });

const RULES = [
  {
    name: 'gateway',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/gateway' },
    credential: { roles: ['pep'], mayForward: ['customers'] },
  },
  ...[
    ['alice', 'acme'],
    ['erin', 'globex'],
  ].map(([name = '', tenant = '']) => ({
    name,
    authority: 'customers',
    match: { subject: `CN=${name}` },
    principal: { type: 'User', id: `${tenant}/${name}`, tenant },
  })),
];

const ORIGINAL = {
  kind: 'headers',
  method: 'x-original-method',
  uri: 'x-original-uri',
  host: 'x-original-host',
  normalizedUri: 'x-normalized-uri',
} as const;
const BODY = { body: 'whole', bodyLength: 'x-original-content-length' } as const;
const certificate = (format: 'nginx' | 'haproxy') => ({ mode: 'certificate', format }) as const;
const PROFILES: readonly PepProfileInput[] = [
  {
    name: 'nginx',
    kind: 'nginx',
    source: ORIGINAL,
    identity: certificate('nginx'),
    dialects: ['torchserve'],
  },
  {
    ...BODY,
    name: 'njs',
    kind: 'nginx',
    source: ORIGINAL,
    identity: certificate('nginx'),
    dialects: ['openai'],
  },
  { name: 'caddy', kind: 'caddy', identity: certificate('haproxy'), dialects: ['torchserve'] },
  { ...BODY, name: 'haproxy', kind: 'haproxy', identity: certificate('haproxy'), dialects: ['openai'] },
];
/** Whether the body is shown, without which the model must stand in the path. */
const GATEWAYS: readonly { readonly name: GatewayName; readonly showsBody: boolean }[] = [
  { name: 'nginx', showsBody: false },
  { name: 'njs', showsBody: true },
  { name: 'caddy', showsBody: false },
  { name: 'haproxy', showsBody: true },
];

let scene: Scene;
let upstream: Upstream;
let front: ForgedAuthority;
const folders: string[] = [];

beforeAll(async () => {
  upstream = await startUpstream();
  front = makeAuthority({ subject: 'CN=front ca' });
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
      DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES),
    },
  });
  await fillScene(scene);
});
afterAll(async () => {
  await scene.stop();
  await upstream.stop();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** The files of a gateway, whose own certificate is `own`. */
function certificatesOf(own: Issued, duramenCa: Pick<Issued, 'pem'> = scene.serverCa): string {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-certificates-'));
  folders.push(folder);
  const server = serverCertificate(front);
  for (const [name, text] of Object.entries({
    'server.pem': server.pem,
    'server.key': server.key,
    'server-pair.pem': `${server.pem}\n${server.key}`,
    'gateway.pem': own.pem,
    'gateway.key': own.key,
    'gateway-pair.pem': `${own.pem}\n${own.key}`,
    'clients-ca.pem': customers.pem,
    'duramen-ca.pem': duramenCa.pem,
  })) {
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function start(name: GatewayName, certificates: string): Promise<GatewayProcess> {
  const pdpPort = Number(new URL(scene.running.url).port);
  return startGateway(name, { pdpPort, upstreamPort: upstream.port, key: '', certificates });
}

for (const gateway of GATEWAYS) {
  describe.skipIf(!runsHere(gateway.name)).each([gateway])('$name', ({ name, showsBody }) => {
    protects(name, showsBody);
  });
}

function protects(name: GatewayName, showsBody: boolean): void {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    gateway = await start(name, certificatesOf(gatewayOwn));
  });
  afterAll(() => gateway.stop());

  // Caddy holds the host to the name of the handshake
  const host = { host: 'localhost' };
  const asking = (model: string): Pick<Ask, 'path' | 'body'> =>
    showsBody
      ? { path: '/v1/chat/completions', body: chatOf(model) }
      : { path: `/predictions/${encodeURIComponent(model)}`, body: '{}' };
  const through = async (
    url: string,
    model: string,
    question: Ask = {},
  ): Promise<Answer & { reached: number }> => {
    upstream.take();
    const answer = await send(url, front, {
      method: 'POST',
      ...asking(model),
      ...question,
      headers: { ...question.headers, ...host },
    });
    return { ...answer, reached: upstream.take().length };
  };

  test('lets pass whom the certificate of the client names, by its own certificate', async () => {
    upstream.take();
    const answer = await send(gateway.url, front, {
      method: 'POST',
      ...asking('acme/support-llm'),
      client: alice,
      headers: host,
    });
    const [received, ...more] = upstream.take();
    expect([answer.status, more]).toEqual([200, []]);
    expect(received?.headers).toMatchObject({
      'x-duramen-principal': 'User::acme/alice',
      'x-duramen-model': 'acme/support-llm',
    });
  });

  test('denies what the holder of the certificate may not', async () => {
    expect(await through(gateway.url, 'globex/demand', { client: alice })).toMatchObject({
      status: 403,
      reached: 0,
    });
    expect(await through(gateway.url, 'acme/support-llm', { client: erin })).toMatchObject({
      status: 403,
      reached: 0,
    });
  });

  test.each([
    ['no certificate', undefined],
    ['one that was revoked', stolen],
    ['one of somebody whom no rule names', nobody],
  ])('answers 401 to a client with %s', async (_, client) => {
    expect(await through(gateway.url, 'acme/support-llm', { client })).toMatchObject({
      status: 401,
      reached: 0,
    });
  });

  test('does not take a certificate of another authority', async () => {
    const answer = await through(gateway.url, 'acme/support-llm', { client: forged }).catch(() => undefined);
    expect(answer?.status ?? 400).toBeGreaterThanOrEqual(400);
    expect(upstream.take()).toEqual([]);
  });

  test('believes no certificate that a client writes into headers', async () => {
    const escaped = encodeURIComponent(alice.pem);
    for (const headers of [
      { 'x-ssl-client-cert': escaped, 'x-ssl-client-verify': 'SUCCESS' },
      { 'x-ssl-client-cert': alice.der.toString('base64'), 'x-ssl-client-verify': '0' },
      { 'x-forwarded-client-cert': `Cert="${escaped}"` },
      { 'x-forwarded-tls-client-cert': escaped },
    ]) {
      for (const client of [undefined, nobody]) {
        const answer = await through(gateway.url, 'acme/support-llm', { client, headers });
        expect([401, 403]).toContain(answer.status);
        expect(answer.reached).toBe(0);
      }
    }
  });

  test.each([
    ['without a rule for its own certificate', () => certificatesOf(worker)],
    [
      'with a certificate of another authority',
      () => certificatesOf(others.issue({ subject: 'CN=gateway' })),
    ],
    ['in front of a service that it does not know', () => certificatesOf(gatewayOwn, others)],
  ])('lets nothing pass %s', async (_, make) => {
    const alone = await start(name, make());
    try {
      const answer = await through(alone.url, 'acme/support-llm', { client: alice });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.reached).toBe(0);
    } finally {
      await alone.stop();
    }
  });
}
