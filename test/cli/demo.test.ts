/**
 * The demo and the service over their life: an empty store is filled once, every start has a key of its own
 * that ends with it, and `serve` fills nothing.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT, type ExitCode } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { startService } from '../../src/main.ts';
import { configFor } from '../edge/service.ts';
import { type RecordingTerminal, recordingTerminal } from './recording-terminal.ts';

/** Longest wait for a start, in milliseconds. */
const START_MS = 80_000;
const ADMIN_KEY = 'demo-test-admin-key-0123456789abcdefghij';
const TOUR = /export DURAMEN_URL=(\S+) DURAMEN_KEY=(\S+)[^]*humanApproved.*\n/;
const LISTENING = /listening on (\S+),/;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-demo-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Running {
  readonly terminal: RecordingTerminal;
  /** The part of the output that the pattern asked for. */
  readonly shown: readonly string[];
  readonly stop: () => Promise<ExitCode>;
}

async function start(command: 'demo' | 'serve', pattern: RegExp): Promise<Running> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const terminal = recordingTerminal({
    env: {
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'silent',
    },
    stop: stopped,
  });
  const ended = runCli([command], terminal, '0.0.0-test');
  const deadline = performance.now() + START_MS;
  const state = { ended: false };
  void ended.then(() => {
    state.ended = true;
  });
  while (performance.now() < deadline && !state.ended) {
    const match = pattern.exec(terminal.stdout() + terminal.stderr());
    if (match !== null) {
      const end = (): Promise<ExitCode> => {
        stop();
        return ended;
      };
      return { terminal, shown: match.slice(1), stop: end };
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`no start: ${terminal.stderr()}`);
}

const REQUEST = JSON.stringify({
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
});

/** A decision of which half the head has been sent. @returns what sends the rest, and gives the answer */
async function askByHalf(url: string, key: string): Promise<() => Promise<string>> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) });
  const head = ['POST /decide HTTP/1.1', 'host: localhost', 'connection: close'];
  const rest = [`authorization: Bearer ${key}`, 'content-type: application/json'];
  await once(socket, 'connect');
  socket.write(`${head.join('\r\n')}\r\n`);
  return async () => {
    let answer = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part;
    });
    socket.write(`${rest.join('\r\n')}\r\ncontent-length: ${REQUEST.length}\r\n\r\n${REQUEST}`);
    await once(socket, 'close');
    return answer;
  };
}

/** Whether somebody listens. */
async function isOpen(url: string): Promise<boolean> {
  return fetch(`${url}/livez`).then(
    () => true,
    () => false,
  );
}

async function decide(url: string, key: string): Promise<{ status: number; decision: unknown }> {
  const answer = await fetch(`${url}/decide`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: REQUEST,
  });
  const body = z.looseObject({ decision: z.unknown().optional() }).parse(await answer.json());
  return { status: answer.status, decision: body.decision };
}

describe('the demo', () => {
  test('fills an empty store once, and each start has a key that ends with it', async () => {
    const first = await start('demo', TOUR);
    const [firstUrl = '', firstKey = ''] = first.shown;
    expect(await decide(firstUrl, firstKey)).toEqual({ status: 200, decision: 'allow' });
    expect(first.terminal.stderr()).toContain('loaded a directory of 47 entities');
    expect(first.terminal.stderr()).not.toContain(firstKey);
    expect(first.terminal.stdout() + first.terminal.stderr()).not.toContain(ADMIN_KEY);
    expect(await first.stop()).toBe(EXIT.ok);

    const second = await start('demo', TOUR);
    const [url = '', key = ''] = second.shown;
    expect(second.terminal.stderr()).not.toContain('load');
    expect(key).not.toBe(firstKey);
    expect(await decide(url, key)).toEqual({ status: 200, decision: 'allow' });
    expect((await decide(url, firstKey)).status).toBe(401);
    expect(await second.stop()).toBe(EXIT.ok);
  });

  test('its key works for what was accepted before the stop', async () => {
    const { shown, stop } = await start('demo', TOUR);
    const [url = '', key = ''] = shown;
    const finish = await askByHalf(url, key);
    // the service has read the first half by the time it answers another connection
    expect(await isOpen(url)).toBe(true);
    const ended = stop();
    await expect.poll(() => isOpen(url)).toBe(false);
    expect(await finish()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ended).toBe(EXIT.ok);

    const again = await start('demo', TOUR);
    expect((await decide(again.shown[0] ?? '', key)).status).toBe(401);
    expect(await again.stop()).toBe(EXIT.ok);
  });
});

describe('serve', () => {
  test('fills nothing, so nobody is known', async () => {
    const { shown, stop } = await start('serve', LISTENING);
    const answer = await decide(shown[0] ?? '', ADMIN_KEY);
    expect(await stop()).toBe(EXIT.ok);
    expect(answer.decision).not.toBe('allow');
  });

  test('says what is wrong when the port is taken', async () => {
    const { shown, stop } = await start('serve', LISTENING);
    const other = mkdtempSync(join(tmpdir(), 'duramen-demo-'));
    const terminal = recordingTerminal({
      env: {
        DURAMEN_DATA_DIR: other,
        DURAMEN_HTTP_LISTEN: new URL(shown[0] ?? '').host,
        DURAMEN_GRPC_LISTEN: '',
        DURAMEN_LOG_LEVEL: 'silent',
      },
    });
    const code = await runCli(['serve'], terminal, '0.0.0-test');
    await stop();
    rmSync(other, { recursive: true });
    expect(code).toBe(EXIT.failure);
    expect(terminal.stderr()).toMatch(/cannot listen on .*EADDRINUSE.*DURAMEN_HTTP_LISTEN/);
    // its threads may hang
    expect(terminal.isCutShort()).toBe(true);
  });

  test('shows the first key although the start fails, and the key opens the store', async () => {
    const { shown, stop } = await start('serve', LISTENING);
    const other = mkdtempSync(join(tmpdir(), 'duramen-demo-'));
    const env = { DURAMEN_DATA_DIR: other, DURAMEN_GRPC_LISTEN: '', DURAMEN_LOG_LEVEL: 'silent' };
    const taken = { ...env, DURAMEN_HTTP_LISTEN: new URL(shown[0] ?? '').host };
    const terminal = recordingTerminal({ env: taken });
    expect(await runCli(['serve'], terminal, '0.0.0-test')).toBe(EXIT.failure);
    await stop();
    const [, key = ''] = /shown this once: (dmn_\S+)/.exec(terminal.stderr()) ?? [];
    const again = await startService(configFor(other), { writeLog: () => undefined });
    const reply = await fetch(`${again.url}/v1/keys`, { headers: { authorization: `Bearer ${key}` } });
    await again.close();
    rmSync(other, { recursive: true });
    expect(reply.status).toBe(200);
  });

  test('refuses a folder that another service holds', async () => {
    const { stop } = await start('serve', LISTENING);
    const terminal = recordingTerminal({
      env: {
        DURAMEN_DATA_DIR: folder,
        DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
        DURAMEN_GRPC_LISTEN: '',
        DURAMEN_LOG_LEVEL: 'silent',
      },
    });
    const code = await runCli(['serve'], terminal, '0.0.0-test');
    await stop();
    expect(code).toBe(EXIT.failure);
    expect(terminal.stderr()).toContain('another');
  });
});
