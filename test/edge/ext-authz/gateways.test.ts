/**
 * Real gateways in front of a real upstream, with the configurations of deploy/. What is not installed is skipped
 * and said so; under CI it fails.
 */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import type { TestService } from '../service.ts';
import { ASSERTS, ask, chatOf, type GatewayReply, type Question, startWithProfiles } from './asking.ts';
import {
  type GatewayName,
  type GatewayProcess,
  runsHere,
  startGateway,
  startSilentService,
  startUpstream,
  type Upstream,
} from './gateway-process.ts';
import { pushLimits } from '../limited-service.ts';
import { freePort } from '../../loopback-port.ts';

const SHARED: Pick<PepProfileInput, 'identity' | 'dialects'> = {
  identity: { ...ASSERTS, method: 'api_key' },
  dialects: ['openai', 'torchserve'],
};
const ORIGINAL = {
  kind: 'headers',
  method: 'x-original-method',
  uri: 'x-original-uri',
  host: 'x-original-host',
  normalizedUri: 'x-normalized-uri',
} as const;
const BODY = { body: 'whole', bodyLength: 'x-original-content-length' } as const;
const PROFILES: readonly PepProfileInput[] = [
  { ...SHARED, name: 'nginx', kind: 'nginx', source: ORIGINAL },
  { ...SHARED, ...BODY, name: 'njs', kind: 'nginx', source: ORIGINAL },
  { ...SHARED, name: 'caddy', kind: 'caddy' },
  { ...SHARED, ...BODY, name: 'haproxy', kind: 'haproxy' },
];

const CHAT = '/v1/chat/completions';
const PREDICT = '/predictions/acme%2Fsupport-llm';
const ALICE = { authorization: 'Bearer alice-token', 'content-type': 'application/json' };

/** Gateways that show the body, and those that do not. */
const GATEWAYS: readonly { readonly name: GatewayName; readonly showsBody: boolean }[] = [
  { name: 'nginx', showsBody: false },
  { name: 'njs', showsBody: true },
  { name: 'caddy', showsBody: false },
  { name: 'haproxy', showsBody: true },
];

let service: TestService;
let upstream: Upstream;
let key: string;

beforeAll(async () => {
  service = await startWithProfiles(PROFILES);
  key = await service.makeKey(['pep']);
  upstream = await startUpstream();
});
afterAll(async () => {
  await upstream.stop();
  await service.stop();
});

for (const gateway of GATEWAYS) {
  describe.skipIf(!runsHere(gateway.name)).each([gateway])('$name', ({ name, showsBody }) => {
    protects(name, showsBody);
  });
}

