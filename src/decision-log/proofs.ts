/**
 * Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2; the same in RFC 9162 §2.1.3 and §2.1.4): built
 * from the hashes of complete subtrees, and judged without any. Invariant: a proof that is not exactly as long as
 * the two sizes ask never holds, so nothing can be smuggled along.
 */
import { AppError } from '../domain/errors.ts';
import { TILE_HEIGHT, tileWidth } from './tiles.ts';
import { HASH_BYTES, emptyRoot, isTreeSize, nodeHash, packedRoot, sameHash } from './tree-hash.ts';

/** Most hashes of a proof between sizes that are safe integers. */
export const MAX_PROOF_HASHES = 54;

/** A complete subtree: the leaves from `index · 2^height` up to `(index + 1) · 2^height`. */
export interface Subtree {
  readonly height: number;
  readonly index: number;
}

/** Hashes of the complete subtrees of a tree. */
export interface HashReader {
  /** 32 bytes. Throws or rejects when the tree has no such subtree. */
  hash(height: number, index: number): Uint8Array | Promise<Uint8Array>;
}

/** Reads the first `width` hashes of tile `n` at a level, which has that many in the tree. */
export type TileReader = (
  level: number,
  n: number,
  width: number,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/**
 * A HashReader over tiles of a tree of `size` leaves. It keeps the tiles it read: use one for a proof or a few.
 * Its promises reject with AppError INVALID_REQUEST when a tile is missing or has another length.
 */
export function tileHashes(size: number, readTile: TileReader): HashReader {
  const tiles = new Map<string, Promise<Uint8Array>>();
  const tile = (level: number, n: number): Promise<Uint8Array> => {
    const key = `${level}/${n}`;
    let found = tiles.get(key);
    if (found === undefined) {
      found = wholeTile(level, n, tileWidth(size, level, n), readTile);
      tiles.set(key, found);
    }
    return found;
  };
  return {
    async hash(height, index) {
      const level = Math.floor(height / TILE_HEIGHT);
      const span = 2 ** (height - level * TILE_HEIGHT);
      const first = index * span;
      const n = Math.floor(first / 2 ** TILE_HEIGHT);
      const from = (first - n * 2 ** TILE_HEIGHT) * HASH_BYTES;
      const hashes = (await tile(level, n)).subarray(from, from + span * HASH_BYTES);
      if (hashes.length !== span * HASH_BYTES) {
        throw new RangeError(`a tree of ${size} leaves has no subtree ${index} of height ${height}`);
      }
      return packedRoot(hashes);
    },
  };
}

async function wholeTile(level: number, n: number, width: number, readTile: TileReader): Promise<Uint8Array> {
  const hashes = await readTile(level, n, width);
  if (hashes?.length === width * HASH_BYTES) return hashes;
  const found = hashes === undefined ? 'is missing' : `has ${hashes.length} bytes`;
  throw new AppError(
    'INVALID_REQUEST',
    `tile ${n} of level ${level} ${found}; it should have ${width} hashes`,
  );
}

/** The tree head of the first `size` leaves. */
export function treeRoot(size: number, reader: HashReader): Promise<Uint8Array> {
  checkSizes(0, size);
  return size === 0 ? Promise.resolve(emptyRoot()) : rangeRoot(0, size, reader);
}

/**
 * The audit path of leaf `index` in the tree of the first `size` leaves, from the leaf's sibling up.
 * @throws AppError INVALID_REQUEST when the tree has no such leaf
 */
export function inclusionProof(
  index: number,
  size: number,
  reader: HashReader,
): Promise<readonly Uint8Array[]> {
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size) {
    throw new AppError('INVALID_REQUEST', `a tree of ${size} leaves has no leaf ${index}`);
  }
  const ranges: Range[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      ranges.push([middle, to]);
      to = middle;
    } else {
      ranges.push([from, middle]);
      from = middle;
    }
  }
  return readRanges(ranges.reverse(), reader);
}

/**
 * Proves that the tree of the first `from` leaves is a prefix of that of the first `to`. Empty when `from` is 0
 * or equals `to`.
 * @throws AppError INVALID_REQUEST when `from` is larger than `to`
 */
export function consistencyProof(
  from: number,
  to: number,
  reader: HashReader,
): Promise<readonly Uint8Array[]> {
  checkSizes(from, to);
  if (from === 0 || from === to) return Promise.resolve([]);
  const ranges: Range[] = [];
  let start = 0;
  let end = to;
  // walks down the right edge of the old tree; ends at the largest of its subtrees that is complete in the new one
  while (end > from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      ranges.push([middle, end]);
      end = middle;
    } else {
      ranges.push([start, middle]);
      start = middle;
    }
  }
  // the verifier knows the old root; a subtree that is the whole old tree is left out
  if (start > 0) ranges.push([start, end]);
  return readRanges(ranges.reverse(), reader);
}

