/** Heartbeats of the log: steady, informative, and nobody waits for one. */
import { describe, expect, test } from 'vitest';
import type { AnchorStatus } from '../../src/decision-log/anchor-publisher.ts';
import { Heartbeat } from '../../src/decision-log/heartbeat.ts';
import type { EventEntry, LogEntry, StoreChanges } from '../../src/domain/log-entry.ts';
import { ManualTime } from './manual-time.ts';

const CHANGES = { state: 12, subjects: 3 };

function setUp(
  append: (entry: LogEntry) => Promise<void> = async () => undefined,
  everySeconds = 60,
  changes: () => Promise<StoreChanges> = async () => CHANGES,
) {
  const time = new ManualTime();
  const entries: EventEntry[] = [];
  const refused: unknown[] = [];
  let ids = 0;
  const anchors: AnchorStatus[] = [
    { name: 'local', ageSeconds: 12.4, waitingSeconds: 12.4, size: 40, failures: 0, problem: undefined },
    {
      name: `file:${'x'.repeat(500)}`,
      ageSeconds: undefined,
      waitingSeconds: 60,
      size: undefined,
      failures: 3,
      problem: 'x',
    },
  ];
  const heartbeat = new Heartbeat({
    log: {
      size: 41,
      async append(entry) {
        if (entry.kind !== 'decision') entries.push(entry);
        await append(entry);
        return { origin: 'test', index: 41, size: 42 };
      },
    },
    everySeconds,
    clock: time,
    timers: time,
    ids: { next: () => `id-${ids++}` },
    anchors: () => anchors,
    changes,
    onRefused: error => refused.push(error),
  });
  return { time, entries, refused, heartbeat };
}

describe('a heartbeat', () => {
  test('is logged once per period, from one period after the start', async () => {
    const { time, entries, heartbeat } = setUp();
    heartbeat.start();
    await time.advance(59_999);
    expect(entries).toEqual([]);
    await time.advance(1);
    await time.advance(180_000);
    const start = Date.UTC(2026, 10, 20, 12);
    expect(entries.map(entry => entry.time - start)).toEqual([60_000, 120_000, 180_000, 240_000]);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(4);
  });

  test('says how large the log was, how often it beats, how old each anchor is, and what the databases have', async () => {
    const { time, entries, heartbeat } = setUp();
    heartbeat.start();
    await time.advance(60_000);
    expect(entries).toEqual([
      {
        kind: 'log.heartbeat',
        id: 'id-0',
        time: Date.UTC(2026, 10, 20, 12, 1),
        actor: 'system',
        subject: 'log',
        stores: CHANGES,
        details: {
          size: 41,
          everySeconds: 60,
          anchors: [
            { anchor: 'local', ageSeconds: 12, size: 40 },
            { anchor: `file:${'x'.repeat(195)}`, ageSeconds: null, size: null },
          ],
        },
      },
    ]);
  });

  test('that the log refuses is reported, and the next one comes', async () => {
    const { time, entries, refused, heartbeat } = setUp(
      () => Promise.reject(new Error('the disk is full')),
      10,
    );
    heartbeat.start();
    await time.advance(30_000);
    expect([entries.length, refused.length]).toEqual([3, 3]);
  });

  test.each([
    ['fail', () => Promise.reject(new Error('the store is restarting'))],
    ['are long in coming', () => new Promise<StoreChanges>(() => undefined)],
  ])('comes without the numbers of databases when they %s', async (_what, changes) => {
    const { time, entries, refused, heartbeat } = setUp(undefined, 60, changes);
    heartbeat.start();
    await time.advance(70_000);
    expect(entries.map(({ kind, stores }) => [kind, stores])).toEqual([['log.heartbeat', undefined]]);
    expect(refused).toEqual([]);
  });

  test('that hangs holds up neither the next one nor the stop', async () => {
    const { time, entries, heartbeat } = setUp(() => new Promise(() => undefined));
    heartbeat.start();
    await time.advance(120_000);
    expect(entries).toHaveLength(2);
    heartbeat.stop();
    expect(time.pending).toBe(0);
    await time.advance(600_000);
    expect(entries).toHaveLength(2);
  });
});
