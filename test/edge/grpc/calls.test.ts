/**
 * Calls that cannot be answered: a gateway that is not known, bytes that say nothing, a service that fails. Invariant:
 * each ends as an error of the call, or as a deny; under no rules of Envoy does one of them say OK.
 */
import { connect } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { Client, credentials, status } from '@grpc/grpc-js';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import { type PepProfileInput, pepProfilesSchema } from '../../../src/domain/pep-profile.ts';
import { ProfileRegistry } from '../../../src/identity/pep-profiles/profile-registry.ts';
import { type GrpcOptions, type GrpcServer, listenGrpc } from '../../../src/edge/grpc/server.ts';
import type { Services } from '../../../src/edge/http/services.ts';
import { PROCESS_TIMERS } from '../../../src/wiring/anchors.ts';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { CHECK_PATH, callWith, checkRequest, type Described, type Ended, envoyJudges } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';
import { Message } from './wire.ts';
import { withOtherLetter } from '../../other-letter.ts';

const SHARED: Pick<PepProfileInput, 'kind' | 'identity' | 'dialects' | 'body'> = {
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai'],
  body: 'whole',
};
const FOREIGN = { kind: 'network', tenants: '*' } as const;
// biome-ignore format: one profile a line
const PROFILES: readonly PepProfileInput[] = [
  { ...SHARED, name: 'envoy' },
  { ...SHARED, name: 'closed', onFailure: 'deny' },
  { ...SHARED, name: 'nginx', kind: 'nginx' },
  { ...SHARED, name: 'header', authentication: { kind: 'key', header: 'x-own-key' } },
  { ...SHARED, name: 'bound', authentication: { kind: 'key', keyIds: ['nobody'] } },
  { ...SHARED, name: 'here', authentication: { ...FOREIGN, networks: ['127.0.0.0/8'] } },
  { ...SHARED, name: 'elsewhere', authentication: { ...FOREIGN, networks: ['10.0.0.0/8', 'fd00::/8'] } },
];
const GOOD: Described = { path: CHAT, headers: ALICE, body: chatOf('acme/support-llm') };
const named = (profile: string): Buffer =>
  checkRequest({ ...GOOD, extensions: { duramen_profile: profile } });

let scene: CheckScene;
beforeAll(async () => {
  scene = await startCheckScene(PROFILES, { DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: '100000' });
});
afterAll(() => scene.stop());

/** `OK`, or how the call ended. */
function endOf({ error, bytes }: Ended): string {
  if (error !== undefined) return status[error.code];
  return new Message(bytes).message(1)?.int(1) === 0 ? 'OK' : 'denied';
}

