/** The threads of the log die: callers are told, the log comes back, and its indexes continue without a gap. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_BATCH_ENTRIES } from '../../src/store/sqlite/log-batch.ts';
import { MAX_QUEUED_BYTES, MAX_QUEUED_ENTRIES } from '../../src/store/sqlite/log-queue.ts';
import { decisionEntry, entryId, eventEntry } from '../decision-log/entries.ts';
import { midweekClock } from '../decision-log/midweek-clock.ts';
import { makeFolder, openBoth, openLog, until } from '../store/sqlite/sqlite-log.ts';

let folder: string;
let workers: Worker[];
const collect = (worker: Worker): void => void workers.push(worker);

beforeEach(() => {
  folder = makeFolder();
  workers = [];
  process.on('worker', collect);
});
afterEach(() => {
  process.off('worker', collect);
  rmSync(folder, { recursive: true, force: true });
});

test('a disk that does not answer is a problem while it lasts, though nothing has failed', async () => {
  let now = 0;
  const clock = { ...midweekClock, monotonic: () => now };
  const log = await openLog(folder, { clock });
  const waiting = log.append(decisionEntry(0));
  now = 5_000;
  expect(log.problem).toBeUndefined();
  now = 6_500;
  expect([log.problem, log.healthy]).toEqual([
    expect.stringMatching(/waited for 6 s .*the disk hangs/),
    true,
  ]);
  await waiting;
  expect(log.problem).toBeUndefined();
  await log.close();
});

test('a writer that dies mid-batch rejects what waits, restarts, and continues behind what is durable', async () => {
  const health: boolean[] = [];
  const log = await openLog(folder, { observer: { onHealth: healthy => void health.push(healthy) } });
  const taken = new Map<number, string>();
  for (let death = 1; death <= 3; death++) {
    // one more than fit into a batch: the last is sent after the first batch is answered, so to nobody
    const results = Array.from({ length: MAX_BATCH_ENTRIES + 1 }, (_, at) => {
      const entry = decisionEntry(death * 10_000 + at);
      return log.append(entry).then(({ index }) => void taken.set(index, entry.id));
    });
    // The first batch is under way when the thread ends.
    await new Promise(setImmediate);
    await workers.at(-1)?.terminate();
    const settled = await Promise.allSettled(results);
    const refused = settled.filter(one => one.status === 'rejected');
    expect(refused.every(({ reason }) => codeOf(reason) === 'LOG_UNAVAILABLE')).toBe(true);
    expect([log.healthy, refused.length > 0]).toEqual([false, true]);
    await expect(log.append(decisionEntry(1))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await until(() => log.healthy);
    const entry = decisionEntry(death * 10_000 + 9_999);
    const { index } = await log.append(entry);
    taken.set(index, entry.id);
  }
  expect(health).toEqual([false, true, false, true, false, true]);
  expect(log.statistics.writerRestartsTotal).toBe(3);
  const size = log.size;
  await log.close();

  const { reader, dispose } = await openBoth(folder);
  for (const [index, id] of taken) expect((await reader.decision(id))?.index).toBe(index);
  // No gap: every index up to the size holds a leaf, acknowledged or not.
  for (let index = 0; index < size; index++) expect(await reader.leaf(index)).toBeDefined();
  expect(await reader.leaf(size)).toBeUndefined();
  await dispose();
});

test('a log that is closed while its writer is down ends, and leaves the folder free', async () => {
  const log = await openLog(folder);
  await log.append(decisionEntry(0));
  await workers.at(-1)?.terminate();
  await log.close();
  const again = await openLog(folder);
  expect(again.size).toBe(1);
  await again.close();
});

test('a query thread that dies comes back and answers the same', async () => {
  const { log, reader, dispose } = await openBoth(folder);
  await log.append(decisionEntry(0));
  const dead = workers.at(-1);
  const exit = dead === undefined ? undefined : once(dead, 'exit');
  const asked = reader.decision(entryId(0)).catch(codeOf);
  await dead?.terminate();
  await exit;
  await asked;
  await until(() => reader.healthy);
  expect((await reader.decision(entryId(0)))?.index).toBe(0);
  await dispose();
});

test('a queue that is full refuses entries at once, and what it took becomes durable', async () => {
  const log = await openLog(folder);
  const taken = Array.from({ length: MAX_QUEUED_ENTRIES }, (_, at) => log.append(eventEntry(at)));
  expect([log.saturated, log.statistics.queuedEntries]).toEqual([true, MAX_QUEUED_ENTRIES]);
  await expect(log.append(eventEntry(1))).rejects.toMatchObject({
    code: 'LOG_BACKPRESSURE',
    retryAfterSeconds: 1,
  });
  const positions = await Promise.all(taken);
  expect(positions.map(({ index }) => index)).toEqual(positions.map((_, at) => at));
  expect(log.statistics).toMatchObject({
    queuedEntries: 0,
    queuedBytes: 0,
    writtenTotal: MAX_QUEUED_ENTRIES,
    refusedBackpressureTotal: 1,
    oldestUnflushedSeconds: 0,
  });
  expect((await log.append(eventEntry(1))).index).toBe(MAX_QUEUED_ENTRIES);
  await log.close();
});

test('a queue of large entries is bounded by its bytes', async () => {
  const log = await openLog(folder);
  const large = eventEntry(0, { details: { text: 'x'.repeat(60_000) } });
  const taken: Promise<unknown>[] = [];
  while (!log.saturated) taken.push(log.append(large));
  expect(log.statistics.queuedBytes).toBeLessThanOrEqual(MAX_QUEUED_BYTES);
  expect(log.statistics.queuedBytes).toBeGreaterThan(MAX_QUEUED_BYTES * 0.9);
  await expect(log.append(large)).rejects.toMatchObject({ code: 'LOG_BACKPRESSURE' });
  await Promise.all(taken);
  expect(log.size).toBe(taken.length);
  await log.close();
});

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}
