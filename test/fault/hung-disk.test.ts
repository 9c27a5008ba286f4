/** A disk that takes a call and never answers: the service says so, answers nothing that it does not know, and ends. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ADMIN_KEY, ALLOWED, startTestService, temporaryFolder } from '../edge/service.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

let folder: string;
let pipe: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = temporaryFolder();
  pipe = join(folder, 'pipe');
  await (await startTestService({ folder, filled: true })).stop();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the service as a process of its own. @param thread script of the thread that is to hang */
async function start(thread: string, graceSeconds: string) {
  const preload = join(import.meta.dirname, 'hanging-thread.ts');
  const child = spawn(process.execPath, ['--import', preload, 'src/cli.ts', 'serve'], {
    cwd: REPOSITORY,
    env: {
      ...process.env,
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_SHUTDOWN_GRACE_SECONDS: graceSeconds,
      DURAMEN_LOG_LEVEL: 'error',
      NO_COLOR: '1',
      HANGS_IN: thread,
      HANGS_AT: pipe,
    },
  });
  children.push(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'exit').then(([code, signal]: unknown[]) => ({ code, signal }));
  await expect.poll(() => stderr, { timeout: 30_000 }).toMatch(/listening on http:[^,\s]+,/);
  const url = /listening on (http:[^,\s]+),/.exec(stderr)?.[1] ?? '';
  return { child, url, ended, stderr: () => stderr };
}

/** From here on the thread does not come back from its next message. */
function hang(): void {
  expect(spawnSync('sh', ['-c', 'mkfifo "$0"', pipe]).status).toBe(0);
}

/** What hangs goes on. */
async function goOn(): Promise<void> {
  const writer = spawn('sh', ['-c', 'mv "$0" "$0.gone" && : > "$0.gone"', pipe]);
  await once(writer, 'exit');
}

const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };

async function decide(url: string): Promise<number | 'no answer'> {
  try {
    return (await fetch(`${url}/decide`, { method: 'POST', headers, body: JSON.stringify(ALLOWED) })).status;
  } catch {
    return 'no answer';
  }
}

async function get(url: string, path: string) {
  const response = await fetch(`${url}${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

describe('a log that does not answer', () => {
  test('does not keep a signal from ending the service, in time and with a failure', async () => {
    const service = await start('log-worker.ts', '1');
    expect(await decide(service.url)).toBe(200);
    hang();
    const asked = decide(service.url);
    await pause(500);
    const signalledAt = performance.now();
    service.child.kill('SIGTERM');
    expect(await service.ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(performance.now() - signalledAt).toBeLessThan(15_000);
    expect(service.stderr()).toMatch(
      /error: the service did not stop within 7 s: the disk has not finished what waits \(2 of the decision log\)/,
    );
    expect(await asked).toBe('no answer');
    rmSync(pipe);
    const next = await start('none', '1');
    expect(await decide(next.url)).toBe(200);
  }, 60_000);

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'is not waited for after a second signal, %s',
    async second => {
      const service = await start('log-worker.ts', '600');
      hang();
      const asked = decide(service.url);
      await pause(500);
      service.child.kill('SIGTERM');
      await expect.poll(service.stderr).toContain('stopping');
      service.child.kill(second);
      const signalledAt = performance.now();
      expect(await service.ended).toEqual({ code: null, signal: second });
      expect(performance.now() - signalledAt).toBeLessThan(5_000);
      expect(await asked).toBe('no answer');
    },
    60_000,
  );
});

describe('an index that does not answer', () => {
  test('fails questions, shows in readiness, costs decisions nothing, and is used again when it answers', async () => {
    const { url } = await start('query-worker.ts', '1');
    hang();
    const asked = await Promise.all([get(url, '/v1/decisions'), get(url, '/v1/status')]);
    for (const { status, text } of asked) {
      expect([status, text]).toEqual([
        503,
        expect.stringMatching(/STORE_UNAVAILABLE.*has answered nothing for 10 s/),
      ]);
    }
    const startedAt = performance.now();
    expect((await get(url, '/v1/decisions')).status).toBe(503);
    expect(await decide(url)).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    const ready = await get(url, '/readyz?verbose');
    expect([ready.status, ready.text]).toEqual([
      200,
      expect.stringContaining('has answered nothing for 10 s'),
    ]);
    await goOn();
    await expect.poll(async () => (await get(url, '/v1/decisions')).status).toBe(200);
    expect((await get(url, '/readyz?verbose')).text).not.toContain('answered nothing');
  }, 60_000);

  test('does not keep the log from being closed, and is said when the service stops', async () => {
    const { child, url, ended, stderr } = await start('query-worker.ts', '10');
    hang();
    expect((await get(url, '/v1/decisions')).status).toBe(503);
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(stderr()).toMatch(/error: the service did not stop cleanly: the query index has answered nothing/);
  }, 60_000);
});
