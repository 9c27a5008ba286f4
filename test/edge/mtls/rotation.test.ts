/** Certificates, keys, CAs and lists that change while the service runs, under load and with mistakes. */
import { rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../../identity/clock.ts';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY } from '../service.ts';
import {
  type Answer,
  type Ask,
  type Scene,
  type SceneOptions,
  send,
  serverCertificate,
  startScene,
  until,
} from './scene.ts';

const first = makeAuthority({ subject: 'CN=first ca' });
const second = makeAuthority({ subject: 'CN=second ca' });
const path = '/v1/status';
const ENV = {
  DURAMEN_TLS_CLIENT_CERTIFICATES: 'required',
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
const clientOf = (authority: typeof first): Issued =>
  authority.issue({ uris: ['spiffe://acme.example/gateway'] });
let scene: Scene | undefined;

async function open(options: SceneOptions = {}): Promise<Scene> {
  scene = await startScene({ files: { 'clients.pem': first.pem }, env: ENV, ...options });
  return scene;
}
afterEach(async () => {
  await scene?.stop();
  scene = undefined;
});

/** The serial number of the certificate that a new connection is shown. */
function shownSerial({ running, serverCa }: Scene, client: Issued): Promise<string> {
  const { port } = new URL(running.url);
  const options = {
    port: Number(port),
    ca: serverCa.pem,
    servername: 'localhost',
    cert: client.pem,
    key: client.key,
  };
  return new Promise((resolve, reject) => {
    const socket = connect(options, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

describe('a new certificate of the listener', () => {
  test('is shown once its files have changed, and open connections stay', async () => {
    const running = await open();
    const client = clientOf(first);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await running.ask({ path, client, agent });
    const [socket] = Object.values(agent.freeSockets).flat();
    const next = serverCertificate(running.serverCa);
    running.write('server.pem', next.pem);
    running.write('server.key', next.key);
    await until(
      'the new certificate is shown',
      async () => BigInt(`0x${await shownSerial(running, client)}`) === next.serial,
    );
    expect((await running.ask({ path, client, agent })).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()[0]).toBe(socket);
    agent.destroy();
  });

  test('costs no request, however often it changes under load', async () => {
    const running = await open();
    const client = clientOf(first);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const statuses: number[] = [];
    const over = new AbortController();
    const load = Array.from({ length: 6 }, async (_, at) => {
      // half of the clients make a new connection for each request
      const kept = at % 2 === 0 ? { agent } : {};
      while (!over.signal.aborted) statuses.push((await running.ask({ path, client, ...kept })).status);
    });
    for (let round = 0; round < 6; round += 1) {
      const next = serverCertificate(running.serverCa);
      const before = statuses.length;
      running.write('server.pem', next.pem);
      // here certificate and key do not fit, as they do for a moment with every tool
      running.running.reloadCertificates();
      running.write('server.key', next.key);
      running.running.reloadCertificates();
      await until('requests are answered', () => statuses.length > before + 10);
    }
    over.abort();
    await Promise.all(load);
    agent.destroy();
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  test('is used after SIGHUP', async () => {
    const running = await open();
    const next = serverCertificate(running.serverCa);
    running.write('server.pem', next.pem);
    running.write('server.key', next.key);
    process.emit('SIGHUP', 'SIGHUP');
    expect(BigInt(`0x${await shownSerial(running, clientOf(first))}`)).toBe(next.serial);
  });
});

const BAD: Readonly<Record<string, (scene: Scene) => void>> = {
  'a certificate without its key': running =>
    running.write('server.pem', serverCertificate(running.serverCa).pem),
  'a certificate that is none': running => running.write('server.pem', 'hello'),
  'a certificate for clients': running => {
    const wrong = running.serverCa.issue();
    running.write('server.pem', wrong.pem);
    running.write('server.key', wrong.key);
  },
  'a certificate that has expired': running => {
    const old = serverCertificate(running.serverCa, Date.now() - 60_000);
    running.write('server.pem', old.pem);
    running.write('server.key', old.key);
  },
  'an empty key': running => running.write('server.key', ''),
  'no file of CAs': running => rmSync(join(running.folder, 'clients.pem')),
  'CAs of which one is none': running => running.write('clients.pem', first.pem + clientOf(first).pem),
  'half a file of CAs': running => running.write('clients.pem', first.pem.slice(0, 300)),
};

describe('files that cannot be used', () => {
  let shared: Scene;
  const server = makeAuthority({ subject: 'CN=shared' });
  const good = serverCertificate(server);
  const files = { 'server.pem': good.pem, 'server.key': good.key, 'clients.pem': first.pem };
  beforeAll(async () => {
    shared = { ...(await startScene({ files, env: ENV })), serverCa: server };
  });
  afterAll(() => shared.stop());

  test.each(Object.entries(BAD))('change nothing, and are told about: %s', async (_, spoil) => {
    const client = clientOf(first);
    const ask = (question: Ask): Promise<Answer> => send(shared.running.url, server, { client, ...question });
    shared.logLines.length = 0;
    spoil(shared);
    shared.running.reloadCertificates();
    expect(BigInt(`0x${await shownSerial(shared, client)}`)).toBe(good.serial);
    expect((await ask({ path })).status).toBe(200);
    const { text } = await ask({ path: '/readyz?verbose' });
    expect(text).toContain('the newest files are not used');
    expect(text).not.toContain(shared.folder);
    expect((await ask({ path: '/metrics', key: ADMIN_KEY })).text).toMatch(
      /duramen_tls_reloads_total\{part="[a-z ]+",result="refused"\} [1-9]/,
    );
    expect(shared.logLines.join('')).toMatch(/"level":"?(?:error|50).*what was loaded before stays/);
    expect(shared.logLines.join('')).toContain(shared.folder);
    for (const [name, content] of Object.entries(files)) shared.write(name, content);
    shared.running.reloadCertificates();
    expect((await ask({ path: '/readyz?verbose' })).text).not.toContain('not used');
  });

  test('keep the service from starting', async () => {
    await expect(startScene({ files: { 'clients.pem': 'hello' }, env: ENV })).rejects.toThrow(
      /clients\.pem`?.*PEM|no certificate/,
    );
    await expect(
      startScene({
        files: { 'clients.pem': first.pem },
        env: { ...ENV, DURAMEN_TLS_KEY: '{folder}/absent' },
      }),
    ).rejects.toThrow(/absent/);
  });
});

describe('a new CA of clients', () => {
  test('counts for new connections, and the old one no longer for open ones', async () => {
    const running = await open();
    const [old, next] = [clientOf(first), clientOf(second)];
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await running.ask({ path, client: old, agent })).status).toBe(200);
    await expect(running.ask({ path, client: next })).rejects.toThrow(
      /unknown ca|alert|ECONNRESET|EPIPE|socket/i,
    );
    running.write('clients.pem', second.pem);
    running.running.reloadCertificates();
    expect((await running.ask({ path, client: next })).status).toBe(200);
    expect((await running.ask({ path, client: old, agent })).status).toBe(401);
    agent.destroy();
  });
});

test.each<[string, () => Issued | undefined]>([
  ['none', () => undefined],
  [
    'an expired one',
    () => first.issue({ uris: ['spiffe://acme.example/gateway'], notAfter: Date.now() - 60_000 }),
  ],
  ['one of an unknown CA', () => clientOf(second)],
])('where certificates are required, there is no connection with %s', async (_, make) => {
  const running = await open();
  await expect(running.ask({ path: '/livez', client: make() })).rejects.toThrow(
    /alert|ECONNRESET|EPIPE|hang up|disconnected/i,
  );
});

test('readiness says when the certificate of the listener expires soon', async () => {
  const clock = manualClock(Date.now());
  const running = await open({ clock });
  clock.advance(26 * 86_400_000);
  const { text } = await running.ask({ path: '/readyz?verbose', client: clientOf(first) });
  expect(text).toMatch(/it expires in [23] days/);
});
