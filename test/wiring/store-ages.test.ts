/** What a start compares databases with: the newest entries that name something, found without reading the whole log. */
import { expect, test } from 'vitest';
import {
  type NamedAges,
  namedChanges,
  namedRevision,
  type StoreAge,
  type StoreAges,
  type StoreName,
} from '../../src/decision-log/store-ages.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { refuseOlderStores } from '../../src/wiring/store-ages.ts';

const ORIGIN = 'duramen.test/ages';
const NOW = Date.UTC(2026, 10, 22);
const MINUTE = 60_000;
/** As many decisions in a minute as nobody can look at two weeks of. */
const BUSY = 30_000;

type Leaf = JsonObject;

const decision = (time: number, directory = 5): Leaf => ({ kind: 'decision', revision: { directory }, time });
const beat = (time: number, stores?: { state: number; subjects: number }): Leaf => ({
  kind: 'log.heartbeat',
  time,
  ...(stores === undefined ? {} : { stores }),
});

interface Scene {
  /** By index from the end: 0 is the newest entry; undefined: retention removed it. */
  readonly leafAt: (fromEnd: number) => Leaf | undefined;
  readonly size: number;
  readonly state?: Partial<StoreAge>;
  readonly subjects?: Partial<StoreAge>;
  readonly revision?: number;
}

async function begin({ leafAt, size, state, subjects, revision = 5 }: Scene) {
  const adopted: [StoreName, string, number][] = [];
  const ages: StoreAges = {
    read: async () => ({
      state: { changes: 10, log: ORIGIN, ...state },
      subjects: { changes: 4, log: ORIGIN, ...subjects },
    }),
    adopt: async (...args) => void adopted.push(args),
    erasuresDue: async () => false,
    erasuresRepeated: async () => undefined,
  };
  let asked = 0;
  const leaf = async (index: number) => {
    const found = leafAt(size - 1 - index);
    return found === undefined ? undefined : new TextEncoder().encode(JSON.stringify(found));
  };
  const named = async (from: number, to: number): Promise<NamedAges> => {
    asked += to - from;
    let revision: NamedAges['revision'];
    for (let index = to - 1; index >= from; index--) {
      const found = leafAt(size - 1 - index) ?? {};
      const changes = namedChanges(found);
      if (changes !== undefined) return { changes: { ...changes, index }, ...(revision && { revision }) };
      const made = namedRevision(found);
      if (made !== undefined) revision ??= { revision: made, index };
    }
    return revision === undefined ? {} : { revision };
  };
  const refused = await refuseOlderStores({
    ages,
    directory: { revision: async () => revision },
    log: { size, origin: ORIGIN },
    reader: { leaf, named },
  }).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  return { refused, adopted, asked };
}

const named = { state: 10, subjects: 4 };
const last = (stores: typeof named) => (fromEnd: number) =>
  fromEnd === 0 ? beat(NOW, stores) : decision(NOW - fromEnd);

test('databases that have what the newest entry names are let pass, after a look at the end of the log alone', async () => {
  expect(await begin({ leafAt: last(named), size: 5_000_000 })).toEqual({
    refused: undefined,
    adopted: [],
    asked: 16_384,
  });
});

test.each([
  ['state', { state: 11, subjects: 4 }, 'names its change 11, and it has 10'],
  ['subjects', { state: 10, subjects: 5 }, 'names its change 5, and it has 4'],
])('%s.db that has less is refused', async (store, stores, found) => {
  const { refused } = await begin({ leafAt: last(stores), size: 1_000 });
  expect(refused).toContain(`\`${store}.db\` is older than the decision log: entry 999 ${found}`);
});

