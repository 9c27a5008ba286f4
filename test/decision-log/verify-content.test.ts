/** What an undamaged log says of the service that wrote it: its clock, its silences, its restarts, its shards. */
import { describe, expect, test } from 'vitest';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { MAX_DISORDER_MS, MAX_SILENCE_MS } from '../../src/decision-log/verify-content.ts';
import { leafText, SmallLog, START } from './small-log.ts';

/** An entry `seconds` after the start. */
function at(seconds: number, kind = 'decision'): string {
  return leafText({ kind, time: START + seconds * 1000 });
}

/** What is found in a log of these entries, and that it is never an error. */
async function warnings(texts: readonly string[]): Promise<readonly string[]> {
  const report = await new SmallLog(texts).verify();
  expect(report.intact).toBe(true);
  return report.findings.map(({ code, index }) => `${code} ${index}`);
}

describe('the clock', () => {
  test('may disagree with the order of entries by a little', async () => {
    const texts = [at(0), at(5), at(5 - MAX_DISORDER_MS / 1000), at(6)];
    expect(await warnings(texts)).toEqual([]);
  });

  test('that goes back is named once, at the first entry after it did', async () => {
    expect(await warnings([at(0), at(50), at(10), at(11), at(12)])).toEqual(['TIME_BACKWARDS 2']);
  });

  test('is not read from changes, which are logged again after a crash', async () => {
    const change = leafText({ kind: 'entity.put', time: START - 3_600_000 });
    expect(await warnings([at(0), change, at(1)])).toEqual([]);
  });
});

describe('silence', () => {
  const limit = MAX_SILENCE_MS / 1000;

  test('up to the limit is none', async () => {
    expect(await warnings([at(0, 'log.heartbeat'), at(limit), at(2 * limit, 'log.heartbeat')])).toEqual([]);
  });

  test('beyond it is named by the entry that ends it', async () => {
    const texts = [at(0, 'log.heartbeat'), at(limit + 0.001), at(3 * limit)];
    expect(await warnings(texts)).toEqual(['SILENCE 1', 'SILENCE 2']);
  });

  test('between a stop and the next start is explained, whatever a new shard writes first', async () => {
    const stopped = [at(0, 'service.start'), at(1, 'log.heartbeat'), at(2, 'service.stop')];
    expect(await warnings([...stopped, at(9000, 'service.start')])).toEqual([]);
    expect(await warnings([...stopped, at(9000, 'log.heartbeat'), at(9001, 'service.start')])).toEqual([]);
  });

  test('after a stop is not explained when decisions go on without a start', async () => {
    const texts = [at(1, 'log.heartbeat'), at(2, 'service.stop'), at(9000)];
    expect(await warnings(texts)).toEqual(['SILENCE 2']);
  });

  test('after a crash is named, and so is the start without a stop', async () => {
    const texts = [at(0, 'service.start'), at(1, 'log.heartbeat'), at(9000, 'service.start')];
    expect(await warnings(texts)).toEqual(['SILENCE 2', 'UNCLEAN_RESTART 2']);
  });

  test('is measured by the pace that heartbeats name, within what can be configured', async () => {
    const beat = (seconds: number, everySeconds: unknown) =>
      leafText({ kind: 'log.heartbeat', time: START + seconds * 1000, details: { everySeconds } });
    expect(await warnings([beat(0, 600), beat(600, 600), at(1500)])).toEqual([]);
    expect(await warnings([beat(0, 600), at(901)])).toEqual(['SILENCE 1']);
    // a pace that was made faster counts from its first heartbeat on
    expect(await warnings([beat(0, 600), beat(600, 60), at(701)])).toEqual(['SILENCE 1', 'SILENCE 2']);
    for (const pace of [3601, -1, 0, Number.MAX_SAFE_INTEGER, '600', null]) {
      expect(await warnings([beat(0, pace), at(limit + 1)])).toEqual(['SILENCE 1']);
    }
  });

  test('is not looked for before the first heartbeat: older logs have none', async () => {
    expect(await warnings([at(0), at(9000), at(18_000, 'log.heartbeat')])).toEqual([]);
  });
});

test('an entry that is not a JSON object is named', async () => {
  expect(await warnings([at(0), 'not json', '[]', at(1)])).toEqual([
    'ENTRY_UNREADABLE 1',
    'ENTRY_UNREADABLE 2',
  ]);
});

describe('the link between two shards', () => {
  const FIRST = '2026-W01-000000000000';
  const SECOND = '2026-W02-000000000003';

  function rootOf(texts: readonly string[]): string {
    const frontier = new Frontier();
    for (const text of texts) frontier.append(leafHash(Buffer.from(text)));
    return Buffer.from(frontier.root()).toString('base64');
  }

  function seal(over: Readonly<Record<string, unknown>> = {}): string {
    const details = { shard: FIRST, entries: 3, size: 3, next: SECOND, ...over };
    return leafText({ kind: 'log.seal', time: START, details });
  }

  /** A first shard of three entries, and a second one that continues it. */
  function sharded(last: string, previous: Readonly<Record<string, unknown>> = {}, shard = SECOND): string[] {
    const before = [at(0), at(0), last];
    const details = { shard, previous: { shard: FIRST, size: 3, root: rootOf(before), ...previous } };
    return [...before, leafText({ kind: 'log.open', time: START, details }), at(1)];
  }

  async function broken(texts: readonly string[]): Promise<readonly string[]> {
    const report = await new SmallLog(texts).verify();
    return report.findings.map(({ code, index, message }) => `${code} ${index}: ${message}`);
  }

  test('that fits is not remarked upon', async () => {
    expect(await broken(sharded(seal()))).toEqual([]);
  });

  test.each<[string, readonly string[], string]>([
    ['another size in the seal', sharded(seal({ size: 4 })), '2: the seal of shard'],
    ['another count in the seal', sharded(seal({ entries: 2 })), '2: the seal of shard'],
    ['another next shard', sharded(seal({ next: 'x' })), '3: shard `2026-W02-000000000003` continues'],
    ['another shard that opens', sharded(seal(), {}, 'x'), '3: shard `x` continues'],
    [
      'another shard before it',
      sharded(seal(), { shard: 'x' }),
      '3: shard `2026-W02-000000000003` continues `x`',
    ],
    ['another size before it', sharded(seal(), { size: 2 }), 'says that 2 entries are before it'],
    ['no size before it', sharded(seal(), { size: '3' }), 'says that no number of entries are before it'],
    ['another root before it', sharded(seal(), { root: rootOf([]) }), 'continues a log with another root'],
  ])('with %s is broken', async (_what, texts, message) => {
    const findings = await broken(texts);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toContain('SHARD_LINK_BROKEN');
    expect(findings[0]).toContain(message);
  });

  test('is broken when nothing opens after a seal', async () => {
    const [finding] = await broken([at(0), at(0), seal(), at(1)]);
    expect(finding).toBe(`SHARD_LINK_BROKEN 3: entry 2 sealed shard \`${FIRST}\`, and entry 3 opens none`);
  });

  test('is not asked of the first entry, which may name a log that it replaces', async () => {
    const first = leafText({ kind: 'log.open', details: { request: 'r', replaces: [] } });
    expect(await broken([first, at(1)])).toEqual([]);
  });

  test('is judged as far as it is kept when the shard before was pruned', async () => {
    const texts = sharded(seal());
    const log = new SmallLog(texts, { partialTiles: true });
    log.prune(3);
    expect((await log.verify()).findings).toEqual([]);
  });
});
