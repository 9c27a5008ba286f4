/** Bytes that no honest client sends, straight over a socket: each gets an answer, none harms the service. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_KEY, ALLOWED, startTestService, type TestService } from './service.ts';

/** How long a reply may take before the test fails, in milliseconds. */
const DEADLINE_MS = 30_000;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ env: { DURAMEN_HTTP_REQUEST_TIMEOUT_SECONDS: '30' } });
});
afterAll(() => service.stop());

/** Sends bytes, ends the sending side when asked to, and collects what comes until the service closes or answers. */
function exchange(bytes: string, end = false): Promise<string> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer to ${JSON.stringify(bytes.slice(0, 80))}`));
    }, DEADLINE_MS);
    const finish = () => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(received);
    };
    socket.on('data', chunk => {
      received += chunk.toString('latin1');
      if (isWhole(received)) finish();
    });
    socket.on('close', finish);
    socket.on('end', finish);
    socket.on('error', finish);
    socket.write(bytes, 'latin1');
    if (end) socket.end();
  });
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(text);
  return head !== -1 && length !== null && text.length >= head + 4 + Number(length[1]);
}

function post(headers: readonly string[], body: string, target = '/decide'): string {
  const head = [
    'host: x',
    `authorization: Bearer ${ADMIN_KEY}`,
    'content-type: application/json',
    ...headers,
  ];
  return `POST ${target} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`;
}

async function isAlive(): Promise<boolean> {
  return (await service.call('GET', '/livez')).status === 200;
}

const body = JSON.stringify(ALLOWED);

describe('answers', () => {
  const cases: [name: string, bytes: string, status: number][] = [
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['a head of 90 KB', `GET /livez HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(90_000)}\r\n\r\n`, 431],
    ['no host', 'GET /livez HTTP/1.1\r\n\r\n', 400],
    ['two content lengths', post(['content-length: 2', 'content-length: 3'], '{}'), 400],
    ['a length and chunks', post(['content-length: 5', 'transfer-encoding: chunked'], '0\r\n\r\n'), 400],
    ['a negative length', post(['content-length: -1'], ''), 400],
    ['a broken chunk', post(['transfer-encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'), 400],
    [
      'a header split by a bare return',
      `GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: a\rset-cookie: b\r\n\r\n`,
      400,
    ],
    [
      'chunks beyond the limit',
      post(['transfer-encoding: chunked'], `100001\r\n${' '.repeat(0x100001)}\r\n0\r\n\r\n`),
      413,
    ],
    ['a length beyond the limit', post(['content-length: 99999999999'], '{}'), 413],
    ['an absolute target', `GET http://evil/livez HTTP/1.1\r\nhost: x\r\n\r\n`, 400],
    ['a dot segment', 'GET /v1/models/../keys HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['an encoded dot segment', 'GET /v1/models/%2e%2E/keys HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['a backslash', 'GET /v1\\keys HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['half a percent sign', 'GET /v1/models/a%2 HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['percent-encoding that is not UTF-8', 'GET /v1/models/%ff HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['a target of 9 KB', `GET /${'a'.repeat(9000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 400],
    ['an unknown method', 'BREW /livez HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['a method that no route has', 'PROPFIND /livez HTTP/1.1\r\nhost: x\r\n\r\n', 405],
    ['the asterisk form', 'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ];
  test.each(cases)('%s', async (_name, bytes, status) => {
    const reply = await exchange(bytes);
    expect(reply).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(reply).toContain('application/problem+json');
    expect(await isAlive()).toBe(true);
  });

  test('a request id cannot inject a header', async () => {
    const reply = await exchange(
      'GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: a%0d%0aset-cookie: b\r\n\r\n',
    );
    expect(reply).toMatch(/^HTTP\/1.1 200 /);
    expect(reply).not.toMatch(/^set-cookie/im);
  });
});

describe('clients that go away', () => {
  test.each([
    ['in the head', 'POST /decide HTTP/1.1\r\nhost: x\r\n'],
    ['in the body', post([`content-length: ${body.length}`], body.slice(0, 10))],
    ['between chunks', post(['transfer-encoding: chunked'], '5\r\n{"pri\r\n')],
    ['in the body of another route', post(['content-length: 100'], '{"roles"', '/v1/keys')],
    [
      'in the middle of an import',
      post(['content-length: 1000'], '{}', '/v1/directory/import').replace(
        'application/json',
        'application/x-ndjson',
      ),
    ],
  ])('%s leave nothing behind', async (_name, bytes) => {
    const before = await service.call('GET', '/v1/decisions');
    await exchange(bytes, true);
    expect(await isAlive()).toBe(true);
    expect((await service.call('GET', '/v1/decisions')).text).toBe(before.text);
    expect((await service.call('GET', '/v1/keys')).text).not.toContain('"pep"');
  });
});

test('pipelined requests are answered in their order', async () => {
  const { hostname, port } = new URL(service.url);
  const received = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect({ host: hostname, port: Number(port) });
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`not answered: ${text.slice(0, 200)}`));
    }, DEADLINE_MS);
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      if ((text.match(/^HTTP\/1.1 /gm) ?? []).length < 3) return;
      clearTimeout(deadline);
      socket.destroy();
      resolve(text);
    });
    const one = (id: string) => `GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\n\r\n`;
    socket.write(one('first') + one('second') + one('third'));
  });
  expect([...received.matchAll(/^x-request-id: (\w+)/gim)].map(match => match[1])).toEqual([
    'first',
    'second',
    'third',
  ]);
});

test('the log of the service shows no credential after all of this', () => {
  expect(service.logLines.join('')).not.toContain(ADMIN_KEY);
});
