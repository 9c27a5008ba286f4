/** What the TLS listener accepts at the handshake, over real sockets with Node's client. */
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY } from '../service.ts';
import { type Scene, startScene } from './scene.ts';

let scene: Scene;
const clients = makeAuthority({ subject: 'CN=client ca' });

beforeAll(async () => {
  scene = await startScene({
    files: { 'clients.pem': clients.pem },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([{ name: 'mesh', ca: ['{folder}/clients.pem'] }]),
    },
  });
});
afterAll(() => scene.stop());

function open(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { port } = new URL(scene.running.url);
  const socket = connect({ port: Number(port), ca: scene.serverCa.pem, servername: 'localhost', ...options });
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** One request on an open connection. */
async function askOn(socket: TLSSocket): Promise<string> {
  socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += String(part);
  return text;
}

describe('the TLS listener', () => {
  test('answers over TLS 1.3 and says https of itself', async () => {
    expect(scene.running.url).toMatch(/^https:/);
    const socket = await open();
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(await askOn(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('refuses a client that speaks TLS 1.2 alone', async () => {
    await expect(open({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version|alert/i);
  });

  test('speaks http/1.1 to a client that offers it, whatever name it asks for', async () => {
    const socket = await open({
      ALPNProtocols: ['h2', 'http/1.1'],
      servername: 'elsewhere.example',
      checkServerIdentity: () => undefined,
    });
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });

  test('refuses a client that speaks h2 alone', async () => {
    await expect(open({ ALPNProtocols: ['h2'] })).rejects.toThrow(/application protocol|alert/i);
  });

  test('does not resume a session', async () => {
    const first = await open();
    const sessions: Buffer[] = [];
    first.on('session', session => sessions.push(session));
    await askOn(first);
    const session = sessions.at(-1) ?? first.getSession();
    const second = await open(session === undefined ? {} : { session });
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  });

  test('closes a connection that speaks plain HTTP, without an answer', async () => {
    const { port } = new URL(scene.running.url);
    const socket = connectPlain(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
    let text = '';
    for await (const part of socket.setEncoding('latin1')) text += String(part);
    expect(text).not.toContain('HTTP/');
    const { text: metrics } = await scene.ask({ path: '/metrics', key: ADMIN_KEY });
    expect(metrics).toMatch(
      /duramen_tls_handshake_failures_total\{listener="http",code="ERR_SSL_[A-Z_]+"\} \d/,
    );
  });

  test('answers bytes that are no HTTP over TLS with 400', async () => {
    const socket = await open();
    socket.write('not http at all\r\n\r\n');
    let text = '';
    for await (const part of socket.setEncoding('utf8')) text += String(part);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('tells when its certificate expires', async () => {
    const { text } = await scene.ask({ path: '/metrics', key: ADMIN_KEY });
    const seconds = Number(/duramen_tls_certificate_expiry_seconds\{listener="http"\} (\d+)/.exec(text)?.[1]);
    expect(seconds / 86_400).toBeGreaterThan(28);
    expect(seconds / 86_400).toBeLessThan(31);
  });
});
