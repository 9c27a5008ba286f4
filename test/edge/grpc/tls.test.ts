/**
 * The gRPC listener over TLS: the handshake, who holds a certificate, and what happens when certificates change.
 * Invariant: a client certificate means here what it means over HTTP.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { failureCauses, fillScene, type Scene, serverCertificate, startScene, until } from '../mtls/scene.ts';
import { ADMIN_KEY } from '../service.ts';
import { callWith, checkRequest, type Ended, envoyJudges } from './envoy.ts';
import { askByPeer, peerRunsHere, writeDescriptors } from './other-peer.ts';
import { ALICE, CHAT } from './scene.ts';

const mesh = makeAuthority({ subject: 'CN=mesh ca' });
const people = makeAuthority({ subject: 'CN=people ca' });
const others = makeAuthority({ subject: 'CN=mesh ca' });
const GATEWAY = 'spiffe://acme.example/gateway';
const gateway = mesh.issue({ uris: [GATEWAY] });
const auditor = mesh.issue({ uris: ['spiffe://acme.example/auditor'] });
const unknown = mesh.issue({ uris: ['spiffe://acme.example/unknown'] });
const person = people.issue({ subject: 'CN=person' });
const forged = others.issue({ uris: [GATEWAY] });

const rule = (name: string, roles: readonly string[]) => ({
  name,
  authority: 'mesh',
  match: { spiffe: `spiffe://acme.example/${name}` },
  credential: { roles },
});
const OPENAI = { kind: 'envoy', identity: ASSERTS, dialects: ['openai'], body: 'whole' } as const;
const PROFILES: readonly PepProfileInput[] = [
  { ...OPENAI, name: 'by-key', dialects: ['openai'] },
  {
    ...OPENAI,
    name: 'by-certificate',
    dialects: ['openai'],
    authentication: { kind: 'certificate', rules: ['gateway'] },
  },
];

let scene: Scene;
const clients: Client[] = [];

function start(clientCertificates: string): Promise<Scene> {
  return startScene({
    files: {
      'mesh.pem': mesh.pem,
      'people.pem': people.pem,
      'mesh.crl': mesh.revoke([]),
      'people.crl': people.revoke([]),
      ...pairOf(serverCertificate(grpcCa)),
    },
    env: {
      DURAMEN_GRPC_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_TLS_CERTIFICATE: '{folder}/grpc.pem',
      DURAMEN_GRPC_TLS_KEY: '{folder}/grpc.key',
      DURAMEN_GRPC_TLS_CLIENT_CERTIFICATES: clientCertificates,
      DURAMEN_GRPC_TLS_CLIENT_AUTHORITIES: 'mesh',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify([
        { name: 'mesh', ca: ['{folder}/mesh.pem'], trustDomain: 'acme.example' },
        { name: 'people', ca: ['{folder}/people.pem'] },
      ]),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify([rule('gateway', ['pep']), rule('auditor', ['auditor'])]),
      DURAMEN_IDENTITY_REVOCATION_LISTS: '{folder}/mesh.crl,{folder}/people.crl',
      DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES),
      DURAMEN_SHUTDOWN_GRACE_SECONDS: '1',
    },
  });
}
const grpcCa = makeAuthority({ subject: 'CN=grpc ca' });
const pairOf = (server: Issued) => ({ 'grpc.pem': server.pem, 'grpc.key': server.key });

beforeAll(async () => {
  scene = await start('optional');
  await fillScene(scene);
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => scene.stop());

const addressOf = ({ running }: Scene): string => running.grpcAddress ?? '';

/** A connection of its own: channels with the same credentials would share one. */
function clientOf(own: Issued | undefined, to: Scene = scene, ca: Pick<Issued, 'pem'> = grpcCa): Client {
  const root = Buffer.from(ca.pem);
  const made =
    own === undefined
      ? credentials.createSsl(root)
      : credentials.createSsl(root, Buffer.from(own.key), Buffer.from(own.pem));
  const client = new Client(addressOf(to), made, {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
  });
  clients.push(client);
  return client;
}

function ask(client: Client, profile = 'by-key', key?: string, model = 'acme/support-llm'): Promise<Ended> {
  const extensions = { duramen_profile: profile };
  const request = checkRequest({ path: CHAT, headers: ALICE, body: chatOf(model), extensions });
  const metadata = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return callWith(client, request, metadata, { deadlineMs: 30_000 });
}