/**
 * Why an inclusion proof does not hold; undefined when it does.
 * @param leafHash the leaf's, 32 bytes
 * @param root of the tree of `size` leaves
 */
export function inclusionFault(
  index: number,
  size: number,
  leafHash: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): string | undefined {
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size) {
    return `a tree of ${size} leaves has no leaf ${index}`;
  }
  const malformed = malformedHash([leafHash, root, ...proof]);
  if (malformed !== undefined) return malformed;
  let hash = leafHash;
  let node = index;
  let last = size - 1;
  for (const sibling of proof) {
    if (last === 0) return 'the proof is too long';
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // a node without a right sibling moves up unchanged until it is a right child
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) return 'the proof is too short';
  return sameHash(hash, root) ? undefined : 'the proof leads to another root';
}

/**
 * Why a consistency proof does not hold; undefined when it does: then the leaves of the tree of `from` leaves are
 * the first of that of `to` leaves. From the empty tree no proof holds, since it would prove nothing.
 */
export function consistencyFault(
  from: number,
  to: number,
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
  proof: readonly Uint8Array[],
): string | undefined {
  if (!isTreeSize(from) || !isTreeSize(to)) return 'a size is not a tree size';
  if (from > to) return `the later tree is the smaller one: ${to} leaves after ${from}`;
  if (from === 0) return 'the empty tree is the start of every tree: that proves nothing';
  if (from === to) {
    if (proof.length > 0) return 'the proof is too long: trees of equal size need none';
    return sameHash(fromRoot, toRoot) ? undefined : 'two trees of the same size have different roots';
  }
  const malformed = malformedHash([fromRoot, toRoot, ...proof]);
  if (malformed !== undefined) return malformed;
  return foldConsistency(from, to, fromRoot, toRoot, proof);
}

/** RFC 9162 §2.1.4.2, for 0 < from < to. */
function foldConsistency(
  from: number,
  to: number,
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
  proof: readonly Uint8Array[],
): string | undefined {
  let node = from - 1;
  let last = to - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // the old tree is one complete subtree: its root is where the path starts
  const path = node === 0 ? [fromRoot, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined) return 'the proof is too short';
  let older = start;
  let newer = start;
  for (const hash of rest) {
    if (last === 0) return 'the proof is too long';
    if (node % 2 === 1 || node === last) {
      older = nodeHash(hash, older);
      newer = nodeHash(hash, newer);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newer = nodeHash(newer, hash);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) return 'the proof is too short';
  if (!sameHash(older, fromRoot)) return 'the proof leads to another root of the earlier tree';
  return sameHash(newer, toRoot) ? undefined : 'the proof leads to another root of the later tree';
}

/** Leaves from the first up to the second. */
type Range = readonly [from: number, to: number];

function readRanges(ranges: readonly Range[], reader: HashReader): Promise<readonly Uint8Array[]> {
  return Promise.all(ranges.map(([from, to]) => rangeRoot(from, to, reader)));
}

/** The hash over a range that a split of the tree yields: complete subtrees, each smaller than the one before. */
async function rangeRoot(from: number, to: number, reader: HashReader): Promise<Uint8Array> {
  const hashes = await Promise.all(
    subtreesOf(from, to).map(async ({ height, index }) => reader.hash(height, index)),
  );
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The complete subtrees that leaves `from` up to `to` consist of, left to right, where they shrink. */
function subtreesOf(from: number, to: number): readonly Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = from; at < to; ) {
    let height = 0;
    while (2 ** (height + 1) <= to - at) height++;
    subtrees.push({ height, index: at / 2 ** height });
    at += 2 ** height;
  }
  return subtrees;
}

/** The largest power of two below `count` (k of RFC 6962 §2.1). */
function splitPoint(count: number): number {
  let k = 1;
  while (k * 2 < count) k *= 2;
  return k;
}

function checkSizes(from: number, to: number): void {
  if (isTreeSize(from) && isTreeSize(to) && from <= to) return;
  throw new AppError('INVALID_REQUEST', `there is no proof from ${from} to ${to} leaves`);
}

function malformedHash(hashes: readonly Uint8Array[]): string | undefined {
  if (hashes.length > MAX_PROOF_HASHES + 2) return 'the proof is too long';
  return hashes.every(hash => hash.length === HASH_BYTES) ? undefined : 'a hash does not have 32 bytes';
}
