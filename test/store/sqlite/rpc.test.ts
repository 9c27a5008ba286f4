/** Calls into a worker: each settles once, in order, with its code; death is survived and close drains. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_PENDING_CALLS, RpcClient } from '../../../src/store/sqlite/rpc.ts';
import type { TestApi } from './rpc-service.ts';

/** For a worker that starts again: soon, but on a busy machine not within the second that vitest waits. */
const PATIENCE = { timeout: 20_000 };

let folder: string;
let client: RpcClient<TestApi> | undefined;
let health: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-rpc-'));
  health = [];
});

afterEach(async () => {
  await client?.close();
  client = undefined;
  rmSync(folder, { recursive: true });
});

async function start(patienceMs?: number): Promise<RpcClient<TestApi>> {
  client = await RpcClient.start<TestApi>({
    name: 'the test store',
    script: new URL('rpc-service.ts', import.meta.url),
    workerData: folder,
    onHealth: (healthy, detail) => health.push(`${healthy} ${detail}`),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  return client;
}

const notes = (): readonly string[] => readFileSync(join(folder, 'notes'), 'utf8').trim().split('\n');

describe('calls', () => {
  test('answer with their results', async () => {
    const rpc = await start();
    expect(await Promise.all([rpc.call('add', 1, 2), rpc.call('add', 3, 4)])).toEqual([3, 7]);
  });

  test('answer with what a promise settles to, and reject with its code', async () => {
    const rpc = await start();
    expect(await rpc.call('settle', 'done')).toBe('done');
    await expect(rpc.call('settle', 'refuse')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  test('run in the order in which they were made', async () => {
    const rpc = await start();
    await Promise.all(['a', 'b', 'c', 'd'].map(text => rpc.call('note', text)));
    expect(notes()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('reject with the code, the problems and the pause of an AppError', async () => {
    const rpc = await start();
    await expect(rpc.call('refuse')).rejects.toMatchObject({
      name: 'AppError',
      code: 'ALREADY_EXISTS',
      message: 'it is there',
      problems: [{ message: 'one', hint: 'two' }],
      retryAfterSeconds: 7,
    });
  });

  test('reject with a plain error for a bug, and the worker lives on', async () => {
    const rpc = await start();
    const error: unknown = await rpc.call('fault').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'Error', message: 'a bug' });
    expect(await rpc.call('add', 1, 1)).toBe(2);
  });

  test(`are refused beyond ${MAX_PENDING_CALLS} waiting ones`, async () => {
    const rpc = await start();
    const calls = Array.from({ length: MAX_PENDING_CALLS }, () => rpc.call('add', 1, 1));
    await expect(rpc.call('add', 1, 1)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retryAfterSeconds: 1,
    });
    expect(await Promise.all(calls)).toHaveLength(MAX_PENDING_CALLS);
  });
});

describe('the death of the worker', () => {
  test('rejects everything that waits', async () => {
    const rpc = await start();
    const calls = [rpc.call('die'), rpc.call('add', 1, 1), rpc.call('add', 2, 2)];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } });
    }
    expect(rpc.healthy).toBe(false);
    await expect(rpc.call('add', 1, 1)).rejects.toThrow('the test store is restarting');
  });

  test('is followed by a new worker', async () => {
    const rpc = await start();
    await expect(rpc.call('die')).rejects.toThrow('stopped before it answered');
    await expect.poll(() => rpc.healthy, PATIENCE).toBe(true);
    expect(await rpc.call('add', 2, 2)).toBe(4);
    expect(health).toEqual(['false the test store stopped: it ended', 'true the test store runs again']);
  });

  test('is followed by further attempts when the new worker fails', async () => {
    const rpc = await start();
    writeFileSync(join(folder, 'refuse'), '');
    await expect(rpc.call('die')).rejects.toThrow('stopped before it answered');
    await expect
      .poll(() => health.at(-1), PATIENCE)
      .toBe('false the test store could not start: the folder says no');
    rmSync(join(folder, 'refuse'));
    await expect.poll(() => rpc.healthy, PATIENCE).toBe(true);
  });
});

describe('a worker that hangs', () => {
  const HANGS = 'the test store has answered nothing for 1 s: the disk hangs, or is far too slow';

  test('fails who waits and who comes, and is used again when it answers', async () => {
    const rpc = await start(1_000);
    const calls = [rpc.call('hang', 2_500), rpc.call('note', 'a')];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'STORE_UNAVAILABLE', message: HANGS, retryAfterSeconds: 1 },
      });
    }
    await expect(rpc.call('add', 1, 1)).rejects.toThrow(HANGS);
    expect([rpc.healthy, rpc.problem, rpc.waiting]).toEqual([false, HANGS, 2]);
    await expect.poll(() => rpc.healthy, PATIENCE).toBe(true);
    expect(await rpc.call('add', 1, 1)).toBe(2);
    expect([rpc.waiting, health]).toEqual([0, [`false ${HANGS}`, 'true the test store answers again']]);
  });

  test('is another one than a worker that has much to do', async () => {
    const rpc = await start(1_000);
    await Promise.all(Array.from({ length: 6 }, () => rpc.call('hang', 300)));
    expect(health).toEqual([]);
  });

  test('is not waited for at the end', async () => {
    const rpc = await start(500);
    await expect(rpc.call('hang', 600_000)).rejects.toThrow('answered nothing');
    await expect(rpc.close()).rejects.toThrow('answered nothing');
  });
});

describe('start', () => {
  test('rejects with what the worker refused', async () => {
    writeFileSync(join(folder, 'refuse'), '');
    await expect(start()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: 'the folder says no' });
    expect(health).toEqual([]);
  });

  test('rejects when the worker dies at once', async () => {
    writeFileSync(join(folder, 'crash'), '');
    await expect(start()).rejects.toThrow('the test store could not start: its thread ended');
  });
});

describe('close', () => {
  test('waits for what was accepted, then releases the service, then refuses', async () => {
    const rpc = await start();
    const calls = ['a', 'b'].map(text => rpc.call('note', text));
    const closed = rpc.close();
    await expect(rpc.call('add', 1, 1)).rejects.toThrow('the test store is closed');
    await closed;
    await Promise.all(calls);
    expect(notes()).toEqual(['a', 'b', 'closed']);
  });

  test('ends while the worker is down, without a late restart', async () => {
    const rpc = await start();
    await expect(rpc.call('die')).rejects.toThrow('stopped before it answered');
    await rpc.close();
    expect(rpc.healthy).toBe(false);
    expect(health).toEqual(['false the test store stopped: it ended']);
  });
});
