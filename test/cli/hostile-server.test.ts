/** A service that wants to hold up, fill up or lead astray the program of an auditor: each is refused, soon. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient } from '../../src/cli/client.ts';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { freePort } from '../loopback-port.ts';
import { recordingTerminal } from './recording-terminal.ts';
import { ORIGIN, ordinaryLeaves, staticFiles, testSigner } from './static-log.ts';

const signer = testSigner();
const files = staticFiles(ordinaryLeaves(700), signer);
const SHARDS = { items: [{ name: '2026-W01-000000000000', first: 0, kept: true }] };
/** 64 MiB in 64 KiB. */
const BOMB = gzipSync(Buffer.alloc(64 * 1_048_576));
const SOON_MS = 30_000;

let root: string;
let key: string;
let server: Server | undefined;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-server-'));
  key = join(root, 'auditor.vkey');
  writeFileSync(key, signer.verifierKey);
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});
afterAll(() => rmSync(root, { recursive: true }));

/** Answers as an honest service, but for the paths that are given something else. */
async function serve(odd: Readonly<Record<string, RequestListener>>): Promise<string> {
  const listener: RequestListener = (request, response) => {
    const path = (request.url ?? '').replace('/v1/log/', '');
    const special = odd[path];
    if (special !== undefined) return special(request, response);
    if (path === 'shards')
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify(SHARDS));
    const bytes = files.get(path === 'key' ? 'log.vkey' : path);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  };
  const port = await freePort();
  const opened = createServer(listener);
  server = opened;
  await new Promise<void>(resolve => void opened.listen(port, '127.0.0.1', resolve));
  return `http://127.0.0.1:${port}`;
}

async function verify(url: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const terminal = recordingTerminal({ env: { DURAMEN_KEY: 'dmn_test' } });
  const code = await runCli(['log', 'verify', '--url', url, '--key', key], terminal, '0');
  return { code, stdout: terminal.stdout(), stderr: terminal.stderr() };
}

/** Writes for as long as somebody reads. */
function endless(chunk: Buffer): RequestListener {
  return (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
}

function answer(write: (response: ServerResponse) => void): RequestListener {
  return (_request, response) => write(response);
}

test('an honest service verifies', async () => {
  const { code, stdout, stderr } = await verify(await serve({}));
  expect(stderr).toBe('');
  expect(stdout).toContain('✓ the log is intact');
  expect(code).toBe(EXIT.ok);
});

describe('what a service answers is refused', () => {
  const CASES: readonly [string, Readonly<Record<string, RequestListener>>, RegExp][] = [
    ['a list of shards without an end', { shards: endless(Buffer.alloc(65_536, 0x20)) }, /is larger than/],
    ['a tile without an end', { 'tile/0/001': endless(Buffer.alloc(65_536)) }, /is larger than/],
    [
      'a tile of a gigabyte, compressed',
      { 'tile/0/001': answer(response => response.setHeader('content-encoding', 'gzip').end(BOMB)) },
      /is larger than/,
    ],
    [
      'a refusal without an end',
      { key: answer(response => endless(Buffer.alloc(65_536, 0x20))(response.req, response.writeHead(500))) },
      /answered 500/,
    ],
    [
      'a tile somewhere else',
      { 'tile/0/001': answer(response => response.writeHead(302, { location: '/v1/log/tile/0/000' }).end()) },
      /sends to another address/,
    ],
    [
      'less than it promised',
      {
        'tile/0/001': answer(response =>
          response.writeHead(200, { 'content-length': 8192 }).write('x', () => response.destroy()),
        ),
      },
      /cannot reach/,
    ],
    ['nothing', { checkpoint: answer(response => response.destroy()) }, /cannot reach/],
    [
      'a shard before the first entry',
      {
        shards: answer(response =>
          response.end(JSON.stringify({ items: [{ name: 'x', first: -1, kept: true }] })),
        ),
      },
      /not one of this version/,
    ],
    [
      'a shard within an entry',
      {
        shards: answer(response =>
          response.end(JSON.stringify({ items: [{ name: 'x', first: 0.5, kept: true }] })),
        ),
      },
      /not one of this version/,
    ],
  ];

  test.each(CASES)(
    '%s',
    async (_what, odd, reason) => {
      const { code, stdout, stderr } = await verify(await serve(odd));
      expect(stdout).toBe('');
      expect(stderr).toMatch(reason);
      expect(stderr).not.toContain('unexpected: please');
      expect(code).toBe(EXIT.failure);
    },
    SOON_MS,
  );
});

test(
  'a size that no log has ends at what is missing',
  async () => {
    const note = signCheckpoint(
      { origin: ORIGIN, size: Number.MAX_SAFE_INTEGER, root: leafHash(Buffer.of()) },
      [signer],
    );
    const { code, stdout } = await verify(
      await serve({ checkpoint: answer(response => response.end(note)) }),
    );
    expect(stdout).toContain('entry 512 is the first that is wrong');
    expect(code).toBe(EXIT.notVerified);
  },
  SOON_MS,
);

test('a body that trickles is given up after a while', async () => {
  const url = await serve({
    'tile/0/001': answer(response => {
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    }),
  });
  const client = new ApiClient(url, undefined, 300);
  await expect(client.fetchBytes('/v1/log/tile/0/001', 65_536)).rejects.toThrow('took longer than 0.3 s');
});
