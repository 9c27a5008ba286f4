/**
 * The growing edge of the tree: takes leaf hashes in order, knows the root at once, and gives out every hash tile
 * that becomes full. Invariant: it holds the partial tile of each level and the roots of the complete subtrees
 * that the size is the sum of, nothing else, so its memory does not grow with the log.
 */
import {
  HASH_BYTES,
  LEFT_OFFSET,
  MAX_TREE_HEIGHT,
  RIGHT_OFFSET,
  emptyRoot,
  hashInto,
  isTreeSize,
  nodeBuffer,
} from './tree-hash.ts';
import { TILE_HEIGHT, TILE_WIDTH, tileWidth } from './tiles.ts';

/** A tile that will not change any more. */
export interface FullTile {
  readonly level: number;
  readonly n: number;
  /** 256 hashes. */
  readonly data: Uint8Array;
}

/** The partial tile of one level. */
interface Edge {
  data: Buffer;
  width: number;
  /** Number of the tile at its level. */
  n: number;
}

const FULL_TILE_BYTES = TILE_WIDTH * HASH_BYTES;
const NO_TILES: readonly FullTile[] = [];

export class Frontier {
  #size = 0;
  /** Per height, where a complete subtree waits for its sibling: the buffer in which both will be hashed. */
  readonly #nodes: Buffer[] = [];
  readonly #waiting: boolean[] = [];
  readonly #edges: Edge[] = [];
  #full: FullTile[] = [];

  /**
   * The frontier of an existing tree.
   * @param size number of leaves
   * @param partials the partial tile of each level from 0 on, as `partialTiles` gives them
   * @throws RangeError when a partial tile is not as wide as the size asks
   */
  constructor(size = 0, partials: readonly Uint8Array[] = []) {
    if (!isTreeSize(size)) throw new RangeError(`${size} is not a tree size`);
    for (let level = tileLevels(size) - 1; level >= 0; level--) this.#restore(size, level, partials[level]);
    this.#size = size;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds a leaf: one inner hash on average, and no allocation but a tile in every 256 leaves.
   * @param leafHash 32 bytes
   */
  append(leafHash: Uint8Array): void {
    if (leafHash.length !== HASH_BYTES) throw new RangeError('a leaf hash is 32 bytes');
    this.#keep(0, leafHash, 0);
    this.#merge(0, leafHash);
    this.#size++;
  }

  /** The tiles that became full since the last call, a lower level before the one above. */
  takeTiles(): readonly FullTile[] {
    if (this.#full.length === 0) return NO_TILES;
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The tree head (RFC 6962 §2.1): at most one hash per bit of the size. */
  root(): Uint8Array {
    let root: Buffer | undefined;
    for (let height = 0; height < this.#nodes.length; height++) {
      const node = this.#nodes[height];
      if (node === undefined || this.#waiting[height] !== true) continue;
      if (root === undefined) {
        root = Buffer.from(node.subarray(LEFT_OFFSET, RIGHT_OFFSET));
        continue;
      }
      // the right half of a waiting node is written only on its way to be hashed, so it is free here
      root.copy(node, RIGHT_OFFSET);
      hashInto(node, root, 0);
    }
    return root ?? emptyRoot();
  }

  /** A copy of the hashes of the partial tile at a level; empty when there is none. */
  partialTile(level: number): Uint8Array {
    const edge = this.#edges[level];
    return edge === undefined
      ? new Uint8Array(0)
      : Uint8Array.prototype.slice.call(edge.data, 0, edge.width * HASH_BYTES);
  }

  /** What a new frontier of this size is made from. */
  partialTiles(): readonly Uint8Array[] {
    return this.#edges.map((_edge, level) => this.partialTile(level));
  }

  /** Hashes a new subtree with its waiting sibling, as far up as there is one. */
  #merge(from: number, hash: Uint8Array): void {
    let height = from;
    let node = this.#node(height);
    if (this.#waiting[height] !== true) {
      node.set(hash, LEFT_OFFSET);
      this.#waiting[height] = true;
      return;
    }
    node.set(hash, RIGHT_OFFSET);
    for (;;) {
      const parent = this.#node(height + 1);
      const paired = this.#waiting[height + 1] === true;
      const offset = paired ? RIGHT_OFFSET : LEFT_OFFSET;
      hashInto(node, parent, offset);
      this.#waiting[height] = false;
      height++;
      if (height % TILE_HEIGHT === 0) this.#keep(height / TILE_HEIGHT, parent, offset);
      if (!paired) {
        this.#waiting[height] = true;
        return;
      }
      node = parent;
    }
  }

  /** Puts a hash into the partial tile of its level, and the tile aside when that fills it. */
  #keep(level: number, source: Uint8Array, offset: number): void {
    let edge = this.#edges[level];
    if (edge === undefined) {
      edge = { data: Buffer.alloc(FULL_TILE_BYTES), width: 0, n: 0 };
      this.#edges[level] = edge;
    }
    edge.data.set(source.subarray(offset, offset + HASH_BYTES), edge.width * HASH_BYTES);
    edge.width++;
    if (edge.width < TILE_WIDTH) return;
    this.#full.push({ level, n: edge.n, data: edge.data });
    edge.data = Buffer.alloc(FULL_TILE_BYTES);
    edge.width = 0;
    edge.n++;
  }

  #node(height: number): Buffer {
    let node = this.#nodes[height];
    if (node === undefined) {
      if (height > MAX_TREE_HEIGHT) throw new RangeError('the tree is full');
      node = nodeBuffer();
      this.#nodes[height] = node;
      this.#waiting[height] = false;
    }
    return node;
  }

  #restore(size: number, level: number, partial: Uint8Array = new Uint8Array(0)): void {
    const n = Math.floor(size / TILE_WIDTH ** (level + 1));
    const width = tileWidth(size, level, n);
    if (partial.length !== width * HASH_BYTES) {
      throw new RangeError(
        `the partial tile of level ${level} has ${partial.length} bytes; a tree of ${size} leaves has ${width} hashes there`,
      );
    }
    const data = Buffer.alloc(FULL_TILE_BYTES);
    data.set(partial);
    this.#edges[level] = { data, width, n };
    for (let at = 0; at < width; at++) {
      this.#merge(level * TILE_HEIGHT, data.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
    }
  }
}

/** Levels of tiles that a tree of that size has. */
function tileLevels(size: number): number {
  let levels = 0;
  for (let width = size; width > 0; width = Math.floor(width / TILE_WIDTH)) levels++;
  return levels;
}
