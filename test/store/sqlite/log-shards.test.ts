/** Shards: when one ends, how the next goes on, what is left when old ones go, and what stops a start. */
import { chmodSync, cpSync, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseLeaf } from '../../../src/decision-log/logged-leaf.ts';
import { consistencyFault, inclusionFault } from '../../../src/decision-log/proofs.ts';
import { formatSignerKey } from '../../../src/decision-log/signed-note.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { isoWeek, listShards, shardFile } from '../../../src/store/sqlite/log-shard-name.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import { ShardedTree } from '../../../src/store/sqlite/log-tree.ts';
import type { LogWriter, LogWriterOptions } from '../../../src/store/sqlite/log-writer.ts';
import { decisionEntry } from '../../decision-log/entries.ts';
import { makeFormerLog } from './former-log.ts';
import { makeFolder, ORIGIN } from './sqlite-log.ts';
import { appendTo, openWriter, WRITTEN } from './threadless-log.ts';
import { readWholeLog } from './whole-log.ts';

const WEEK_MS = 7 * 86_400_000;
const FOREVER = Number.MAX_SAFE_INTEGER;

let folder: string;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens, uses and closes the log. */
function using<T>(use: (writer: LogWriter) => T, over: Partial<LogWriterOptions> = {}): T {
  const writer = openWriter(folder, over);
  try {
    return use(writer);
  } finally {
    writer.close(WRITTEN);
  }
}

async function during<T>(use: (writer: LogWriter) => Promise<T>): Promise<T> {
  const writer = openWriter(folder);
  try {
    return await use(writer);
  } finally {
    writer.close(WRITTEN);
  }
}

let sequence = 0;
/** Appends a batch of some entries in some week. @returns index of the first */
function add(writer: LogWriter, count: number, week = 0): number {
  const entries = Array.from({ length: count }, () => decisionEntry(sequence++));
  return appendTo(writer, entries, WRITTEN + week * WEEK_MS);
}

async function pruneAll(writer: LogWriter, before = FOREVER) {
  const steps = writer.prune(before);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

const names = (): string[] => listShards(folder).map(({ name }) => name);
/** Kind of each entry that is kept, from an index on. */
function kinds(from = 0): unknown[] {
  const shards = LogShards.open(folder);
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
  ])('of %s is %s', (time, week) => expect(isoWeek(Date.parse(time))).toBe(week));
});

describe('a shard ends', () => {
  test('with the week: sealed by its last entry, linked by the first of the next', async () => {
    using(writer => {
      expect(add(writer, 3)).toBe(0);
      expect(add(writer, 2, 1)).toBe(5);
    });
    expect(names()).toEqual(['2026-W01-000000000000', '2026-W02-000000000004']);
    expect(kinds(3)).toEqual(['log.seal', 'log.open', 'decision', 'decision']);
    const shards = LogShards.open(folder);
    const root = Buffer.from(await new ShardedTree(shards).root(4)).toString('base64');
    const details = (index: number) => parseLeaf(shards.leaf(index)?.body.toString() ?? '{}')['details'];
    const [shard, next] = names();
    expect(details(3)).toEqual({ shard, entries: 4, size: 4, next });
    expect(details(4)).toEqual({ shard: next, previous: { shard, size: 4, root } });
    shards.close();
    await readWholeLog(folder);
  });

  test('when it is full, within a week', () => {
    using(
      writer => {
        for (let at = 0; at < 10; at++) add(writer, 10);
      },
      { shardEntries: 40 },
    );
    expect(names()).toEqual([
      '2026-W01-000000000000',
      '2026-W01-000000000031',
      '2026-W01-000000000063',
      '2026-W01-000000000095',
    ]);
  });

  test('never because the clock went back, and goes on in the later week when it comes forth again', async () => {
    const weeks = [0, 3, 1, 0, 2, 3, -50, 3, 4];
    using(writer => {
      for (const week of weeks) add(writer, 2, week);
    });
    expect(names().map(name => name.slice(0, 8))).toEqual(['2026-W01', '2026-W04', '2026-W05']);
    const { size } = await readWholeLog(folder);
    expect(size).toBe(weeks.length * 2 + 4);
  });

  test('not while nothing was written to it', () => {
    using(writer => void add(writer, 1, 9), { now: WRITTEN });
    expect(names()).toEqual(['2026-W01-000000000000']);
  });

  test('and the next is made by the first entry after a restart, if it was not made before', async () => {
    using(writer => void add(writer, 3));
    using(() => undefined, { now: WRITTEN + WEEK_MS });
    expect(names()).toHaveLength(1);
    using(writer => void add(writer, 3, 1));
    expect(names()).toHaveLength(2);
    await readWholeLog(folder);
  });
});