describe('the gateway', () => {
  const bearer = (): Record<string, string> => ({ authorization: `Bearer ${scene.key}` });
  const call = async (
    profile: string | undefined,
    metadata: Readonly<Record<string, string>>,
    host?: string,
  ): Promise<string> => {
    const request = profile === undefined ? checkRequest(GOOD) : named(profile);
    return endOf(await callWith(scene.client, request, metadata, host === undefined ? {} : { host }));
  };

  test('proves itself by a key in the metadata, or by its network', async () => {
    expect(await call('envoy', bearer())).toBe('OK');
    expect(await call('envoy', { 'x-duramen-key': scene.key })).toBe('OK');
    expect(await call('header', { 'x-own-key': scene.key })).toBe('OK');
    expect(await call('here', {})).toBe('OK');
  });

  test.each([
    ['no key', 'envoy', () => ({}), 'UNAUTHENTICATED'],
    ['no key of ours', 'envoy', () => ({ authorization: 'Bearer dmn_x' }), 'UNAUTHENTICATED'],
    ['another scheme', 'envoy', () => ({ authorization: `Basic ${scene.key}` }), 'UNAUTHENTICATED'],
    [
      'a wrong secret',
      'envoy',
      () => ({ authorization: `Bearer ${withOtherLetter(scene.key)}` }),
      'UNAUTHENTICATED',
    ],
    [
      'a wrong key before the right one',
      'header',
      () => ({ ...bearer(), 'x-own-key': 'x' }),
      'UNAUTHENTICATED',
    ],
    ['a key that may not use the profile', 'bound', bearer, 'PERMISSION_DENIED'],
    ['another network', 'elsewhere', bearer, 'UNAUTHENTICATED'],
    ['an unknown profile', 'nope', bearer, 'NOT_FOUND'],
    ['a profile that asks in another way', 'nginx', bearer, 'NOT_FOUND'],
    ['an empty name', '', bearer, 'NOT_FOUND'],
    ['a name from the prototype', '__proto__', bearer, 'NOT_FOUND'],
    ['no name', undefined, bearer, 'NOT_FOUND'],
  ] as const)('with %s gets an error', async (_, profile, metadata, expected) => {
    expect(await call(profile, metadata())).toBe(expected);
  });

  test('proves itself by a key in the context of the route, unless the metadata has one', async () => {
    const ask = async (key: string, metadata: Readonly<Record<string, string>> = {}): Promise<string> => {
      const extensions = { duramen_profile: 'envoy', duramen_key: key };
      return endOf(await callWith(scene.client, checkRequest({ ...GOOD, extensions }), metadata));
    };
    expect(await ask(scene.key)).toBe('OK');
    expect(await ask('dmn_x')).toBe('UNAUTHENTICATED');
    expect(await ask(scene.key, { authorization: 'Bearer dmn_x' })).toBe('UNAUTHENTICATED');
    expect(await ask('dmn_x', bearer())).toBe('OK');
  });

  test('without a key is told how one is written, in the characters that a trailer may hold', async () => {
    const { error } = await callWith(scene.client, named('envoy'));
    expect(error?.details).toMatch(/`Authorization: Bearer dmn_\.\.\.`$/);
  });

  test('without the role gets an error', async () => {
    const auditor = await scene.service.makeKey(['auditor']);
    expect(await call('envoy', { authorization: `Bearer ${auditor}` })).toBe('PERMISSION_DENIED');
  });

  test('names its profile in the route, in the metadata or as the authority, in this order', async () => {
    expect(await call(undefined, { ...bearer(), 'x-duramen-profile': 'envoy' })).toBe('OK');
    expect(await call(undefined, bearer(), 'envoy')).toBe('OK');
    expect(await call(undefined, bearer(), 'envoy:8182')).toBe('OK');
    expect(await call('envoy', { ...bearer(), 'x-duramen-profile': 'nope' }, 'nope')).toBe('OK');
    expect(await call('nope', { ...bearer(), 'x-duramen-profile': 'envoy' }, 'envoy')).toBe('NOT_FOUND');
    expect(await call(undefined, { ...bearer(), 'x-duramen-profile': 'nope' }, 'envoy')).toBe('NOT_FOUND');
  });

  test('is counted when it fails to prove itself', async () => {
    const { text: metrics } = await scene.service.call('GET', '/metrics');
    expect(metrics).toMatch(/duramen_authentication_failures_total\{cause="missing"\} [1-9]/);
    expect(metrics).toMatch(/route="\/envoy\.service\.auth\.v3\.Authorization\/Check"/);
  });

  test('that may ask for another tenant alone is denied, however it treats errors', async () => {
    const globex = await scene.service.makeKey(['pep'], ['globex']);
    const ended = await callWith(scene.client, named('envoy'), { authorization: `Bearer ${globex}` });
    expect(envoyJudges(ended, [], true)).toMatchObject({ passes: false, status: 403 });
    expect(new Message(ended.bytes ?? Buffer.alloc(0)).message(1)?.text(2)).toBe('TENANT_NOT_ALLOWED');
  });
});

