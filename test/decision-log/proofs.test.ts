/** What building and judging proofs refuses. That they are right is shown in test/property/merkle.test.ts. */
import { describe, expect, test } from 'vitest';
import { packedRoot } from '../../src/decision-log/tree-hash.ts';
import {
  consistencyFault,
  consistencyProof,
  inclusionFault,
  inclusionProof,
  MAX_PROOF_HASHES,
  type TileReader,
  tileHashes,
  treeRoot,
} from '../../src/decision-log/proofs.ts';
import { naiveRoot, sampleHashes } from './merkle.ts';

const HASHES = sampleHashes(600);
const root = (size: number): Uint8Array => naiveRoot(HASHES.slice(0, size));

const readTile: TileReader = (level, n, width) =>
  level === 0
    ? Buffer.concat(HASHES.slice(n * 256, n * 256 + width))
    : Buffer.concat(
        Array.from({ length: width }, (_, at) =>
          packedRoot(Buffer.concat(HASHES.slice(at * 256, (at + 1) * 256))),
        ),
      );
const reader = tileHashes(600, readTile);

describe('there is no proof', () => {
  test.each([
    [5, 5],
    [6, 5],
    [0, 0],
    [-1, 5],
    [0.5, 5],
    [0, Number.NaN],
    [0, 2 ** 53],
  ])('that leaf %d is in a tree of %d', async (index, size) => {
    expect(() => inclusionProof(index, size, reader)).toThrow('leaves has no leaf');
    expect(inclusionFault(index, size, root(1), [], root(1))).toContain('has no leaf');
  });

  test.each([
    [6, 5],
    [-1, 5],
    [1, 2 ** 53],
    [1.5, 2],
  ])('from %d to %d leaves', (from, to) => {
    expect(() => consistencyProof(from, to, reader)).toThrow('there is no proof from');
    expect(consistencyFault(from, to, root(1), root(2), [])).toBeDefined();
  });

  test('from the empty tree, and none is needed', async () => {
    expect(await consistencyProof(0, 5, reader)).toEqual([]);
    expect(consistencyFault(0, 5, root(0), root(5), [])).toContain('proves nothing');
  });
});

describe('a proof does not hold', () => {
  test('with the hashes of another length', async () => {
    const proof = await inclusionProof(3, 8, reader);
    const short = proof.map(hash => hash.subarray(0, 31));
    expect(inclusionFault(3, 8, root(1), short, root(8))).toBe('a hash does not have 32 bytes');
    expect(consistencyFault(3, 8, root(3), root(8), short)).toBe('a hash does not have 32 bytes');
  });

  test('with more hashes than any tree has levels, and they are not hashed', () => {
    const long = Array.from({ length: 2 * MAX_PROOF_HASHES }, () => root(1));
    expect(inclusionFault(3, 8, root(1), long, root(8))).toBe('the proof is too long');
    expect(consistencyFault(3, 8, root(3), root(8), long)).toBe('the proof is too long');
  });

  test('between trees of one size with two roots', () => {
    expect(consistencyFault(8, 8, root(8), root(7), [])).toContain('different roots');
    expect(consistencyFault(8, 8, root(8), root(8), [root(1)])).toContain('too long');
  });
});

test('sizes beyond 32 bits are judged as exactly as small ones', () => {
  // the last leaf of a tree of 2^k + 1 leaves hangs directly below the root
  const size = 2 ** 40 + 1;
  const leaf = root(1);
  const rest = root(2);
  const whole = naiveRoot([rest, leaf]);
  expect(inclusionFault(size - 1, size, leaf, [rest], whole)).toBeUndefined();
  expect(inclusionFault(size - 2, size, leaf, [rest], whole)).toBeDefined();
  expect(consistencyFault(2 ** 40, size, rest, whole, [leaf])).toBeUndefined();
  expect(consistencyFault(2 ** 40 - 1, size, rest, whole, [leaf])).toBeDefined();
});

describe('hashes from tiles', () => {
  test('are read once per tile', async () => {
    const asked: string[] = [];
    const counting = tileHashes(600, (level, n, width) => {
      asked.push(`${level}/${n}/${width}`);
      return readTile(level, n, width);
    });
    await inclusionProof(300, 600, counting);
    await inclusionProof(301, 600, counting);
    expect(asked.sort()).toEqual(['0/1/256', '0/2/88', '1/0/2']);
  });

  test.each<[string, TileReader, string]>([
    ['missing', () => undefined, 'tile 0 of level 0 is missing; it should have 200 hashes'],
    ['too short', () => new Uint8Array(199 * 32), 'has 6368 bytes; it should have 200 hashes'],
    ['too long', () => new Uint8Array(256 * 32), 'has 8192 bytes; it should have 200 hashes'],
  ])('are refused when a tile is %s', async (_what, broken, message) => {
    await expect(inclusionProof(3, 200, tileHashes(200, broken))).rejects.toThrow(message);
  });

  test('do not reach beyond the tree', async () => {
    await expect(Promise.resolve(tileHashes(200, readTile).hash(3, 25))).rejects.toThrow('has no subtree');
    await expect(treeRoot(201, tileHashes(200, readTile))).rejects.toThrow('has no subtree');
  });

  test('give the root of no leaves without a tile', async () => {
    expect(
      await treeRoot(
        0,
        tileHashes(0, () => undefined),
      ),
    ).toEqual(root(0));
  });
});
