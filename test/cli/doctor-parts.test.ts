/** What the doctor is made of: bytes on the wire, and what an answer proves. */
import { createServer as createSecureServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { judge, reasonOf, SPOOFED } from '../../src/cli/doctor/judge.ts';
import { startUpstream } from '../../src/cli/doctor/own-upstream.ts';
import type { Expectation, Forwarded, Seen } from '../../src/cli/doctor/probe.ts';
import { exchange, type RawRequest, type Target } from '../../src/cli/doctor/raw-client.ts';
import { serverCertificate } from '../edge/mtls/scene.ts';
import { makeAuthority } from '../identity/certificates/forge.ts';
import { freePort } from '../loopback-port.ts';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** How long an answer is waited for that comes at once, in milliseconds: no busy machine takes so long. */
const PATIENCE_MS = 20_000;
/** The same for one that does not come, or does not end; for what has come before, it is enough. */
const IMPATIENCE_MS = 2_000;

/** A server that answers each connection as it is told, and keeps what it was sent. */
async function answering(reply: (socket: Socket) => void): Promise<{ target: Target; sent: () => string }> {
  let received = '';
  server = createServer(socket => {
    socket.on('data', chunk => {
      received += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.once('data', () => reply(socket));
  });
  const port = await listenAnywhere(server);
  const target = { isTls: false, host: '127.0.0.1', port, authority: 'llm.example', insecure: false };
  return { target, sent: () => received };
}

function listenAnywhere(listening: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    listening.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      if (address === null || typeof address === 'string') reject(new Error('no port'));
      else resolve(address.port);
    });
  });
}

const GET: RawRequest = { method: 'GET', target: '/x', headers: [] };
const ok = (socket: Socket): void => {
  socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
};

describe('a request is sent', () => {
  test('as it is written, duplicates, spellings and traps', async () => {
    const { target, sent } = await answering(ok);
    const headers = [
      ['X_User', 'a'],
      ['X-User', 'b'],
      ['x-user', 'c'],
    ] as const;
    await exchange(
      target,
      { method: 'POST', target: '//a/../b;c#d', headers, body: Buffer.from('{}') },
      PATIENCE_MS,
    );
    expect(sent()).toBe(
      'POST //a/../b;c#d HTTP/1.1\r\nHost: llm.example\r\nX_User: a\r\nX-User: b\r\nx-user: c\r\n' +
        'Content-Length: 2\r\nConnection: close\r\n\r\n{}',
    );
  });

  test('in chunks, or cut below the length that it declares', async () => {
    const body = Buffer.from('0123456789');
    const chunked = await answering(ok);
    await exchange(chunked.target, { ...GET, body, framing: 'chunked' }, PATIENCE_MS);
    expect(chunked.sent()).toMatch(/Transfer-Encoding: chunked\r\n[^]*\r\n\r\na\r\n0123456789\r\n0\r\n\r\n$/);
    expect(chunked.sent()).not.toContain('Content-Length');
    server?.close();
    const cut = await answering(ok);
    await exchange(cut.target, { ...GET, body, framing: 'cut' }, PATIENCE_MS);
    expect(cut.sent()).toMatch(/Content-Length: 10\r\n[^]*\r\n\r\n01234$/);
  });
});

describe('an answer', () => {
  const answerOf = async (reply: (socket: Socket) => void, request = GET, patience = PATIENCE_MS) => {
    const { target } = await answering(reply);
    return exchange(target, request, patience);
  };

  test('is read past interim ones, with its headers in lower case', async () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nX-Duramen-Reason: A\r\nContent-Length: 1\r\n\r\nx';
    const answer = await answerOf(socket => void socket.write(text));
    expect(answer).toMatchObject({ status: 403, body: 'x' });
    expect('headers' in answer && answer.headers.get('x-duramen-reason')).toBe('A');
  });

  test.each([
    ['an upgrade', 'HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n', 101],
    ['one without an end', 'HTTP/1.1 200 OK\r\n\r\npart', 200],
    ['one that ends with its connection', 'HTTP/1.0 200 OK\r\n\r\nall', 200],
  ])('is %s', async (_, text, status) => {
    const reply = (socket: Socket): void => void socket.write(text);
    expect(await answerOf(reply, GET, IMPATIENCE_MS)).toMatchObject({ status });
  });

  test.each([
    ['silence', () => undefined, 'no answer in time'],
    ['a closed connection', (socket: Socket) => void socket.end(), 'the connection was closed'],
    [
      'something that is no HTTP',
      (socket: Socket) => void socket.end('SSH-2.0'),
      'the connection was closed',
    ],
  ])('does not come: %s', async (_, reply, failure) => {
    const answer = await answerOf(reply, GET, IMPATIENCE_MS);
    expect('failure' in answer ? answer.failure : '').toContain(failure);
  });

  test('is cut where it does not end', async () => {
    const answer = await answerOf(socket => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const flood = (): void => {
        if (socket.write('x'.repeat(65_536))) setImmediate(flood);
        else socket.once('drain', flood);
      };
      flood();
    });
    expect('body' in answer && answer.body.length).toBeLessThan(200_000);
  });
});

