/** Shards: when one ends, how the next goes on, and what is left when old ones go. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseLeaf } from '../../../src/decision-log/logged-leaf.ts';
import { consistencyFault, inclusionFault } from '../../../src/decision-log/proofs.ts';
import { decisionEntry } from '../../decision-log/entries.ts';
import { isoWeek, weekStart } from '../../../src/store/sqlite/log-shard-name.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import { ShardedTree } from '../../../src/store/sqlite/log-tree.ts';
import { LogScene, pruneAll, WEEK_MS } from './log-scene.ts';
import { appendTo, openWriter, WRITTEN } from './threadless-log.ts';
import { readWholeLog } from './whole-log.ts';

const DAY_MS = 86_400_000;
const FOREVER = Number.MAX_SAFE_INTEGER;

let scene: LogScene;
beforeEach(() => {
  scene = new LogScene();
});
afterEach(() => scene.dispose());

/** Kind of each entry that is kept, from an index on. */
function kinds(from = 0): unknown[] {
  const shards = LogShards.open(scene.folder);
  try {
    return Array.from({ length: shards.size() - from }, (_, at) =>
      parseLeaf(shards.leaf(from + at)?.body.toString() ?? '{}'),
    ).map(leaf => leaf['kind']);
  } finally {
    shards.close();
  }
}

describe('a week', () => {
  test.each([
    ['2026-01-01T00:00:00Z', '2026-W01'],
    ['2025-12-29T00:00:00Z', '2026-W01'],
    ['2025-12-28T23:59:59Z', '2025-W52'],
    ['2027-01-03T23:59:59Z', '2026-W53'],
    ['2027-01-04T00:00:00Z', '2027-W01'],
    ['1970-01-01T00:00:00Z', '1970-W01'],
    ['1969-12-28T23:59:59Z', '1969-W52'],
    ['2024-02-29T12:00:00Z', '2024-W09'],
  ])('of %s is %s, and begins at most seven days before', (text, week) => {
    const time = Date.parse(text);
    expect(isoWeek(time)).toBe(week);
    const start = weekStart(week);
    expect([start <= time, time < start + WEEK_MS]).toEqual([true, true]);
    expect([isoWeek(start), isoWeek(start - 1) < week]).toEqual([week, true]);
  });
});

describe('a shard ends', () => {
  test('with the week: sealed by its last entry, linked by the first of the next', async () => {
    scene.using(writer => {
      expect(scene.add(writer, 3)).toBe(0);
      expect(scene.add(writer, 2, 1)).toBe(5);
    });
    expect(scene.names()).toEqual(['2026-W01-000000000000', '2026-W02-000000000004']);
    expect(kinds(3)).toEqual(['log.seal', 'log.open', 'decision', 'decision']);
    const shards = LogShards.open(scene.folder);
    const root = Buffer.from(await new ShardedTree(shards).root(4)).toString('base64');
    const details = (index: number) => parseLeaf(shards.leaf(index)?.body.toString() ?? '{}')['details'];
    const [shard, next] = scene.names();
    expect(details(3)).toEqual({ shard, entries: 4, size: 4, next });
    expect(details(4)).toEqual({ shard: next, previous: { shard, size: 4, root } });
    shards.close();
    await readWholeLog(scene.folder);
  });

  test('when it is full, within a week', () => {
    scene.using(
      writer => {
        for (let at = 0; at < 10; at++) scene.add(writer, 10);
      },
      { shardEntries: 40 },
    );
    expect(scene.names()).toEqual([
      '2026-W01-000000000000',
      '2026-W01-000000000031',
      '2026-W01-000000000063',
      '2026-W01-000000000095',
    ]);
  });

  test('never because the clock went back, and goes on in the later week when it comes forth again', async () => {
    const weeks = [0, 3, 1, 0, 2, 3, -50, 3, 4];
    scene.using(writer => {
      for (const week of weeks) scene.add(writer, 2, week);
    });
    expect(scene.names().map(name => name.slice(0, 8))).toEqual(['2026-W01', '2026-W04', '2026-W05']);
    const { size } = await readWholeLog(scene.folder);
    expect(size).toBe(weeks.length * 2 + 4);
  });

  test('not while nothing was written to it', () => {
    scene.using(writer => void scene.add(writer, 1, 9), { now: WRITTEN });
    expect(scene.names()).toEqual(['2026-W01-000000000000']);
  });

  test('and the next is made by the first entry after a restart, if it was not made before', async () => {
    scene.using(writer => void scene.add(writer, 3));
    scene.using(() => undefined, { now: WRITTEN + WEEK_MS });
    expect(scene.names()).toHaveLength(1);
    scene.using(writer => void scene.add(writer, 3, 1));
    expect(scene.names()).toHaveLength(2);
    await readWholeLog(scene.folder);
  });
});

