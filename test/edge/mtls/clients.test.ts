/** Who asks, proven by a client certificate over real TLS: each request is judged, not only the handshake. */
import { Agent } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock, type ManualClock } from '../../identity/clock.ts';
import {
  type CertificateWish,
  type Issued,
  makeAuthority,
  SERVER_AUTH,
} from '../../identity/certificates/forge.ts';
import { ADMIN_KEY } from '../service.ts';
import { type Answer, failureCauses, type Scene, startScene, until } from './scene.ts';

const DAY_MS = 86_400_000;
const now = Date.now();
const mesh = makeAuthority({ subject: 'CN=mesh ca' });
const machines = makeAuthority({ subject: 'CN=machines ca' });
const stranger = makeAuthority({ subject: 'CN=stranger ca' });
const mid = mesh.issueAuthority();
const GATEWAY = 'spiffe://acme.example/ns/edge/sa/gateway';
const gateway = mesh.issue({ uris: [GATEWAY] });
const AUTHORITIES = [
  { name: 'mesh', ca: ['{folder}/mesh.pem'], trustDomain: 'acme.example' },
  { name: 'machines', ca: ['{folder}/machines.pem'] },
];
const RULES = [
  {
    name: 'gateway',
    authority: 'mesh',
    match: { spiffe: GATEWAY },
    credential: { roles: ['auditor'], tenants: ['acme'] },
  },
  {
    name: 'by-dns',
    authority: 'machines',
    match: { dns: 'build.acme.example' },
    credential: { roles: ['auditor'] },
  },
  {
    name: 'by-uri',
    authority: 'machines',
    match: { uri: 'urn:acme:printer' },
    credential: { roles: ['auditor'] },
  },
  {
    name: 'by-subject',
    authority: 'machines',
    match: { subject: 'CN=robot,O=Acme' },
    credential: { roles: ['auditor'] },
  },
];
/** A route that any credential may call. */
const path = '/v1/status';
let scene: Scene;
let clock: ManualClock;

beforeAll(async () => {
  clock = manualClock(now);
  scene = await startScene({
    clock,
    files: {
      'mesh.pem': mesh.pem + mid.pem,
      'machines.pem': machines.pem,
      'mesh.crl': mesh.revoke([]),
      'mid.crl': mid.revoke([]),
      'machines.crl': machines.revoke([]),
      denied: '',
    },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify(AUTHORITIES),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(RULES),
      DURAMEN_IDENTITY_REVOCATION_LISTS: '{folder}/mesh.crl,{folder}/mid.crl,{folder}/machines.crl',
      DURAMEN_IDENTITY_CERTIFICATE_DENY_LIST: '{folder}/denied',
      DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: '100000',
    },
  });
});
afterAll(() => scene.stop());

const machine = (wish: CertificateWish): Issued => machines.issue({ subject: 'CN=x', ...wish });

const ADMITTED: Readonly<Record<string, () => Issued>> = {
  'its SPIFFE id': () => gateway,
  'a DNS name, whatever its case': () => machine({ dns: ['Build.Acme.Example', 'elsewhere.example'] }),
  'its one URI': () => machine({ uris: ['urn:acme:printer'] }),
  'its subject': () => machine({ subject: 'O=Acme,CN=robot' }),
};