test('an entry that names changes is found behind as many decisions as come between two heartbeats', async () => {
  const leafAt = (fromEnd: number) =>
    fromEnd === BUSY
      ? beat(NOW - MINUTE, { state: 11, subjects: 4 })
      : decision(NOW - (fromEnd * MINUTE) / BUSY);
  const { refused, asked } = await begin({ leafAt, size: 5_000_000 });
  expect(refused).toContain(`entry ${5_000_000 - 1 - BUSY} names its change 11`);
  expect(asked).toBeLessThanOrEqual(BUSY + 16_384);
});

test('an entry that names changes is found behind all that comes within the longest pause between heartbeats', async () => {
  const leafAt = (fromEnd: number) =>
    fromEnd === BUSY
      ? beat(NOW - 60 * MINUTE, { state: 11, subjects: 4 })
      : decision(NOW - (fromEnd * 60 * MINUTE) / BUSY);
  const { refused } = await begin({ leafAt, size: 5_000_000 });
  expect(refused).toContain(`entry ${5_000_000 - 1 - BUSY} names its change 11`);
});

test('a log of an earlier version, which names nothing, is accepted, and not read as a whole', async () => {
  const leafAt = (fromEnd: number) => beat(NOW - fromEnd * MINUTE);
  const own = { changes: 10, log: undefined };
  const { refused, adopted, asked } = await begin({ leafAt, size: 5_000_000, state: own, subjects: own });
  expect(refused).toBeUndefined();
  expect(adopted).toEqual([
    ['state', ORIGIN, 0],
    ['subjects', ORIGIN, 0],
  ]);
  expect(asked).toBeLessThanOrEqual(2 * 16_384);
});

test.each([
  ['of an earlier version', (fromEnd: number) => decision(NOW - fromEnd, 6)],
  [
    'behind the last entry that names changes',
    (fromEnd: number) => (fromEnd < 3 ? decision(NOW, 6) : beat(NOW, named)),
  ],
])('a directory that is older than one that a decision %s names is refused', async (_what, leafAt) => {
  const { refused } = await begin({ leafAt, size: 100 });
  expect(refused).toContain(
    '`state.db` is older than the decision log: entry 99 names directory revision 6, and it has 5',
  );
});

test('databases that were begun anew are accepted, and are newer than all that the log names from then on', async () => {
  const own = { changes: 0, log: '' };
  const { refused, adopted } = await begin({
    leafAt: last(named),
    size: 100,
    state: own,
    subjects: own,
    revision: 0,
  });
  expect(refused).toBeUndefined();
  expect(adopted).toEqual([
    ['state', ORIGIN, 10],
    ['subjects', ORIGIN, 4],
  ]);
});

test.each<StoreName>(['state', 'subjects'])(
  '%s.db of another log is refused where the log knows its own',
  async store => {
    const { refused } = await begin({
      leafAt: last(named),
      size: 100,
      [store]: { changes: 99, log: 'other' },
    });
    expect(refused).toContain(
      `\`${store}.db\` is older than the decision log: it belongs to the log \`other\``,
    );
  },
);

test('a new log takes both over', async () => {
  const own = { changes: 9, log: 'former' };
  const leafAt = () => ({ kind: 'log.open', time: NOW });
  expect(await begin({ leafAt, size: 1, state: own, subjects: own })).toMatchObject({
    refused: undefined,
    adopted: [
      ['state', ORIGIN, 0],
      ['subjects', ORIGIN, 0],
    ],
  });
});

test('what retention removed is passed over', async () => {
  const leafAt = (fromEnd: number) => (fromEnd < 10 ? beat(NOW) : undefined);
  expect((await begin({ leafAt, size: 100_000 })).refused).toBeUndefined();
});

test('numbers in the details of an entry, or in a decision, are not what it names', async () => {
  const leafAt = (fromEnd: number) =>
    fromEnd === 0
      ? { kind: 'bundle.push', details: { stores: { state: 99, subjects: 99 } }, time: NOW }
      : { kind: 'decision', stores: { state: 99, subjects: 99 }, revision: { directory: 5 }, time: NOW };
  expect((await begin({ leafAt, size: 20 })).refused).toBeUndefined();
});