describe('a reader', () => {
  test('that is open sees new shards, and that old ones went', async () => {
    const writer = openWriter(folder);
    add(writer, 300);
    const shards = LogShards.open(folder);
    const tree = new ShardedTree(shards);
    expect(shards.size()).toBe(300);
    add(writer, 300, 1);
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
    using(writer => {
      add(writer, 300);
      add(writer, 300, 1);
    });
    const shards = LogShards.open(folder);
    expect(shards.size()).toBe(602);
    await during(async writer => pruneAll(writer));
    expect([shards.leaf(5), shards.bodies(5, 310).length]).toEqual([undefined, 9]);
    expect(shards.tile(0, 0, 255)).toHaveLength(8_192);
    shards.close();
  });

  test('knows every shard, and how large it is', async () => {
    await during(async writer => {
      for (let week = 0; week < 4; week++) add(writer, 100, week);
      await pruneAll(writer, WRITTEN + 2 * WEEK_MS);
    });
    const shards = LogShards.open(folder);
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
    const heads = await during(async writer => {
      const signed = [];
      for (let week = 0; week < 5; week++) {
        add(writer, 333, week);
        signed.push(writer.sign(WRITTEN + week * WEEK_MS));
        sizes.push(writer.size);
      }
      expect((await pruneAll(writer, WRITTEN + WEEK_MS)).removed).toEqual([]);
      const { removed, firstKept, heldBackBy } = await pruneAll(writer, WRITTEN + 2 * WEEK_MS + 1);
      expect([removed.map(({ first }) => first), heldBackBy]).toEqual([[0, 334], undefined]);
      expect(firstKept).toBe(669);
      return signed;
    });
    const { size } = await readWholeLog(folder);
    const shards = LogShards.open(folder);
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
    await during(async writer => {
      for (let week = 0; week < 3; week++) add(writer, 10, week);
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
    expect(names()).toHaveLength(1);
    using(writer => {
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

  test('leaves nothing of its entries in the folder', async () => {
    await during(async writer => {
      add(writer, 10);
      add(writer, 10, 1);
      await pruneAll(writer);
    });
    expect(readdirSync(join(folder, 'log')).sort()).toEqual(['2026-W02-000000000011.db', 'tiles.db']);
  });
});

describe('a former log', () => {
  test.each([0, 1, 255, 256, 1_000])('of %i entries becomes the first shard, with its tree', async count => {
    const bodies = makeFormerLog(folder, count);
    const said: string[] = [];
    using(writer => void add(writer, 5, 1), { say: progress => said.push(progress) });
    expect(existsSync(join(folder, 'log.db'))).toBe(false);
    expect(said.length > 0).toBe(count > 0);
    const shards = LogShards.open(folder);
    expect(bodies.map((_, index) => shards.leaf(index)?.body.toString())).toEqual(bodies);
    expect([shards.origin, names()[0]?.slice(0, 8)]).toEqual([ORIGIN, count === 0 ? '2026-W01' : '2025-W49']);
    shards.close();
    await readWholeLog(folder);
  });

  test('that is damaged or lies beside a new one is refused, and stays as it is', () => {
    makeFormerLog(folder, 10);
    using(() => undefined);
    makeFormerLog(folder, 10);
    expect(refusal()).toMatch(/log\.db` is a log of a former version beside/);
    rmSync(join(folder, 'log'), { recursive: true });
    rmSync(join(folder, 'log-signing-key'));
    const db = new SqliteDatabase(join(folder, 'log.db'));
    db.exec("DROP TRIGGER leaf_is_never_updated; UPDATE leaf SET body = x'7b7d' WHERE idx = 3");
    db.close();
    expect(refusal()).toMatch(/log\.db` is damaged: entry 3 does not match its hash/);
  });
});

describe('a start is refused, with what to do,', () => {
  const seed = (weeks = 3): void =>
    using(writer => {
      for (let week = 0; week < weeks; week++) add(writer, 20, week);
    });
  const shardAt = (at: number): string => shardFile(folder, listShards(folder)[at] ?? { name: '' });

  test('when a shard is missing', () => {
    seed();
    rmSync(shardAt(1));
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*ends at entry 21 and names.*restore all of it/);
    rmSync(shardAt(0));
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*entries from 0 to 43 are missing/);
  });

  test('when one shard is of an earlier moment than the others', () => {
    seed(1);
    const copy = `${shardAt(0)}.copy`;
    cpSync(shardAt(0), copy);
    seed(2);
    renameSync(copy, shardAt(0));
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*names `none` as the next one/);
  });

  test('when the tiles of what was removed are of an earlier moment', async () => {
    seed();
    const archive = join(folder, 'log', 'tiles.db');
    const copy = `${archive}.copy`;
    cpSync(archive, copy);
    await during(async writer => await pruneAll(writer));
    renameSync(copy, archive);
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*entries from 0 to 43 are missing/);
  });

  test('but not because removed shards came back with a backup: they go again', async () => {
    seed();
    const copy = join(folder, 'copy.db');
    cpSync(shardAt(0), copy);
    const file = shardAt(0);
    await during(async writer => await pruneAll(writer));
    renameSync(copy, file);
    expect(refusal()).toBe('it started');
    expect(names()).toHaveLength(1);
  });

  test.each([
    ['a tile', 'DROP TRIGGER tile_is_never_updated; UPDATE tile SET data = zeroblob(8192) WHERE level = 0'],
    ['the root of a tile', 'DROP TRIGGER tile_is_never_updated; UPDATE tile SET root = zeroblob(32)'],
    [
      'the hash of a leaf',
      'DROP TRIGGER leaf_is_never_updated; UPDATE leaf SET hash = zeroblob(32) WHERE idx = 299',
    ],
    ['the signed checkpoint', 'UPDATE head SET root = zeroblob(32)'],
    ['the size that was signed', 'UPDATE head SET size = size + 1'],
  ])('when %s of the newest shard was changed', (_name, sql) => {
    using(writer => void add(writer, 300));
    const db = new SqliteDatabase(shardAt(0));
    db.exec(sql);
    db.close();
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*is damaged/);
  });

  test('when the key is lost, of another log, damaged, or readable for others', () => {
    seed(1);
    const key = join(folder, 'log-signing-key');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    chmodSync(key, 0o640);
    expect(refusal()).toMatch(/can be read by others: run `chmod 600/);
    chmodSync(key, 0o600);
    const other = formatSignerKey('another.log', new Uint8Array(32).fill(1));
    expect(refusal({ signingKey: other })).toMatch(
      /`another\.log\+[0-9a-f]{8}` is not that of the decision log/,
    );
    const forged = formatSignerKey(ORIGIN, new Uint8Array(32).fill(1));
    expect(refusal({ signingKey: forged })).toMatch(
      /is not that of the decision log, which is `duramen\.test/,
    );
    expect(refusal({ signingKey: 'PRIVATE+KEY+nonsense' })).toMatch(
      /configured key .* cannot be used: .*malformed/,
    );
    renameSync(key, `${key}.away`);
    expect(refusal()).toMatch(/log-signing-key` is missing.*DURAMEN_LOG_SIGNING_KEY.*open-new/);
    renameSync(`${key}.away`, key);
    expect(refusal()).toBe('it started');
  });

  test('when the log is gone and its key is not, so that no second log begins under its name', () => {
    seed(1);
    rmSync(join(folder, 'log'), { recursive: true });
    expect(refusal()).toMatch(/LOG_UNAVAILABLE.*gone while its key .* is there: restore the folder/);
  });
});

test('a key that is given names the log, and no file is made', () => {
  const signingKey = formatSignerKey('logs.example/pdp-1', new Uint8Array(32).fill(3));
  using(
    writer => {
      expect([writer.origin, writer.verifierKey.split('+')[0]]).toEqual([
        'logs.example/pdp-1',
        'logs.example/pdp-1',
      ]);
      add(writer, 1);
    },
    { signingKey },
  );
  expect(existsSync(join(folder, 'log-signing-key'))).toBe(false);
  using(writer => expect(writer.size).toBe(1), { signingKey });
});

/** Why the log does not open. */
function refusal(over: Partial<LogWriterOptions> = {}): string {
  try {
    using(() => undefined, over);
    return 'it started';
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`;
    throw error;
  }
}