test('over TLS the certificate must be one that is trusted, unless any is taken', async () => {
  const { pem, key } = serverCertificate(makeAuthority());
  const secure = createSecureServer({ cert: pem, key }, (_, outgoing) => void outgoing.end('ok'));
  onTestFinished(() => void secure.close());
  const port = await listenAnywhere(secure);
  const target = { isTls: true, host: '127.0.0.1', port, authority: `127.0.0.1:${port}`, insecure: false };
  const refused = await exchange(target, GET, PATIENCE_MS);
  expect('failure' in refused ? refused.failure : '').toMatch(/certificate/);
  expect(await exchange({ ...target, insecure: true }, GET, PATIENCE_MS)).toMatchObject({ status: 200 });
});

describe('its reason', () => {
  const of = (headers: Record<string, string>, body: string) =>
    reasonOf({ status: 403, headers: new Map(Object.entries(headers)), body });

  test.each([
    [{ 'x-duramen-reason': 'MODEL_AMBIGUOUS' }, '', 'MODEL_AMBIGUOUS'],
    [{}, '{"error":{"message":"x","code":"NO_MATCHING_PERMIT"}}', 'NO_MATCHING_PERMIT'],
    [{}, '{"error":{"code":"UNAUTHENTICATED"}}', 'UNAUTHENTICATED'],
    [{}, '{"message":"UNAUTHENTICATED: nobody"}', 'UNAUTHENTICATED'],
    [{ 'x-duramen-reason': 'LOG_UNAVAILABLE' }, '', undefined],
    [{}, '<h1>FORBIDDEN</h1>', undefined],
    [{}, 'unauthenticated UNAUTHENTICATED', undefined],
  ] as const)('of %j %s is %s', (headers, body, reason) => {
    expect(of(headers, body)).toBe(reason);
  });
});

describe('the judgement', () => {
  const PATH = '/v1/chat/completions';
  const got = (target = PATH, headers: readonly (readonly [string, string[]])[] = []): Forwarded => ({
    target,
    headers: new Map(headers),
  });
  const seen = (status: number | undefined, more: Partial<Seen> = {}): Seen => ({
    status,
    reason: undefined,
    received: undefined,
    failure: undefined,
    ...more,
  });
  const grounds = {
    controlPassed: true,
    control: got(PATH, [['x-duramen-principal', ['alice']]]),
    path: PATH,
  };

  // biome-ignore format: one case a line
  test.each([
    ['passes', seen(200), 'pass'],
    ['passes', seen(403), 'fail'],
    ['passes', seen(200, { received: got('/v1/chat%2fcompletions') }), 'fail'],
    ['passes', seen(200, { received: got('/other/prefix') }), 'pass'],
    ['nobody', seen(200), 'fail'],
    ['nobody', seen(101), 'fail'],
    ['nobody', seen(401, { reason: 'UNAUTHENTICATED' }), 'pass'],
    ['nobody', seen(403, { reason: 'UNKNOWN_PRINCIPAL' }), 'fail'],
    ['nobody', seen(403, { reason: 'BODY_INCOMPLETE' }), 'fail'],
    ['nobody', seen(429, { reason: 'PENALTY_BLOCKED' }), 'inconclusive'],
    ['unmoved', seen(429, { reason: 'RATE_LIMITED' }), 'inconclusive'],
    ['nobody', seen(403), 'inconclusive'],
    ['nobody', seen(404), 'inconclusive'],
    ['nobody', seen(404, { received: null }), 'pass'],
    ['nobody', seen(404, { received: got() }), 'fail'],
    ['nobody', seen(undefined, { failure: 'reset' }), 'inconclusive'],
    ['refused', seen(200), 'fail'],
    ['refused', seen(403, { reason: 'MODEL_AMBIGUOUS' }), 'pass'],
    ['refused', seen(502), 'inconclusive'],
    ['refused', seen(413, { received: null }), 'pass'],
    ['unmoved', seen(200), 'pass'],
    ['unmoved', seen(200, { received: got(PATH, [['x-duramen-principal', ['alice']]]) }), 'pass'],
    ['unmoved', seen(200, { received: got(PATH, [['x-duramen-principal', ['bob']]]) }), 'fail'],
    ['unmoved', seen(403, { reason: 'NO_MATCHING_PERMIT' }), 'fail'],
    ['stripped', seen(200), 'inconclusive'],
    ['stripped', seen(200, { received: got(PATH, [['x-duramen-model', ['acme/m']]]) }), 'pass'],
    ['stripped', seen(200, { received: got(PATH, [['x-duramen-model', ['acme/m', SPOOFED]]]) }), 'fail'],
    ['same-path', seen(200), 'inconclusive'],
    ['same-path', seen(200, { received: got() }), 'pass'],
    ['same-path', seen(200, { received: got('/v1/x') }), 'fail'],
  ] as const satisfies readonly (readonly [Expectation, Seen, string])[])('%s %j: %s', (expects, what, outcome) => {
    expect(judge(expects, what, grounds).outcome).toBe(outcome);
  });

  test('takes no silence of the upstream for a refusal while what is allowed does not reach it', () => {
    const silent = seen(404, { received: null });
    expect(judge('refused', silent, { ...grounds, controlPassed: false }).outcome).toBe('inconclusive');
  });
});

test('an address that is taken is said to be', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const first = await startUpstream(address);
  onTestFinished(() => first.close());
  await expect(startUpstream(address)).rejects.toThrow(/cannot listen on/);
});
