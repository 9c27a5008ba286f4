/** Trees, tiles and proofs of any size are those of the definition, and a proof that was altered never holds. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frontier } from '../../src/decision-log/frontier.ts';
import {
  consistencyFault,
  consistencyProof,
  inclusionFault,
  inclusionProof,
  tileHashes,
  treeRoot,
} from '../../src/decision-log/proofs.ts';
import { tileWidth } from '../../src/decision-log/tiles.ts';
import { HASH_BYTES, packedRoot } from '../../src/decision-log/tree-hash.ts';
import { naiveConsistency, naiveInclusion, naiveRoot, sampleHashes } from '../decision-log/merkle.ts';

const MAX_SIZE = 1_200;
const HASHES = sampleHashes(MAX_SIZE + 1);
const sizes = fc.integer({ min: 1, max: MAX_SIZE });
const sizePairs = fc.tuple(sizes, sizes).map(([a, b]): [number, number] => (a < b ? [a, b] : [b, a]));
const leafOfTree = sizes.chain(size => fc.tuple(fc.nat(size - 1), fc.constant(size)));

/** Tiles by their definition, from the hashes of all leaves. */
function readTile(level: number, n: number, width: number): Buffer {
  const span = 256 ** level;
  return Buffer.concat(
    Array.from({ length: width }, (_, at) => {
      const from = (n * 256 + at) * span;
      return naiveRoot(HASHES.slice(from, from + span));
    }),
  );
}

const reader = (size: number) => tileHashes(size, readTile);

describe('for a tree of any size', () => {
  test('the frontier has the root and the partial tiles of the definition, however often it is made again', () => {
    fc.assert(
      fc.property(sizes, fc.nat(MAX_SIZE), (size, restart) => {
        let frontier = new Frontier();
        for (const [index, hash] of HASHES.slice(0, size).entries()) {
          if (index === restart) frontier = new Frontier(index, frontier.partialTiles());
          frontier.append(hash);
        }
        expect(frontier.root()).toEqual(naiveRoot(HASHES.slice(0, size)));
        for (const [level, partial] of frontier.partialTiles().entries()) {
          const n = Math.floor(size / 256 ** (level + 1));
          expect(partial).toEqual(readTile(level, n, tileWidth(size, level, n)));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('the root over packed hashes and the root from tiles are those of the definition', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async size => {
        const root = naiveRoot(HASHES.slice(0, size));
        expect(packedRoot(Buffer.concat(HASHES.slice(0, size)))).toEqual(root);
        expect(await treeRoot(size, reader(size))).toEqual(root);
      }),
      { numRuns: 30 },
    );
  });

  test('an inclusion proof is that of the definition, and holds', async () => {
    await fc.assert(
      fc.asyncProperty(leafOfTree, async ([index, size]) => {
        const proof = await inclusionProof(index, size, reader(size));
        expect(proof).toEqual(naiveInclusion(index, HASHES.slice(0, size)));
        expect(faultOfLeaf(index, size, proof)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  test('a consistency proof is that of the definition, and holds', async () => {
    await fc.assert(
      fc.asyncProperty(sizePairs, async ([from, to]) => {
        const proof = await consistencyProof(from, to, reader(to));
        expect(proof).toEqual(naiveConsistency(from, HASHES.slice(0, to)));
        expect(consistencyFault(from, to, rootOf(from), rootOf(to), proof)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });
});

describe('whatever is altered', () => {
  test('an inclusion proof does not hold any more', async () => {
    await fc.assert(
      fc.asyncProperty(leafOfTree, fc.nat(), fc.nat(7), async ([index, size], seed, bit) => {
        const proof = await inclusionProof(index, size, reader(size));
        for (const altered of alterations(proof, seed, bit)) {
          expect(faultOfLeaf(index, size, altered)).toBeDefined();
        }
        expect(faultOfLeaf(index + 1, size, proof, index)).toBeDefined();
        expect(faultOfLeaf(index, size + 1, proof)).toBeDefined();
      }),
      { numRuns: 60 },
    );
  });

  test('a consistency proof does not hold any more', async () => {
    await fc.assert(
      fc.asyncProperty(sizePairs, fc.nat(), fc.nat(7), async ([from, to], seed, bit) => {
        const proof = await consistencyProof(from, to, reader(to));
        for (const altered of alterations(proof, seed, bit)) {
          expect(consistencyFault(from, to, rootOf(from), rootOf(to), altered)).toBeDefined();
        }
        const forged = rootOf(from).map((byte, at) => (at === seed % HASH_BYTES ? byte ^ (1 << bit) : byte));
        expect(consistencyFault(from, to, forged, rootOf(to), proof)).toBeDefined();
        expect(consistencyFault(from, to, rootOf(from), forged, proof)).toBeDefined();
        expect(consistencyFault(to, from - 1, rootOf(to), rootOf(from - 1), proof)).toBeDefined();
      }),
      { numRuns: 60 },
    );
  });
});

function rootOf(size: number): Buffer {
  return naiveRoot(HASHES.slice(0, size));
}

function faultOfLeaf(
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  leaf = index,
): string | undefined {
  const hash = HASHES[leaf];
  if (hash === undefined) throw new Error(`there is no leaf ${leaf}`);
  return inclusionFault(index, size, hash, proof, rootOf(size));
}

/** One bit flipped, one hash too many at either end, one too few, two swapped. */
function alterations(proof: readonly Uint8Array[], seed: number, bit: number): readonly Uint8Array[][] {
  const extra = Buffer.alloc(HASH_BYTES, seed);
  const longer = [
    [...proof, extra],
    [extra, ...proof],
  ];
  if (proof.length === 0) return longer;
  const at = seed % proof.length;
  const flipped = proof.map((hash, place) => {
    const copy = Buffer.from(hash);
    if (place === at) copy[seed % HASH_BYTES] = (copy[seed % HASH_BYTES] ?? 0) ^ (1 << bit);
    return copy;
  });
  const swapped = [...proof];
  [swapped[0], swapped[at]] = [proof[at] ?? extra, proof[0] ?? extra];
  return [...longer, flipped, proof.slice(1), proof.slice(0, -1), ...(at > 0 ? [swapped] : [])];
}
