/** The TLS listener before the client of OpenSSL: handshakes, sessions that were kept, revocation and reloads. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY } from '../service.ts';
import { type Conversation, converse, opensslVersion } from './openssl.ts';
import { type Scene, serverCertificate, startScene, until } from './scene.ts';

const PATH = '/v1/status';
const clients = makeAuthority({ subject: 'CN=client ca' });
const others = makeAuthority({ subject: 'CN=another ca' });
const gateway = clients.issue({ uris: ['spiffe://acme.example/gateway'] });
const stranger = others.issue({ uris: ['spiffe://acme.example/gateway'] });
const env = {
  DURAMEN_TLS_CLIENT_CERTIFICATES: 'required',
  DURAMEN_IDENTITY_CERTIFICATE_DENY_LIST: '{folder}/denied',
  DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([
    { name: 'mesh', ca: ['{folder}/clients.pem'], trustDomain: 'acme.example' },
  ]),
  DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify([
    {
      name: 'gateway',
      authority: 'mesh',
      match: { spiffe: 'spiffe://acme.example/gateway' },
      credential: { roles: ['auditor'] },
    },
  ]),
};

const version = opensslVersion();
if (version === undefined) process.stderr.write('skipped: there is no openssl program for its client\n');

let strict: Scene;
let tolerant: Scene;
const open = new Set<Conversation>();
beforeAll(async () => {
  if (version === undefined) return;
  const files = { 'clients.pem': clients.pem, denied: '' };
  strict = await startScene({ files, env });
  tolerant = await startScene({ files, env: { ...env, DURAMEN_TLS_MIN_VERSION: 'TLSv1.2' } });
  for (const scene of [strict, tolerant]) {
    scene.write('ca.pem', scene.serverCa.pem);
    keep(scene, 'gateway', gateway);
    keep(scene, 'stranger', stranger);
  }
});
afterEach(async () => {
  for (const conversation of open) await conversation.end();
  open.clear();
});
afterAll(async () => {
  if (version === undefined) return;
  await strict.stop();
  await tolerant.stop();
});

function keep(scene: Scene, name: string, { pem, key }: Issued): void {
  scene.write(`${name}.pem`, pem);
  scene.write(`${name}.key`, key);
}

function talk(
  scene: Scene,
  args: readonly string[],
  client: 'gateway' | 'stranger' | 'none' = 'gateway',
): Conversation {
  const file = (name: string): string => join(scene.folder, name);
  const own = client === 'none' ? [] : ['-cert', file(`${client}.pem`), '-key', file(`${client}.key`)];
  const conversation = converse(scene.running.url, ['-CAfile', file('ca.pem'), ...own, ...args]);
  open.add(conversation);
  return conversation;
}

async function deny(scene: Scene, certificates: readonly Issued[]): Promise<void> {
  const lines = certificates.map(({ serial }) => `serial ${serial.toString(16)}\n`);
  scene.write('denied', lines.join(''));
  scene.running.reloadCertificates();
}

describe.skipIf(version === undefined)('before the client of OpenSSL the listener', () => {
  test('speaks TLS 1.3 with a certificate that it trusts, and knows who asks', async () => {
    const client = talk(strict, []);
    expect(await client.ask(PATH)).toBe(200);
    expect(client.printed()).toMatch(/TLSv1\.3/);
    expect(client.printed()).toContain('Verify return code: 0 (ok)');
  });

  test.each([
    ['that speaks TLS 1.2 alone', ['-tls1_2'], 'gateway', /protocol version/],
    ['without a certificate', [], 'none', /certificate required|alert/],
    // Node ends the connection without an alert; if the request has come by then, with a reset
    ['with a certificate of another CA', [], 'stranger', /unknown ca|alert|unexpected eof|errno=104/],
    ['that speaks h2 alone', ['-alpn', 'h2'], 'gateway', /no application protocol/],
    [
      'with a suite that is not taken',
      ['-ciphersuites', 'TLS_AES_128_CCM_SHA256'],
      'gateway',
      /handshake failure/,
    ],
  ] as const)('refuses a client %s', async (_name, args, who, told) => {
    const client = talk(strict, args, who);
    client.type(`GET ${PATH} HTTP/1.1\r\nhost: localhost\r\n\r`);
    const text = await client.ended();
    expect(text).toMatch(told);
    expect(text).not.toContain('HTTP/1.1 200');
  });

  test.each([
    ['SSL 3 to TLS 1.1', ['-tls1_1']],
    ['suites without forward secrecy', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256']],
    ['suites without authenticated encryption', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA']],
  ])('refuses %s where TLS 1.2 is asked for', async (_name, args) => {
    const text = await talk(tolerant, [...args, '-cipher', 'ALL:@SECLEVEL=0', ...args.slice(1)]).ended();
    expect(text).toMatch(/alert|no protocols available|no cipher match/i);
    expect(text).toContain('Cipher is (NONE)');
  });

  test('takes TLS 1.2 where it is asked for, and renegotiates nothing', async () => {
    const client = talk(tolerant, ['-tls1_2']);
    expect(await client.ask(PATH)).toBe(200);
    client.type('R');
    const text = await client.ended();
    expect(text).toMatch(/RENEGOTIATING/);
    expect(text).toMatch(/no renegotiation|error/i);
  });
});

describe.skipIf(version === undefined)('a session that a client kept', () => {
  test.each([
    ['TLS 1.3', () => strict, ['-tls1_3']],
    ['TLS 1.2', () => tolerant, ['-tls1_2']],
  ] as const)(
    'of %s is never resumed, and opens nothing once its certificate is revoked',
    async (_name, sceneOf, args) => {
      const scene = sceneOf();
      const file = join(scene.folder, 'session.pem');
      const first = talk(scene, [...args, '-sess_out', file]);
      expect(await first.ask(PATH)).toBe(200);
      await first.end();
      // without tickets there may be nothing to keep; whatever was kept is offered
      const offered = existsSync(file) ? ['-sess_in', file] : [];
      const again = talk(scene, [...args, ...offered]);
      expect(await again.ask(PATH)).toBe(200);
      expect(again.printed()).toMatch(/^New, /m);
      expect(again.printed()).not.toMatch(/^Reused, /m);
      await again.end();
      await deny(scene, [gateway]);
      const revoked = talk(scene, [...args, ...offered]);
      expect(await revoked.ask(PATH)).toBe(401);
      expect(revoked.printed()).not.toMatch(/^Reused, /m);
      await deny(scene, []);
    },
  );
});

describe.skipIf(version === undefined)('an open connection', () => {
  test('is refused from the next request on when its certificate is revoked, and served when it is not any more', async () => {
    const client = talk(strict, []);
    expect(await client.ask(PATH)).toBe(200);
    await deny(strict, [gateway]);
    expect(await client.ask(PATH)).toBe(401);
    await deny(strict, []);
    expect(await client.ask(PATH)).toBe(200);
    const { text } = await strict.ask({
      path: '/v1/events?kind=auth.failed&limit=1000',
      key: ADMIN_KEY,
      client: gateway,
    });
    expect(text).toContain('certificate_revoked');
  });

  test('stays when the certificate of the listener changes, while new ones are shown the new one', async () => {
    const client = talk(strict, ['-showcerts']);
    expect(await client.ask(PATH)).toBe(200);
    const next = serverCertificate(strict.serverCa);
    strict.write('server.pem', next.pem);
    strict.write('server.key', next.key);
    strict.running.reloadCertificates();
    await until('the new certificate is shown', async () => {
      const fresh = talk(strict, ['-showcerts']);
      await fresh.ask(PATH);
      return fresh.printed().replaceAll(/\s/g, '').includes(next.pem.replaceAll(/\s/g, ''));
    });
    expect(await client.ask(PATH)).toBe(200);
  });

  test('is judged by the CAs that count now', async () => {
    const client = talk(strict, []);
    expect(await client.ask(PATH)).toBe(200);
    strict.write('clients.pem', others.pem);
    strict.running.reloadCertificates();
    expect(await client.ask(PATH)).toBe(401);
    const fresh = talk(strict, [], 'stranger');
    expect(await fresh.ask(PATH)).toBe(200);
    strict.write('clients.pem', clients.pem);
    strict.running.reloadCertificates();
    expect(await client.ask(PATH)).toBe(200);
  });
});
