/**
 * Whatever is done to a stored log, its verification finds it and names the first entry that was hit; and the log
 * that nothing was done to is never accused.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import {
  decisionLeaves,
  flip,
  leafText,
  SmallLog,
  type SmallLogOptions,
  START,
} from '../decision-log/small-log.ts';

const SIZE = 600;
const TEXTS = decisionLeaves(SIZE);

/** Entries whose hashes full tiles hold as well: a copy of the truth that damage to entries leaves alone. */
const TILED = 512;

/** One way to damage a log, at an index. @returns the first entry that it hit */
type Damage = (log: SmallLog, index: number, other: number) => number | undefined;

const DAMAGE: Readonly<Record<string, Damage>> = {
  'a bit of an entry': (log, index, other) => {
    const { bytes } = log.leaf(index);
    flip(bytes, other % bytes.length);
    return index;
  },
  'a bit of a stored hash': (log, index, other) => {
    flip(log.leaf(index).hash ?? Buffer.alloc(0), other % 32);
    return index;
  },
  'an entry with its stored hash': (log, index) => {
    const leaf = log.leaf(index);
    leaf.bytes = Buffer.from(leafText({ forged: true, time: START + index * 1000 }));
    leaf.hash = Buffer.from(leafHash(leaf.bytes));
    return index;
  },
  'a bit of a tile': (log, index, other) => {
    const n = Math.floor((index % TILED) / 256);
    const at = index % 256;
    flip(log.tile(`0/${n}`), at * 32 + (other % 32));
    return n * 256 + at;
  },
  'the end of a tile': (log, index) => {
    const n = Math.floor((index % TILED) / 256);
    log.tiles.set(`0/${n}`, log.tile(`0/${n}`).subarray(0, (index % 256) * 32));
    return n * 256 + (index % 256);
  },
  'a tile as a whole': (log, index) => {
    const n = Math.floor((index % TILED) / 256);
    log.tiles.delete(`0/${n}`);
    return n * 256;
  },
  'entries by leaving them out': (log, index, other) => {
    log.leaves.splice(index, 1 + (other % 300));
    return index;
  },
  'the end of the log': (log, index) => {
    log.leaves.splice(index);
    return index;
  },
  'the order of two entries': (log, index, other) => {
    const [a, b] = [log.leaf(index), log.leaf(other)];
    [a.bytes, b.bytes] = [b.bytes, a.bytes];
    return index === other ? undefined : Math.min(index, other);
  },
  'the order of two entries with their hashes': (log, index, other) => {
    const [a, b] = [log.leaf(index), log.leaf(other)];
    [a.index, b.index] = [b.index, a.index];
    log.leaves.sort((one, two) => one.index - two.index);
    return index === other ? undefined : Math.min(index, other);
  },
  'an entry by another': (log, index, other) => {
    const { bytes, hash } = log.leaf(other);
    Object.assign(log.leaf(index), { bytes, hash });
    return index === other ? undefined : index;
  },
  'an entry by having it twice': (log, index) => {
    log.leaves.splice(index, 0, log.leaf(index));
    return index;
  },
  'all entries from one on by moving them up': (log, index) => {
    log.leaves.splice(index, 1);
    for (const leaf of log.leaves.slice(index)) leaf.index--;
    return index;
  },
};

/** These change an entry and the hash beside it: where no tile holds the hash as well, no copy of the truth is left. */
const LEAVES_NO_COPY: ReadonlySet<string> = new Set([
  'an entry with its stored hash',
  'the order of two entries with their hashes',
  'an entry by another',
  'all entries from one on by moving them up',
]);

const damages = fc.constantFrom(...Object.keys(DAMAGE));
const places = fc.nat(SIZE - 1);

test('every damage is found, at the first entry that it hit', async () => {
  await fc.assert(
    fc.asyncProperty(damages, places, places, async (name, index, other) => {
      const log = new SmallLog(TEXTS);
      const expected = DAMAGE[name]?.(log, index, other);
      const report = await log.verify();
      expect(report.intact).toBe(expected === undefined);
      const located = !LEAVES_NO_COPY.has(name) || expected === undefined || expected < TILED;
      // what cannot be located is not among the entries that are said to be confirmed
      expect(located ? report.firstBad : Math.max(report.confirmed, expected)).toBe(expected);
    }),
    { numRuns: 150 },
  );
});

test('of two damages the first is named', async () => {
  // where a root, a tile or a hash of an entry is gone altogether, what follows it cannot be compared any more
  const located = fc.constantFrom('a bit of an entry', 'a bit of a stored hash', 'a bit of a tile');
  await fc.assert(
    fc.asyncProperty(located, places, located, places, async (one, at, two, then) => {
      const log = new SmallLog(TEXTS);
      const first = DAMAGE[one]?.(log, at, 1);
      const second = DAMAGE[two]?.(log, then, 2);
      expect((await log.verify()).firstBad).toBe(Math.min(first ?? Infinity, second ?? Infinity));
    }),
    { numRuns: 50 },
  );
});

test('any prefix of a log, stored in any way, with any checkpoints of itself, is intact', async () => {
  const options: fc.Arbitrary<SmallLogOptions> = fc.record({
    rowHashes: fc.boolean(),
    partialTiles: fc.boolean(),
  });
  const sizes = fc.array(fc.nat(SIZE), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.nat(SIZE), options, sizes, sizes, async (size, stored, own, kept) => {
      const log = new SmallLog(TEXTS.slice(0, size), stored);
      const within = (all: readonly number[]) => all.filter(one => one <= size).sort((a, b) => a - b);
      log.published = within(own).map(one => log.checkpointAt(one));
      const earlier = within(kept).map(one => ({ name: 'one', note: log.checkpointAt(one) }));
      const report = await log.verify({ earlier });
      expect(report).toMatchObject({ findings: [], confirmed: size });
      expect(report.checkpoints).toBe(1 + earlier.length + log.published.length);
    }),
    { numRuns: 40 },
  );
});
