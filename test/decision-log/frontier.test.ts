/** The growing edge of the tree. What it computes is compared with the definition in test/property/merkle.test.ts. */
import { describe, expect, test } from 'vitest';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { TILE_WIDTH } from '../../src/decision-log/tiles.ts';
import { packedRoot } from '../../src/decision-log/tree-hash.ts';
import { naiveRoot, sampleHashes } from './merkle.ts';

const HASHES = sampleHashes(TILE_WIDTH * TILE_WIDTH + 300);

function grown(size: number): Frontier {
  const frontier = new Frontier();
  for (const hash of HASHES.slice(0, size)) frontier.append(hash);
  return frontier;
}

describe('the tiles that a frontier gives out', () => {
  const frontier = grown(HASHES.length);
  const tiles = frontier.takeTiles();

  test('are every full tile of the tree, once, a lower level before the one above', () => {
    const names = tiles.map(({ level, n }) => `${level}/${n}`);
    const expected = Array.from({ length: TILE_WIDTH + 1 }, (_, n) => `0/${n}`);
    expected.splice(TILE_WIDTH, 0, '1/0');
    expect(names).toEqual(expected);
    expect(frontier.takeTiles()).toEqual([]);
  });

  test('hold the hashes of the leaves at level 0', () => {
    for (const { level, n, data } of tiles) {
      if (level > 0) continue;
      expect(Buffer.compare(data, Buffer.concat(HASHES.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)))).toBe(0);
    }
  });

  test('hold at level 1 the roots of the tiles of level 0', () => {
    const level0 = tiles.filter(({ level }) => level === 0).slice(0, TILE_WIDTH);
    const [level1] = tiles.filter(({ level }) => level === 1);
    expect(level1?.data).toEqual(Buffer.concat(level0.map(({ data }) => packedRoot(data))));
  });

  test('do not change when the tree grows on', () => {
    const growing = grown(TILE_WIDTH);
    const [first] = growing.takeTiles();
    const before = Buffer.from(first?.data ?? []);
    for (const hash of HASHES.slice(TILE_WIDTH, 3 * TILE_WIDTH)) growing.append(hash);
    expect(first?.data).toEqual(before);
  });
});

describe('a frontier that is made again', () => {
  test.each([0, 1, 2, 3, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 65_800])(
    'at %i leaves goes on as the first one',
    size => {
      const first = grown(size);
      first.takeTiles();
      const again = new Frontier(size, first.partialTiles());
      expect(again.size).toBe(size);
      expect(again.root()).toEqual(first.root());
      for (const hash of HASHES.slice(0, 260)) {
        first.append(hash);
        again.append(hash);
      }
      expect(again.root()).toEqual(first.root());
      expect(again.takeTiles()).toEqual(first.takeTiles());
    },
  );

  test('refuses partial tiles that do not belong to its size', () => {
    const partials = grown(300).partialTiles();
    expect(() => new Frontier(301, partials)).toThrow('the partial tile of level 0 has 1408 bytes');
    expect(() => new Frontier(300, [])).toThrow('has 0 bytes; a tree of 300 leaves has 1 hashes there');
    expect(() => new Frontier(-1)).toThrow('is not a tree size');
    expect(() => new Frontier(1.5)).toThrow('is not a tree size');
  });
});

test('asking for the root does not disturb the tree', () => {
  const asked = new Frontier();
  for (const [index, hash] of HASHES.slice(0, 100).entries()) {
    asked.append(hash);
    expect(asked.root()).toEqual(naiveRoot(HASHES.slice(0, index + 1)));
    expect(asked.root()).toEqual(asked.root());
  }
});

test('what a frontier gives out is a copy', () => {
  const frontier = grown(3);
  const root = Buffer.from(frontier.root());
  frontier.root().fill(0);
  frontier.partialTile(0).fill(0);
  expect(frontier.root()).toEqual(root);
  expect(frontier.partialTile(0)).toEqual(Buffer.concat(HASHES.slice(0, 3)));
  expect(frontier.partialTile(5)).toHaveLength(0);
});

test('a hash of another length is refused, and changes nothing', () => {
  const frontier = grown(3);
  const root = frontier.root();
  expect(() => frontier.append(new Uint8Array(31))).toThrow('32 bytes');
  expect(frontier.size).toBe(3);
  expect(frontier.root()).toEqual(root);
});
