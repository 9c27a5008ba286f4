/** Questions over a log of several shards and formats, while retention removes the oldest, after the index was lost. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { leafId } from '../../../src/decision-log/leaf-facts.ts';
import type { DecisionQuery } from '../../../src/decision-log/ports.ts';
import { decisionEntry, entryId, eventEntry, requestOf, TIME } from '../../decision-log/entries.ts';
import { midweekClock } from '../../decision-log/midweek-clock.ts';
import { pseudonymOf } from '../../decision-log/test-privacy.ts';
import { makeFormerLog } from './former-log.ts';
import { makeFolder, openBoth, until } from './sqlite-log.ts';

const SHARD = 100;
const COUNT = 430;
const DAY_MS = 86_400_000;

let folder: string;
let both: Awaited<ReturnType<typeof openBoth>>;

beforeEach(async () => {
  folder = makeFolder();
  both = await openBoth(folder, { shardEntries: SHARD });
  for (let at = 0; at < COUNT; at += 43) {
    const entries = Array.from({ length: 43 }, (_, offset) => at + offset).map(sequence =>
      decisionEntry(sequence, {
        request: requestOf({
          requestId: `r${sequence}`,
          resource: { type: 'Model', id: `acme/m${sequence % 3}` },
        }),
      }),
    );
    await Promise.all(entries.map(entry => both.log.append(entry)));
  }
});
afterEach(() => both.dispose());

/** Ids over all pages, and the index of the first answer. */
async function all(query: Partial<DecisionQuery> = {}): Promise<{ ids: string[]; indexes: number[] }> {
  const ids: string[] = [];
  const indexes: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await both.reader.decisions({
      filters: {},
      order: 'asc',
      limit: 70,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    });
    ids.push(...page.items.map(({ content }) => leafId(content)));
    indexes.push(...page.items.map(({ index }) => index));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return { ids, indexes };
}

const model = (id: string) => ({ filters: { model: { values: [id], negated: false } } });
const sequences = (from: number): number[] => Array.from({ length: COUNT - from }, (_, at) => from + at);

/** Removes every sealed shard. @returns the sequence of the first decision that is kept */
async function prune(): Promise<number> {
  const before = await all();
  await both.log.prune(midweekClock.now() + DAY_MS);
  const firstKept = await both.tree.firstKept();
  expect(firstKept).toBeGreaterThan(SHARD);
  return before.indexes.findIndex(index => index >= firstKept);
}

test('pages follow each other across shards, in both directions', async () => {
  expect((await both.tree.shards()).length).toBeGreaterThan(3);
  expect((await all()).ids).toEqual(sequences(0).map(entryId));
  expect((await all({ order: 'desc' })).ids).toEqual(sequences(0).reverse().map(entryId));
  expect((await all(model('acme/m1'))).ids).toEqual(
    sequences(0)
      .filter(at => at % 3 === 1)
      .map(entryId),
  );
  for (const at of [0, 150, COUNT - 1]) {
    expect((await both.reader.decision(entryId(at)))?.content['id']).toBe(entryId(at));
  }
});

test('what entries name is found across shards, as far back as they are kept', async () => {
  const size = both.log.size;
  const revision = { revision: 118, index: size - 1 };
  expect(await both.reader.named(0, size)).toEqual({ revision });
  await prune();
  const stores = { state: 4, subjects: 2 };
  const { index } = await both.log.append(eventEntry(COUNT, { stores }));
  const more = Array.from({ length: 2 * SHARD }, (_, at) => decisionEntry(COUNT + 1 + at));
  for (const entry of more) await both.log.append(entry);
  const newest = both.log.size - 1;
  expect(newest - index).toBeGreaterThan(2 * SHARD);
  expect(await both.reader.named(0, newest + 1)).toEqual({
    changes: { ...stores, index },
    revision: { revision: 118, index: newest },
  });
  expect(await both.reader.named(0, index)).toEqual({ revision: { revision: 118, index: index - 1 } });
});

test('what retention removed is found no more, at once, and then leaves the index', async () => {
  const kept = await prune();
  expect((await all()).ids).toEqual(sequences(kept).map(entryId));
  expect((await all({ order: 'desc' })).ids).toEqual(sequences(kept).reverse().map(entryId));
  expect(await both.reader.decision(entryId(kept - 1))).toBeUndefined();
  expect((await both.reader.decision(entryId(kept)))?.content['id']).toBe(entryId(kept));
  expect(await both.reader.leaf(0)).toBeUndefined();
  const firstKept = await both.tree.firstKept();
  const index = new SqliteDatabase(join(folder, 'query.db'), { readonly: true });
  const oldest = index.prepare<[], number>('SELECT min(idx) FROM lookup').pluck();
  const pruned = index.prepare<[], number>('SELECT pruned FROM progress').pluck();
  await until(() => pruned.get() === firstKept);
  expect(oldest.get()).toBeGreaterThanOrEqual(firstKept);
  index.close();
  expect((await all()).ids).toEqual(sequences(kept).map(entryId));
});

test('an index that is lost after retention is built from what is kept', async () => {
  const kept = await prune();
  const expected = sequences(kept).map(entryId);
  await both.reader.close();
  await both.log.close();
  rmSync(join(folder, 'query.db'));
  both = await openBoth(folder, { shardEntries: SHARD });
  expect((await all()).ids).toEqual(expected);
  expect(await both.reader.lag()).toBe(0);
  await both.log.append(decisionEntry(COUNT));
  expect((await all()).ids).toEqual([...expected, entryId(COUNT)]);
});

/** A decision as the version before pseudonyms wrote it. */
function formerDecision(sequence: number): string {
  const name = sequence % 2 === 0 ? 'alice' : 'bob';
  return (
    `{"decision":"allow","id":"${entryId(sequence)}","kind":"decision","levels":{"action":{"checks":[` +
    `{"policies":["platform/p${sequence}"]}]}},"reason":{"code":"POLICY_ALLOW","level":"action"},` +
    `"request":{"action":"generate","principal":{"id":"acme/${name}","type":"User"},` +
    `"resource":{"id":"acme/m","type":"Model"},"tenant":"acme"},"time":${TIME + sequence},"v":1}`
  );
}

test('entries of the former format are found by name, those of this one by pseudonym, in one question', async () => {
  await both.dispose();
  folder = makeFolder();
  makeFormerLog(folder, 4, formerDecision);
  both = await openBoth(folder);
  await both.log.append(decisionEntry(4));
  const ask = (value: string, negated = false) =>
    all({
      filters: { principal: { values: [value], negated } },
      pseudonyms: [pseudonymOf(`AI::User::"acme/alice"`)],
    });
  expect((await ask('User::acme/alice')).ids).toEqual([0, 2, 4].map(entryId));
  expect((await ask('acme/alice', true)).ids).toEqual([1, 3].map(entryId));
  const policy = { values: ['platform/p3'], negated: false };
  expect((await all({ filters: { policy } })).ids).toEqual([entryId(3)]);
  expect((await all({ tenants: ['acme'] })).ids).toHaveLength(5);
  expect((await both.reader.decision(entryId(1)))?.json).toBe(formerDecision(1));
});