const REFUSED: Readonly<Record<string, readonly [cause: string, certificate: () => Issued]>> = {
  expired: ['certificate_expired', () => mesh.issue({ uris: [GATEWAY], notAfter: now - DAY_MS })],
  'not yet valid': [
    'certificate_not_yet_valid',
    () => mesh.issue({ uris: [GATEWAY], notBefore: now + DAY_MS }),
  ],
  'for servers': [
    'certificate_usage',
    () => mesh.issue({ uris: [GATEWAY], extendedKeyUsage: [SERVER_AUTH] }),
  ],
  'of a CA': ['certificate_usage', () => mesh.issueAuthority({ uris: [GATEWAY], subject: 'CN=sub' })],
  'of an unknown CA': ['certificate_untrusted', () => stranger.issue({ uris: [GATEWAY] })],
  'self-signed': ['certificate_untrusted', () => makeAuthority({ subject: 'CN=me', uris: [GATEWAY] })],
  'with two URIs': [
    'certificate_identity',
    () => mesh.issue({ uris: [GATEWAY, 'spiffe://acme.example/admin'] }),
  ],
  'of another trust domain': [
    'certificate_untrusted',
    () => mesh.issue({ uris: ['spiffe://globex.example/x'] }),
  ],
  'of the trust domain from the CA of the others': [
    'certificate_untrusted',
    () => machines.issue({ uris: [GATEWAY] }),
  ],
  'that names an upper-case trust domain': [
    'certificate_identity',
    () => mesh.issue({ uris: ['spiffe://ACME.example/x'] }),
  ],
  'that names a percent-encoded id': [
    'certificate_identity',
    () => mesh.issue({ uris: [GATEWAY.replace('gateway', '%67ateway')] }),
  ],
  'that names an id beyond ASCII': [
    'certificate_identity',
    () => mesh.issue({ uris: [GATEWAY.replace('a', 'а')] }),
  ],
  'without names': ['certificate_untrusted', () => mesh.issue({})],
  'of a workload without a rule': [
    'certificate_unmapped',
    () => mesh.issue({ uris: ['spiffe://acme.example/nobody'] }),
  ],
  'with a name below that of a rule': ['certificate_unmapped', () => mesh.issue({ uris: [`${GATEWAY}/x`] })],
  'with a wildcard': ['certificate_unmapped', () => machine({ dns: ['*.acme.example'] })],
  'with the name of a rule as common name alone': [
    'certificate_unmapped',
    () => machine({ subject: 'CN=build.acme.example' }),
  ],
  'with the subject of a rule and something behind it': [
    'certificate_unmapped',
    () => machine({ subject: 'O=Acme,CN=robot,OU=x' }),
  ],
  'that two rules match': [
    'certificate_identity',
    () => machine({ uris: ['urn:acme:printer'], dns: ['build.acme.example'] }),
  ],
  'with two URIs of which one has a rule': [
    'certificate_unmapped',
    () => machine({ uris: ['urn:acme:printer', 'urn:x:y'] }),
  ],
};

describe('a client is known', () => {
  test.each(Object.entries(ADMITTED))('by %s', async (_, make) => {
    expect((await scene.ask({ path, client: make() })).status).toBe(200);
  });

  test('with its roles and tenants and no more', async () => {
    expect((await scene.ask({ path: '/v1/keys', client: gateway })).status).toBe(403);
    expect((await scene.ask({ path: '/v1/decisions', client: gateway })).status).toBe(200);
  });

  test('by its key when it has one, beside a certificate that holds', async () => {
    const nobody = mesh.issue({ uris: ['spiffe://acme.example/nobody'] });
    expect((await scene.ask({ path: '/v1/keys', client: nobody, key: ADMIN_KEY })).status).toBe(200);
  });

  test('by nothing when it has neither', async () => {
    const { status, text } = await scene.ask({ path });
    expect(status).toBe(401);
    expect(text).toContain('no credential');
  });

  test('through a CA between that stands in the file of its authority', async () => {
    expect((await scene.ask({ path, client: mid.issue({ uris: [GATEWAY] }) })).status).toBe(200);
  });
});