test('the newest entry that is no younger than an instant is found in each shard', () => {
  scene.using(writer => {
    expect(writer.lastEntryBefore(FOREVER)).toBeUndefined();
    for (let at = 0; at < 40; at++) {
      const time = WRITTEN + at * DAY_MS;
      appendTo(writer, [{ ...decisionEntry(at), time }], time);
    }
    expect(scene.names().length).toBeGreaterThan(5);
    for (let at = 0; at < 40; at++) {
      const time = WRITTEN + at * DAY_MS;
      expect([writer.lastEntryBefore(time), writer.lastEntryBefore(time + DAY_MS - 1)]).toEqual([time, time]);
    }
    expect(writer.lastEntryBefore(WRITTEN - 1)).toBeUndefined();
    expect(writer.lastEntryBefore(FOREVER)).toBe(WRITTEN + 39 * DAY_MS);
  });
});

describe('a reader', () => {
  test('that is open sees new shards, and that old ones went', async () => {
    const writer = openWriter(scene.folder);
    scene.add(writer, 300);
    const shards = LogShards.open(scene.folder);
    const tree = new ShardedTree(shards);
    expect(shards.size()).toBe(300);
    scene.add(writer, 300, 1);
    expect([shards.size(), shards.leaf(301)?.body.length]).toEqual([602, expect.any(Number)]);
    const root = Buffer.from(await tree.root(602));
    expect(shards.rows(299, 5).map(({ idx }) => idx)).toEqual([299, 300]);
    expect(shards.bodies(299, 303)).toHaveLength(4);
    await pruneAll(writer);
    expect([shards.size(), shards.firstKept()]).toEqual([602, 301]);
    expect([shards.leaf(0), shards.rows(5, 5), shards.bodies(300, 302).length]).toEqual([undefined, [], 1]);
    expect(Buffer.from(await tree.root(602))).toEqual(root);
    shards.close();
    writer.close(WRITTEN);
  });

  test('that has not opened a shard yet when it goes finds its entries removed', async () => {
    scene.using(writer => {
      scene.add(writer, 300);
      scene.add(writer, 300, 1);
    });
    const shards = LogShards.open(scene.folder);
    expect(shards.size()).toBe(602);
    await scene.during(async writer => pruneAll(writer));
    expect([shards.leaf(5), shards.bodies(5, 310).length]).toEqual([undefined, 9]);
    expect(shards.tile(0, 0, 255)).toHaveLength(8_192);
    shards.close();
  });

  test('knows every shard, and how large it is', async () => {
    await scene.during(async writer => {
      for (let week = 0; week < 4; week++) scene.add(writer, 100, week);
      await pruneAll(writer, WRITTEN + 2 * WEEK_MS);
    });
    const shards = LogShards.open(scene.folder);
    const infos = await new ShardedTree(shards).shards();
    expect(infos.map(({ first, entries, sealed, kept }) => [first, entries, sealed, kept])).toEqual([
      [0, 101, true, false],
      [101, 102, true, true],
      [203, 102, true, true],
      [305, 101, false, true],
    ]);
    expect(infos[0]).toMatchObject({ name: '2026-W01-000000000000', to: WRITTEN + WEEK_MS });
    expect(infos.every(({ bytes, from }) => bytes > 8_192 && from > 0)).toBe(true);
    shards.close();
  });
});