/** `200`, the status for the client, or how the call ended. */
function outcome(ended: Ended): string {
  if (ended.error !== undefined) return status[ended.error.code] ?? '?';
  const verdict = envoyJudges(ended, ALICE);
  return verdict.passes ? 'allow' : String(verdict.status);
}

describe('the handshake', () => {
  const shake = (options: ConnectionOptions): Promise<string> =>
    new Promise(resolve => {
      const [host = '', port = ''] = addressOf(scene).split(':');
      const socket = connect({
        host,
        port: Number(port),
        servername: 'localhost',
        ca: grpcCa.pem,
        ...options,
      });
      socket.once('secureConnect', () => {
        const { alpnProtocol } = socket;
        socket.once('close', () => resolve(`closed after ${String(alpnProtocol)}`));
        // the preface of HTTP/2 and empty settings: a server of it answers with its own
        socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
        socket.once('data', () => {
          resolve(`${socket.getProtocol()} ${String(alpnProtocol)}`);
          socket.destroy();
        });
      });
      socket.once('error', () => resolve('refused'));
    });

  test.each([
    ['TLS 1.3 and h2', { ALPNProtocols: ['h2'] }, 'TLSv1.3 h2'],
    ['TLS 1.2 alone', { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' } as const, 'refused'],
    ['HTTP/1.1 alone', { ALPNProtocols: ['http/1.1'] }, 'refused'],
    ['no protocol', {}, 'closed after false'],
  ])('of a client with %s', async (_, options, expected) => {
    expect(await shake(options)).toBe(expected);
  });

  test('is not done in plaintext', async () => {
    const client = new Client(addressOf(scene), credentials.createInsecure());
    clients.push(client);
    expect(outcome(await ask(client, 'by-key', ADMIN_KEY))).toBe('UNAVAILABLE');
  });

  test('fails for a client that trusts another authority', async () => {
    expect(outcome(await ask(clientOf(undefined, scene, people), 'by-key', ADMIN_KEY))).toBe('UNAVAILABLE');
  });
});

describe('a gateway', () => {
  test('is known by its certificate alone', async () => {
    const client = clientOf(gateway);
    expect(outcome(await ask(client))).toBe('allow');
    expect(outcome(await ask(client, 'by-certificate'))).toBe('allow');
    expect(outcome(await ask(client, 'by-key', undefined, 'globex/demand'))).toBe('403');
  });

  test('is known by its key, with a certificate or without', async () => {
    expect(outcome(await ask(clientOf(undefined), 'by-key', ADMIN_KEY))).toBe('allow');
    expect(outcome(await ask(clientOf(gateway), 'by-key', ADMIN_KEY))).toBe('allow');
  });

  test.each([
    ['no certificate and no key', undefined, 'by-key', undefined, 'UNAUTHENTICATED'],
    ['a certificate without a rule', unknown, 'by-key', undefined, 'UNAUTHENTICATED'],
    ['a certificate of another role', auditor, 'by-key', undefined, 'PERMISSION_DENIED'],
    [
      'a certificate of an authority that is not for this listener',
      person,
      'by-key',
      undefined,
      'UNAUTHENTICATED',
    ],
    ['a certificate of an authority that nobody knows', forged, 'by-key', undefined, 'UNAUTHENTICATED'],
    ['a certificate that is none of the profile', auditor, 'by-certificate', undefined, 'PERMISSION_DENIED'],
    [
      'a key alone, where the profile wants a certificate',
      undefined,
      'by-certificate',
      ADMIN_KEY,
      'UNAUTHENTICATED',
    ],
    ['a key beside a certificate that does not hold', forged, 'by-key', ADMIN_KEY, 'UNAUTHENTICATED'],
  ])('is refused with %s', async (_, own, profile, key, expected) => {
    expect(outcome(await ask(clientOf(own), profile, key))).toBe(expected);
  });

  test('is never taken for another one that asks at the same time', async () => {
    const known = clientOf(gateway);
    const stranger = clientOf(undefined);
    const asked = Array.from({ length: 40 }, (_, at) => ask(at % 2 === 0 ? known : stranger));
    const ended = (await Promise.all(asked)).map(outcome);
    expect(ended).toEqual(ended.map((__, at) => (at % 2 === 0 ? 'allow' : 'UNAUTHENTICATED')));
  });

  test('that is refused stands in the log with the cause', async () => {
    await ask(clientOf(forged));
    const logged = until('the cause is logged', async () =>
      (await failureCauses(scene)).some(cause => cause.startsWith('certificate_')),
    );
    await expect(logged).resolves.toBeUndefined();
  });
});

describe('certificates that change', () => {
  test('a revoked one opens nothing from the next call on, on an open connection', async () => {
    const client = mesh.issue({ uris: [GATEWAY] });
    const open = clientOf(client);
    expect(outcome(await ask(open))).toBe('allow');
    scene.write('mesh.crl', mesh.revoke([client.serial]));
    scene.running.reloadCertificates();
    expect(outcome(await ask(open))).toBe('UNAUTHENTICATED');
    expect(outcome(await ask(clientOf(gateway)))).toBe('allow');
    scene.write('mesh.crl', mesh.revoke([]));
    scene.running.reloadCertificates();
    expect(outcome(await ask(open))).toBe('allow');
  });

  test('a new one of the listener is shown to new connections, and open ones stay', async () => {
    const open = clientOf(gateway);
    expect(outcome(await ask(open))).toBe('allow');
    const nextCa = makeAuthority({ subject: 'CN=next grpc ca' });
    for (const [name, text] of Object.entries(pairOf(serverCertificate(nextCa)))) scene.write(name, text);
    scene.running.reloadCertificates();
    expect(outcome(await ask(open))).toBe('allow');
    expect(outcome(await ask(clientOf(gateway)))).toBe('UNAVAILABLE');
    expect(outcome(await ask(clientOf(gateway, scene, nextCa)))).toBe('allow');
    for (const [name, text] of Object.entries(pairOf(serverCertificate(grpcCa)))) scene.write(name, text);
    scene.running.reloadCertificates();
    expect(outcome(await ask(clientOf(gateway)))).toBe('allow');
  });
});

describe('where a certificate is required', () => {
  let strict: Scene;
  beforeAll(async () => {
    strict = await start('required');
    await fillScene(strict);
  });
  afterAll(() => strict.stop());

  test('there is no connection without one that holds, not even with a key', async () => {
    expect(outcome(await ask(clientOf(gateway, strict)))).toBe('allow');
    for (const own of [undefined, forged, person]) {
      expect(outcome(await ask(clientOf(own, strict), 'by-key', ADMIN_KEY))).toBe('UNAVAILABLE');
    }
  });

  test('the service ends although a handshake hangs', async () => {
    const alone = await start('required');
    const [host = '', port = ''] = addressOf(alone).split(':');
    const socket = dial(Number(port), host);
    await new Promise(resolve => socket.once('connect', resolve));
    const closed = new Promise(resolve => socket.once('close', resolve));
    socket.on('error', () => undefined);
    await alone.stop();
    await expect(closed).resolves.toBe(false);
  });

  test.runIf(peerRunsHere())('another implementation of gRPC is let in by its certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'duramen-tls-peer-'));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    writeDescriptors(join(folder, 'set'));
    const check = (model: string) => ({
      request: {
        attributes: {
          context_extensions: { duramen_profile: 'by-certificate' },
          request: {
            http: {
              method: 'POST',
              path: CHAT,
              host: 'llm.example',
              headers: Object.fromEntries(ALICE),
              raw_body: Buffer.from(chatOf(model)).toString('base64'),
            },
          },
        },
      },
      metadata: {},
      deadline: 20,
    });
    const checks = [check('acme/support-llm'), check('globex/demand')];
    const ca = file('ca.pem', grpcCa.pem);
    const by = (own: Issued, name: string) => [
      ca,
      file(`${name}.pem`, own.pem),
      file(`${name}.key`, own.key),
    ];
    const asked = (files: readonly string[]) =>
      askByPeer(addressOf(strict), join(folder, 'set'), checks, files);
    expect((await asked(by(gateway, 'own'))).map(({ code }) => code)).toEqual([0, 7]);
    expect((await asked(by(forged, 'forged'))).map(({ error }) => error)).toEqual([
      'UNAVAILABLE',
      'UNAVAILABLE',
    ]);
    expect((await asked([ca])).map(({ error }) => error)).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
    rmSync(folder, { recursive: true });
  });
});

test('the listener needs both files, and an authority for certificates of clients', async () => {
  const env = { DURAMEN_GRPC_LISTEN: '127.0.0.1:0', DURAMEN_GRPC_TLS_CLIENT_CERTIFICATES: 'required' };
  await expect(startScene({ env })).rejects.toThrow('grpc.tls.clientCertificates');
  const half = { DURAMEN_GRPC_LISTEN: '127.0.0.1:0', DURAMEN_GRPC_TLS_KEY: '{folder}/server.key' };
  await expect(startScene({ env: half })).rejects.toThrow('grpc.tls.certificate');
});