describe('a certificate', () => {
  test.each(Object.entries(REFUSED))('%s opens nothing, and the log says why', async (_, [cause, make]) => {
    clock.advance(60_001);
    const answer = await scene.ask({ path, client: make() });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('CREDENTIAL_REQUIRED');
    expect(answer.text).not.toContain(cause);
    await until('the cause is logged', async () => (await failureCauses(scene)).includes(cause));
  });

  test('that is refused is refused beside a valid key, too', async () => {
    const client = stranger.issue({ uris: [GATEWAY] });
    expect((await scene.ask({ path, client, key: ADMIN_KEY })).status).toBe(401);
  });

  test('without a rule hears its own name and nothing of the rules', async () => {
    const client = mesh.issue({ uris: ['spiffe://acme.example/nobody'] });
    const { text } = await scene.ask({ path, client });
    expect(text).toContain('`spiffe://acme.example/nobody`');
    expect(text).not.toContain('gateway');
  });

  test('that is no good hears the same, whatever is wrong', async () => {
    const details = new Set<string>();
    for (const make of [REFUSED['expired'], REFUSED['of an unknown CA'], REFUSED['with two URIs']]) {
      const { text } = await scene.ask({ path, client: make?.[1]() });
      details.add(/"detail":"([^"]*)"/.exec(text)?.[1] ?? '');
    }
    expect([...details]).toEqual(['the client certificate is not accepted']);
  });
});

describe('on an open connection', () => {
  async function twice(client: Issued, between: () => void): Promise<readonly [Answer, Answer, boolean]> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const first = await scene.ask({ path, client, agent });
    const [socket] = Object.values(agent.freeSockets).flat();
    between();
    const second = await scene.ask({ path, client, agent });
    const isSame = Object.values(agent.freeSockets).flat()[0] === socket && socket !== undefined;
    agent.destroy();
    return [first, second, isSame];
  }

  test('a certificate that is revoked opens nothing from the next request on', async () => {
    const client = mesh.issue({ uris: [GATEWAY] });
    const [first, second, isSame] = await twice(client, () => {
      scene.write('mesh.crl', mesh.revoke([client.serial]));
      scene.running.reloadCertificates();
    });
    expect([first.status, second.status, isSame]).toEqual([200, 401, true]);
    expect((await scene.ask({ path, client: gateway })).status).toBe(200);
  });

  test.each(['serial', 'key', 'id'])(
    'a certificate whose %s is denied opens nothing from the next request on',
    async kind => {
      const id = 'spiffe://acme.example/ns/edge/sa/gateway';
      const client = mesh.issue({ uris: [id] });
      const spki = client.x509.publicKey.export({ type: 'spki', format: 'der' });
      const { createHash } = await import('node:crypto');
      const lines = {
        serial: client.serial.toString(16),
        key: createHash('sha256').update(spki).digest('hex'),
        id,
      };
      const line =
        Object.entries(lines)
          .find(([name]) => name === kind)
          ?.join(' ') ?? '';
      const [first, second, isSame] = await twice(client, () => {
        scene.write('denied', `${line}\n`);
        scene.running.reloadCertificates();
      });
      expect([first.status, second.status, isSame]).toEqual([200, 401, true]);
      scene.write('denied', '');
      scene.running.reloadCertificates();
      expect((await scene.ask({ path, client })).status).toBe(200);
    },
  );

  test('a session that was begun before a revocation cannot be resumed after it', async () => {
    const client = mesh.issue({ uris: [GATEWAY] });
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
    expect((await scene.ask({ path, client, agent })).status).toBe(200);
    scene.write('mesh.crl', mesh.revoke([client.serial]));
    scene.running.reloadCertificates();
    expect((await scene.ask({ path, client, agent })).status).toBe(401);
  });

  test('a certificate that expires meanwhile opens nothing', async () => {
    const client = mesh.issue({ uris: [GATEWAY], notAfter: clock.now() + 3_600_000 });
    const [first, second, isSame] = await twice(client, () => clock.advance(3_601_000));
    expect([first.status, second.status, isSame]).toEqual([200, 401, true]);
  });

  test('a list of revocations that ends meanwhile refuses every certificate of its CA', async () => {
    expect((await scene.ask({ path, client: gateway })).status).toBe(200);
    clock.advance(2 * DAY_MS);
    expect((await scene.ask({ path, client: gateway })).status).toBe(401);
    expect((await scene.ask({ path: '/readyz?verbose' })).text).toContain('a list is out of date');
  });
});
