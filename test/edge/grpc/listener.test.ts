/** The gRPC listener: what it says of itself, and how it starts and stops. */
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { shippedBundle, startTestService } from '../service.ts';
import { callWith, type Ended } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';
import { Message, part } from './wire.ts';

const PROFILE: PepProfileInput = {
  name: 'envoy',
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai'],
  body: 'whole',
};
const HEALTH = '/grpc.health.v1.Health/Check';
const SERVING = 1;
const NOT_SERVING = 2;
const asBytes = (buffer: Buffer): Buffer => buffer;

let scene: CheckScene;
beforeAll(async () => {
  scene = await startCheckScene([PROFILE]);
});
afterAll(() => scene.stop());

/** `status` of a HealthCheckResponse. */
function healthOf({ bytes }: Ended): number | undefined {
  return bytes === undefined ? undefined : new Message(bytes).int(1);
}
const health = (client: Client, service: string): Promise<Ended> =>
  callWith(client, service === '' ? Buffer.alloc(0) : part(1, service), {}, { path: HEALTH });

/** The listener looks at the health of the service every second. */
async function becomes(client: Client, service: string, wanted: number): Promise<void> {
  await expect.poll(async () => healthOf(await health(client, service))).toBe(wanted);
}

describe('health', () => {
  test('is told of the listener and of its service, to everybody', async () => {
    await becomes(scene.client, '', SERVING);
    await becomes(scene.client, 'envoy.service.auth.v3.Authorization', SERVING);
    expect((await health(scene.client, 'other')).error?.code).toBe(status.NOT_FOUND);
  });

  test('follows the readiness of the service', async () => {
    const empty = await startTestService({ env: { DURAMEN_GRPC_LISTEN: '127.0.0.1:0' } });
    const client = new Client(empty.running.grpcAddress ?? '', credentials.createInsecure());
    await becomes(client, '', NOT_SERVING);
    for (const name of ['platform', 'tenants/acme']) {
      const body = await shippedBundle(name);
      expect((await empty.call('POST', '/v1/bundles?activate=true', { body })).status).toBe(201);
    }
    await becomes(client, '', SERVING);
    empty.running.services.health.beginShutdown();
    await becomes(client, '', NOT_SERVING);
    client.close();
    await empty.stop();
  });
});

describe('reflection', () => {
  /** Answers of ServerReflectionInfo to one request. */
  const reflect = (request: Buffer): Promise<Message[]> =>
    new Promise((resolve, reject) => {
      const answers: Message[] = [];
      const call = scene.client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        asBytes,
        asBytes,
      );
      call.on('data', (bytes: Buffer) => answers.push(new Message(bytes)));
      call.on('error', (error: ServiceError) => reject(error));
      call.on('end', () => resolve(answers));
      call.write(request);
      call.end();
    });

  test('lists the services', async () => {
    const [answer] = await reflect(part(7, ''));
    const names = answer
      ?.message(6)
      ?.messages(1)
      .map(service => service.text(1));
    expect(names?.toSorted()).toEqual([
      'envoy.service.auth.v3.Authorization',
      'envoy.service.ratelimit.v3.RateLimitService',
      'grpc.health.v1.Health',
    ]);
  });

  test('describes them by the names of Envoy', async () => {
    const [answer] = await reflect(part(4, 'envoy.service.auth.v3.Authorization'));
    const files = (answer?.message(4)?.all(1) ?? []).map(file => file.toString('latin1')).join('\n');
    for (const name of ['CheckRequest', 'raw_body', 'header_map', 'headers_to_remove', 'dynamic_metadata']) {
      expect(files).toContain(name);
    }
  });

  test('says that it does not know what it does not know', async () => {
    const [answer] = await reflect(part(4, 'duramen.Secret'));
    expect(answer?.message(7)?.int(1)).toBe(status.NOT_FOUND);
  });
});

describe('starting and stopping', () => {
  test('does not listen when it is turned off', async () => {
    const service = await startTestService();
    expect(service.running.grpcAddress).toBeUndefined();
    await service.stop();
  });

  test('says what is wrong when the port is taken, and lets go of everything', async () => {
    const start = startTestService({ env: { DURAMEN_GRPC_LISTEN: scene.address } });
    await expect(start).rejects.toThrow(/cannot listen on 127\.0\.0\.1:\d+: .*set DURAMEN_GRPC_LISTEN/);
  });

  test('answers what was accepted before it stops, and nothing afterwards', async () => {
    // nothing is cut off, however long twenty decisions take
    const other = await startCheckScene([PROFILE], { DURAMEN_SHUTDOWN_GRACE_SECONDS: '60' });
    const asked = Array.from({ length: 20 }, () =>
      other.ask('envoy', { path: CHAT, headers: ALICE, body: chatOf('acme/support-llm') }),
    );
    const first = await Promise.any(asked);
    expect(first.error).toBeUndefined();
    const stopped = other.service.running.close();
    // each is answered by a decision that is in the log, or as an error; none is left without an end
    const ends = (await Promise.all(asked)).map(({ error, bytes }) =>
      error === undefined && new Message(bytes).message(3) !== undefined ? 'OK' : error?.code,
    );
    expect(ends.filter(end => end !== 'OK' && end !== status.UNAVAILABLE)).toEqual([]);
    await stopped;
    const late = await callWith(other.client, Buffer.alloc(0), {}, { deadlineMs: 2000 });
    expect(late.error).toBeDefined();
    await other.stop();
  });
});