describe('bytes', () => {
  const send = (bytes: Buffer): Promise<Ended> =>
    callWith(scene.client, bytes, { authorization: `Bearer ${scene.key}`, 'x-duramen-profile': 'envoy' });

  test('that are no CheckRequest are an error', async () => {
    expect(endOf(await send(Buffer.from([0x0a, 0x7f])))).toBe('INVALID_ARGUMENT');
    expect(endOf(await send(Buffer.alloc(0)))).toBe('denied');
  });

  test('of any kind never say OK', async () => {
    const right = checkRequest({ ...GOOD, body: chatOf('globex/demand') });
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
      fc.nat({ max: right.byteLength }).map(end => right.subarray(0, end)),
      fc.tuple(fc.nat({ max: right.byteLength - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => {
        const changed = Buffer.from(right);
        changed[at] = byte;
        return changed;
      }),
      fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.concat([right, bytes])),
    );
    await fc.assert(
      fc.asyncProperty(hostile, async bytes => {
        expect(endOf(await send(bytes))).not.toBe('OK');
      }),
      { numRuns: 300 },
    );
  });

  test('beyond the limit are an error, also when they grow after decompression', async () => {
    const huge = checkRequest({ ...GOOD, body: Buffer.alloc(18 * 1024 * 1024, ' ') });
    expect(endOf(await send(huge))).toBe('RESOURCE_EXHAUSTED');
    const gzip = { 'grpc-encoding': 'gzip' };
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect(await sendFrames(frame(bomb, true), gzip)).toBe(status.RESOURCE_EXHAUSTED);
  });

  test('within the limit of a message and beyond that of the profile are a deny', async () => {
    const large = checkRequest({ ...GOOD, body: Buffer.alloc(2 * 1024 * 1024, ' ') });
    const ended = await send(large);
    expect(envoyJudges(ended, [], true)).toMatchObject({ passes: false });
    expect(new Message(ended.bytes ?? Buffer.alloc(0)).message(1)?.text(2)).toBe('BODY_INCOMPLETE');
  });

  test('to another method are an error', async () => {
    const elsewhere = await callWith(scene.client, named('envoy'), {}, { path: `${CHECK_PATH}s` });
    expect(endOf(elsewhere)).toBe('UNIMPLEMENTED');
  });

  test('are framed as gRPC frames them, or get no OK', async () => {
    const right = frame(named('envoy'));
    expect(await sendFrames(right)).toBe(status.OK);
    expect(await sendFrames(frame(gzipSync(named('envoy')), true), { 'grpc-encoding': 'gzip' })).toBe(
      status.OK,
    );
    const wrong: Record<string, readonly [Buffer, Record<string, string>?]> = {
      'two messages': [Buffer.concat([right, right])],
      'no message': [Buffer.alloc(0)],
      'half a message': [right.subarray(0, -1)],
      'half a head': [right.subarray(0, 3)],
      'compressed without saying how': [frame(gzipSync(named('envoy')), true)],
      'compressed in an unknown way': [frame(named('envoy'), true), { 'grpc-encoding': 'br' }],
      'not compressed as it says': [frame(named('envoy'), true), { 'grpc-encoding': 'gzip' }],
      'of another type': [right, { 'content-type': 'application/json' }],
    };
    const passed: string[] = [];
    for (const [name, [frames, headers]] of Object.entries(wrong)) {
      if ((await sendFrames(frames, { 'grpc-timeout': '2S', ...headers })) === status.OK) passed.push(name);
    }
    expect(passed).toEqual([]);
  });
});

