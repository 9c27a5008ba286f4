/** Limits that count by the credential of a caller who is proven by a certificate. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { limitedBundle } from '../limited-service.ts';
import { ADMIN_KEY, ALLOWED } from '../service.ts';
import { type Scene, startScene } from './scene.ts';

const mesh = makeAuthority({ subject: 'CN=mesh ca' });
const customers = makeAuthority({ subject: 'CN=customers ca' });
const gateway = mesh.issue({ uris: ['spiffe://acme.example/gateway'] });
const worker = (): Issued => mesh.issue({ uris: ['spiffe://acme.example/worker'] });
const alice = (): Issued => customers.issue({ subject: 'CN=alice' });

const PRINCIPAL = { type: 'User', id: 'acme/alice', tenant: 'acme' };
const RULES = [
  {
    name: 'gateway',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/gateway' },
    credential: { roles: ['pep'], mayForward: ['mesh', 'customers'] },
  },
  {
    name: 'worker',
    authority: 'mesh',
    match: { spiffe: 'spiffe://acme.example/worker' },
    principal: PRINCIPAL,
  },
  { name: 'alice', authority: 'customers', match: { subject: 'CN=alice' }, principal: PRINCIPAL },
];
const LIMITS = {
  limits: [{ id: 'credential', kind: 'window', unit: 'requests', limit: 2, per: '60s', key: ['key'] }],
};

let scene: Scene;
beforeAll(async () => {
  const start = Date.now();
  scene = await startScene({
    clock: { now: () => start, monotonic: () => 0 },
    files: { 'mesh.pem': mesh.pem, 'customers.pem': customers.pem },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_TLS_CLIENT_AUTHORITIES: 'mesh',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([
        { name: 'mesh', ca: ['{folder}/mesh.pem'], trustDomain: 'acme.example' },
        { name: 'customers', ca: ['{folder}/customers.pem'] },
      ]),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(RULES),
    },
  });
  await post('/v1/bundles?activate=true', await limitedBundle('platform', LIMITS));
  await post('/v1/bundles?activate=true', await limitedBundle('tenants/acme', undefined));
  await post('/v1/bundles?activate=true', await limitedBundle('tenants/globex', undefined));
  const directory = readFileSync(join(import.meta.dirname, '../../../src/demo/directory.ndjson'), 'utf8');
  await post('/v1/directory/import', directory, 'application/x-ndjson');
});
afterAll(() => scene.stop());

async function post(path: string, body: unknown, type = 'application/json'): Promise<void> {
  const headers = { 'content-type': type };
  const { status, text } = await scene.ask({ method: 'POST', path, key: ADMIN_KEY, body, headers });
  if (status >= 300 || text.includes('"state":"failed"')) throw new Error(`${path}: ${text}`);
}

async function code({ pem }: Issued): Promise<string> {
  const { action, resource } = ALLOWED;
  const body = { action, resource, credential: { kind: 'mtls', certificate: pem } };
  const { text } = await scene.ask({ method: 'POST', path: '/decide', client: gateway, body });
  return z.looseObject({ reason: z.looseObject({ code: z.string() }) }).parse(JSON.parse(text)).reason.code;
}

test('a workload is counted by its SPIFFE id, however often its certificate is renewed', async () => {
  expect([await code(worker()), await code(worker()), await code(worker())]).toEqual([
    'POLICY_ALLOW',
    'POLICY_ALLOW',
    'RATE_LIMITED',
  ]);
});

test('who has no SPIFFE id is counted by each certificate', async () => {
  const first = alice();
  const codes = [await code(first), await code(first), await code(first), await code(alice())];
  expect(codes).toEqual(['POLICY_ALLOW', 'POLICY_ALLOW', 'RATE_LIMITED', 'POLICY_ALLOW']);
});