describe('what is removed', () => {
  test('is whole sealed shards that are old enough, the oldest first; every proof can still be made', async () => {
    const sizes: number[] = [];
    const heads = await scene.during(async writer => {
      const signed = [];
      for (let week = 0; week < 5; week++) {
        scene.add(writer, 333, week);
        signed.push(writer.sign(WRITTEN + week * WEEK_MS));
        sizes.push(writer.size);
      }
      expect((await pruneAll(writer, WRITTEN + WEEK_MS)).removed).toEqual([]);
      const { removed, firstKept, heldBackBy } = await pruneAll(writer, WRITTEN + 2 * WEEK_MS + 1);
      expect([removed.map(({ first }) => first), heldBackBy]).toEqual([[0, 334], undefined]);
      expect(firstKept).toBe(669);
      return signed;
    });
    const { size } = await readWholeLog(scene.folder);
    const shards = LogShards.open(scene.folder);
    const tree = new ShardedTree(shards);
    const root = await tree.root(size);
    for (const head of heads) {
      expect(Buffer.from(await tree.root(head.size))).toEqual(Buffer.from(head.root));
      const proof = await tree.consistencyProof(head.size, size);
      expect(consistencyFault(head.size, size, head.root, root, proof)).toBeUndefined();
    }
    for (const index of [0, 255, 256, 333, 600, 668, 669, size - 1]) {
      const hash = (await tree.hashTile(0, index >> 8, (index & 255) + 1)).subarray(-32);
      const proof = await tree.inclusionProof(index, size);
      expect(inclusionFault(index, size, hash, proof, root)).toBeUndefined();
    }
    expect(await tree.entryBundle(2, 256)).toBeUndefined();
    expect(await tree.entryBundle(3, 256)).toBeDefined();
    shards.close();
  });

  test('never is the newest shard, nor one that an export has not taken', async () => {
    await scene.during(async writer => {
      for (let week = 0; week < 3; week++) scene.add(writer, 10, week);
      writer.saveExport('siem', 11, 1);
      writer.saveExport('archive', 12, 1);
      expect(await pruneAll(writer)).toMatchObject({ firstKept: 11, heldBackBy: 'archive' });
      writer.saveExport('archive', 30, 2);
      expect(writer.prunable(FOREVER)).toMatchObject({ removed: [], heldBackBy: 'siem' });
      expect(writer.removeExport('siem')).toBe(true);
      expect(writer.removeExport('siem')).toBe(false);
      expect(await pruneAll(writer)).toMatchObject({ firstKept: 23, heldBackBy: undefined });
      expect((await pruneAll(writer)).removed).toEqual([]);
    });
    expect(scene.names()).toHaveLength(1);
    scene.using(writer => {
      expect(writer.exports()).toEqual([{ name: 'archive', acknowledged: 30, createdAt: 1, updatedAt: 2 }]);
      const refused = { code: 'INVALID_REQUEST' };
      const saving = (name: string, size: number) => () => writer.saveExport(name, size, 1);
      for (const save of [
        saving('', 1),
        saving('a b', 1),
        saving('x', -1),
        saving('x', 1.5),
        saving('x', 999),
      ]) {
        expect(save).toThrow(expect.objectContaining(refused));
      }
      for (let at = 1; at < 64; at++) writer.saveExport(`export-${at}`, 0, 1);
      expect(saving('one-more', 0)).toThrow(/64 exports already/);
    });
  });

  test('is not what a clock that went back makes look old', async () => {
    scene.using(writer => [0, -300, -300].map(week => scene.add(writer, 10, week)), { shardEntries: 30 });
    expect(scene.names()).toHaveLength(2);
    await scene.during(async writer => {
      expect((await pruneAll(writer, WRITTEN - 250 * WEEK_MS)).removed).toEqual([]);
      expect(await pruneAll(writer, WRITTEN + WEEK_MS)).toMatchObject({ firstKept: 21 });
    });
  });

  test('leaves nothing of its entries in the folder', async () => {
    await scene.during(async writer => {
      scene.add(writer, 10);
      scene.add(writer, 10, 1);
      await pruneAll(writer);
    });
    expect(readdirSync(join(scene.folder, 'log')).sort()).toEqual(['2026-W02-000000000011.db', 'tiles.db']);
  });
});