describe('a service that fails', () => {
  const servers: GrpcServer[] = [];
  const clients: Client[] = [];
  afterAll(async () => {
    for (const client of clients) client.close();
    for (const server of servers) await server.close(0);
  });

  /** A listener of its own, whose engine does this. */
  async function failing(decide: () => Promise<never>, options: Partial<GrpcOptions> = {}): Promise<Client> {
    const services: Services = {
      ...scene.service.running.services,
      engine: { decide, refuse: decide },
    };
    const server = await listenGrpc(services, {
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
      maxConnections: 100,
      maxMessageBytes: 1024 * 1024,
      maxConcurrentStreams: 100,
      timeoutMs: 10_000,
      protoFolder: 'schema/protos',
      pepProfiles: new ProfileRegistry(pepProfilesSchema.parse(PROFILES)),
      logSampleRate: 1,
      timers: PROCESS_TIMERS,
      ...options,
    });
    const client = new Client(server.address, credentials.createInsecure());
    servers.push(server);
    clients.push(client);
    return client;
  }
  const ask = (client: Client, profile: string, deadlineMs = 20_000): Promise<Ended> =>
    callWith(client, named(profile), { authorization: `Bearer ${scene.key}` }, { deadlineMs });

  test.each([
    ['a log without room', () => new AppError('LOG_BACKPRESSURE', 'busy'), 'UNAVAILABLE'],
    ['a log that cannot be written', () => new AppError('LOG_UNAVAILABLE', 'full'), 'UNAVAILABLE'],
    ['a directory that is not loaded', () => new AppError('NOT_READY', 'wait'), 'UNAVAILABLE'],
    ['an exception', () => new TypeError('secret /path dmn_key'), 'INTERNAL'],
    ['a thrown text', () => 'secret', 'INTERNAL'],
    ['nothing thrown', () => undefined, 'INTERNAL'],
  ])('for %s is an error of the call, and a deny where the profile wants that', async (_, error, code) => {
    const client = await failing(() => Promise.reject(error()));
    const ended = await ask(client, 'envoy');
    expect(endOf(ended)).toBe(code);
    expect(ended.error?.details).not.toMatch(/secret|path|dmn_/);
    const closed = await ask(client, 'closed');
    expect(endOf(closed)).toBe('denied');
    expect(envoyJudges(closed, [], true)).toMatchObject({ passes: false, status: 403 });
    expect(closed.bytes?.toString('latin1')).not.toMatch(/secret|\/path|dmn_/);
  });

  test('for an exception thrown at once is an error, too', async () => {
    const client = await failing(() => {
      throw new RangeError('at once');
    });
    expect(endOf(await ask(client, 'envoy'))).toBe('INTERNAL');
  });

  test('to answer in time is an error, of its own clock or of the gateway', async () => {
    const never = (): Promise<never> => new Promise<never>(() => undefined);
    expect(endOf(await ask(await failing(never, { timeoutMs: 50 }), 'envoy'))).toBe('DEADLINE_EXCEEDED');
    expect(endOf(await ask(await failing(never), 'envoy', 50))).toBe('DEADLINE_EXCEEDED');
  });

  test('keeps the time also for a message that never comes', async () => {
    const client = await failing(() => Promise.reject(new Error('not reached')), { timeoutMs: 50 });
    const code = await new Promise<number>(resolve => {
      const asBytes = (buffer: Buffer): Buffer => buffer;
      client.makeClientStreamRequest(CHECK_PATH, asBytes, asBytes, error =>
        resolve(error?.code ?? status.OK),
      );
    });
    expect(code).toBe(status.DEADLINE_EXCEEDED);
  });

  test('lets further calls of a connection wait, and answers them', async () => {
    const gate = Promise.withResolvers<never>();
    let waiting = 0;
    const client = await failing(
      () => {
        waiting += 1;
        return gate.promise;
      },
      { maxConcurrentStreams: 2 },
    );
    const calls = Array.from({ length: 5 }, () => ask(client, 'envoy'));
    await expect.poll(() => waiting).toBe(2);
    gate.reject(new AppError('NOT_READY', 'wait'));
    expect((await Promise.all(calls)).map(endOf)).toEqual(Array.from({ length: 5 }, () => 'UNAVAILABLE'));
  });
});

/** One frame of gRPC. */
function frame(bytes: Buffer, isCompressed = false): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isCompressed ? 1 : 0;
  head.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([head, bytes]);
}

/** The code with which a call ends whose bytes are written by hand; undefined: it ends without one. */
function sendFrames(
  frames: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${scene.address}`);
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': CHECK_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${scene.key}`,
      'x-duramen-profile': 'envoy',
      ...headers,
    });
    let code: number | undefined;
    const note = (answer: Readonly<Record<string, unknown>>): void => {
      if (answer['grpc-status'] !== undefined) code = Number(answer['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    // the server may stop reading; how the call ended is known then
    stream.on('error', () => undefined);
    stream.on('close', () => {
      session.close();
      resolve(code);
    });
    stream.resume();
    stream.end(frames);
  });
}