/** What every gateway has to do, whatever it is. */
function protects(name: GatewayName, showsBody: boolean): void {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    const pdpPort = Number(new URL(service.url).port);
    gateway = await startGateway(name, { pdpPort, upstreamPort: upstream.port, key });
  });
  afterAll(() => gateway.stop());

  const send = async (question: Question): Promise<GatewayReply> => {
    upstream.take();
    return ask(gateway.url, question);
  };
  /** What the client gets when nothing may reach the upstream. */
  const refused = async (question: Question): Promise<GatewayReply> => {
    const reply = await send(question);
    expect(upstream.take()).toEqual([]);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    return reply;
  };

  test('lets pass what is allowed, with the decision and nothing of ours', async () => {
    const question = showsBody
      ? { path: CHAT, headers: ALICE, body: chatOf('support-llm') }
      : { path: PREDICT, headers: ALICE, body: '{"x":1}' };
    expect((await send(question)).status).toBe(200);
    const [received, ...more] = upstream.take();
    expect(more).toEqual([]);
    expect(received).toMatchObject({ method: 'POST', url: question.path, body: question.body });
    expect(received?.headers).toMatchObject({
      'x-duramen-model': 'acme/support-llm',
      'x-duramen-principal': 'User::acme/alice',
      'x-duramen-tenant': 'acme',
    });
    expect(received?.headers['x-duramen-decision-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(received?.headers)).not.toContain(key);
  });

  test('tells why it denies', async () => {
    const question = showsBody
      ? { path: CHAT, headers: ALICE, body: chatOf('globex/demand') }
      : { path: '/predictions/globex%2Fdemand', headers: ALICE, body: '{}' };
    const reply = await refused(question);
    expect(reply.status).toBe(403);
    expect(reply.headers['x-duramen-reason']).toMatch(/^[A-Z_]+$/);
    expect(reply.text).toContain(reply.headers['x-duramen-reason']);
  });

  test('tells a client that asks too often when to come back', async () => {
    const id = `${name}-bob`;
    const principals = [{ type: 'User', id: 'acme/bob' }];
    const window = { kind: 'window', unit: 'requests', limit: 1, per: '3600s', key: ['principal'] };
    await pushLimits(service, { limits: [{ ...window, id, match: { principals } }] });
    const headers = { ...ALICE, authorization: 'Bearer bob-token' };
    const question = showsBody
      ? { path: CHAT, headers, body: chatOf('support-llm') }
      : { path: PREDICT, headers, body: '{"x":1}' };
    expect((await send(question)).status).toBe(200);
    const reply = await refused(question);
    expect(reply).toMatchObject({ status: 429, headers: { 'x-duramen-reason': 'RATE_LIMITED' } });
    const wait = reply.headers['retry-after'];
    expect(wait).toMatch(/^[1-9]\d*$/);
    expect(reply.headers).toMatchObject({
      ratelimit: `"platform/${id}";r=0;t=${wait}`,
      'ratelimit-policy': `"platform/${id}";q=1;w=3600`,
      'x-ratelimit-limit': '1',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': wait,
    });
  });

  test('answers 401 to those whom nobody knows', async () => {
    for (const headers of [{}, { authorization: 'Bearer nobody' }]) {
      const reply = await refused({ path: PREDICT, headers, body: '{}' });
      expect(reply).toMatchObject({ status: 401, headers: { 'x-duramen-reason': 'UNAUTHENTICATED' } });
    }
  });

  test('believes no identity that the client writes', async () => {
    for (const own of [
      { 'x-user': 'acme/alice' },
      { 'X-User': 'acme/alice', authorization: 'Bearer nobody' },
      { 'x-duramen-principal': 'User::acme/alice' },
    ]) {
      expect((await refused({ path: PREDICT, headers: own, body: '{}' })).status).toBeLessThan(500);
    }
    // whatever the client says it is, it is Erin, who may not use this model
    const erin = { authorization: 'Bearer erin-token', 'x-user': 'acme/alice' };
    expect((await refused({ path: PREDICT, headers: erin, body: '{}' })).status).toBe(403);
  });

  test('takes no headers that pose as those of the decision', async () => {
    for (const header of ['x-duramen-model', 'X-Duramen-Tenant']) {
      const reply = await send({ path: PREDICT, headers: { ...ALICE, [header]: 'evil' }, body: '{}' });
      const received = upstream.take();
      expect(
        reply.status === 403 || received.every(({ headers }) => !JSON.stringify(headers).includes('evil')),
      ).toBe(true);
    }
  });

  test('hands on the decision though `Connection` names its headers, and no name that the client wrote', async () => {
    const headers = {
      ...ALICE,
      connection: 'close, X-Duramen-Principal, x-duramen-model, x-duramen-decision-id',
      'x-user': 'acme/bob',
    };
    expect((await send({ path: PREDICT, headers, body: '{}' })).status).toBe(200);
    const [received] = upstream.take();
    expect(received?.headers).toMatchObject({
      'x-duramen-model': 'acme/support-llm',
      'x-duramen-principal': 'User::acme/alice',
      'x-duramen-tenant': 'acme',
    });
    expect(received?.headers['x-duramen-decision-id']).toMatch(/^[0-9a-f-]{36}$/);
    // a server behind drops what this header names
    expect(received?.headers['connection'] ?? '').not.toMatch(/duramen/i);
    expect(received?.headers['x-user']).toBeUndefined();
  });

  test('upgrades no connection in secret', async () => {
    const headers = { ...ALICE, connection: 'upgrade, x-duramen-model', upgrade: 'h2c' };
    const reply = await send({ path: PREDICT, headers, body: '{}' });
    const received = upstream.take();
    expect(reply.status).toBe(received.length === 0 ? 403 : 200);
    // a gateway takes the header away, or shows it and is denied
    expect(received.flatMap(one => one.headers['upgrade'] ?? [])).toEqual([]);
  });

  test('forwards no path but the one that was decided', async () => {
    for (const path of [
      '/predictions/x/../acme%2Fsupport-llm',
      '/%2e%2e/predictions/acme%2Fsupport-llm',
      '//predictions/acme%2Fsupport-llm',
      '/predictions//acme%2Fsupport-llm',
      '/predictions/acme%2Fsupport-llm/',
      '/predictions/acme%2fsupport-llm%00',
      '/predictions/acme%2Fsupport-llm;x',
      '/predictions/acme%252Fsupport-llm',
      '/PREDICTIONS/acme%2Fsupport-llm',
      '/v1/unknown',
      '/',
    ]) {
      expect((await refused({ path, headers: ALICE, body: '{}' })).status).toBeLessThan(500);
    }
  });

  test('denies what it cannot see, and decides what it can', async () => {
    const question = { path: CHAT, headers: ALICE, body: chatOf('support-llm') };
    const reply = await send(question);
    const bodies = upstream.take().map(({ body }) => body);
    expect([reply.status, bodies]).toEqual(showsBody ? [200, [question.body]] : [403, []]);
    await refused({ ...question, body: chatOf('support-llm').replace('{', '{"model":"globex/demand",') });
    await refused({ ...question, body: chatOf('support-llm', { x: 'x'.repeat(2_000_000) }) });
    await refused({ ...question, body: '' });
    await refused({ ...question, headers: { ...ALICE, 'x-http-method-override': 'DELETE' } });
  });

  test('leaves streams as they are', async () => {
    const path = showsBody ? CHAT : PREDICT;
    const reply = await send({ path, headers: ALICE, body: chatOf('support-llm', { stream: true }) });
    expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    expect(reply.text).toBe('data: {"object":"chat.completion.chunk"}\n\ndata: [DONE]\n\n');
  });

  // Once Caddy 2.6.2 handed on the first event and then a proper end; why is not known. The service is not asked any more
  // at that point, so the next try tells whether the configuration holds streams back.
  test('hands on each event of a stream before the next one is there', { retry: 2 }, async () => {
    const release = upstream.hold();
    const path = showsBody ? CHAT : PREDICT;
    const events: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(`${gateway.url}${path}`, { method: 'POST', headers: ALICE }, incoming => {
        incoming.setEncoding('utf8').on('data', (text: string) => {
          events.push(text);
          // the upstream waits for this
          release();
        });
        incoming.on('end', resolve).on('error', reject);
      });
      outgoing.on('error', reject).end(chatOf('support-llm', { stream: true }));
    });
    expect(events[0]).toBe('data: {"object":"chat.completion.chunk"}\n\n');
    expect(events.join('')).toContain('[DONE]');
  });

  test('lets nothing pass while the service is down or silent', async () => {
    const silent = await startSilentService();
    for (const pdpPort of [await freePort(), silent.port]) {
      const settings = { pdpPort, upstreamPort: upstream.port, key, isImpatient: true };
      const alone = await startGateway(name, settings);
      try {
        upstream.take();
        const reply = await ask(alone.url, { path: PREDICT, headers: ALICE, body: '{}' });
        expect(reply.status).toBeGreaterThanOrEqual(500);
        expect(upstream.take()).toEqual([]);
      } finally {
        await alone.stop();
      }
    }
    await silent.stop();
  });

  test('lets nothing pass with a key that is not valid', async () => {
    const pdpPort = Number(new URL(service.url).port);
    const alone = await startGateway(name, { pdpPort, upstreamPort: upstream.port, key: 'dmn_not_a_key' });
    try {
      upstream.take();
      const reply = await ask(alone.url, { path: PREDICT, headers: ALICE, body: '{}' });
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(upstream.take()).toEqual([]);
    } finally {
      await alone.stop();
    }
  });
}
