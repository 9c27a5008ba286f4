/**
 * The tree over the log, read from the shards and from the archive of what was removed. Invariant: a tile that is
 * full comes from where it was stored with the leaf that filled it; only a partial one is put together.
 */
import type { LogTree, ShardInfo } from '../../decision-log/ports.ts';
import {
  consistencyProof,
  type HashReader,
  inclusionProof,
  tileHashes,
  treeRoot,
} from '../../decision-log/proofs.ts';
import { encodeEntryBundle, MAX_TILE_LEVEL, TILE_WIDTH } from '../../decision-log/tiles.ts';
import { HASH_BYTES } from '../../decision-log/tree-hash.ts';
import { AppError } from '../../domain/errors.ts';
import type { LogShards } from './log-shards.ts';

/** All the reading is synchronous: the promises are settled when they are returned, or soon after. */
export class ShardedTree implements LogTree {
  private readonly log: LogShards;

  constructor(log: LogShards) {
    this.log = log;
  }

  async root(size: number): Promise<Uint8Array> {
    return treeRoot(size, this.hashesWithin(size));
  }

  async hashTile(level: number, n: number, width: number): Promise<Uint8Array> {
    if (!isCount(level) || level > MAX_TILE_LEVEL || !isCount(n) || !isWidth(width)) {
      throw new AppError('INVALID_REQUEST', `there is no tile ${n} of level ${level}, ${width} wide`);
    }
    this.refuseBeyond((n * TILE_WIDTH + width) * TILE_WIDTH ** level);
    return this.tile(level, n, width);
  }

  async entryBundle(n: number, width: number): Promise<Uint8Array | undefined> {
    if (!isCount(n) || !isWidth(width)) {
      throw new AppError('INVALID_REQUEST', `there is no entry bundle ${n}, ${width} wide`);
    }
    const first = n * TILE_WIDTH;
    this.refuseBeyond(first + width);
    if (first < this.log.firstKept()) return undefined;
    const bodies = this.log.bodies(first, first + width);
    return bodies.length === width ? encodeEntryBundle(bodies) : undefined;
  }

  async inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]> {
    return inclusionProof(index, size, this.hashesWithin(size));
  }

  async consistencyProof(from: number, to: number): Promise<readonly Uint8Array[]> {
    return consistencyProof(from, to, this.hashesWithin(to));
  }

  async firstKept(): Promise<number> {
    this.log.size();
    return this.log.firstKept();
  }

  async shards(): Promise<readonly ShardInfo[]> {
    return this.log.infos();
  }

  private hashesWithin(size: number): HashReader {
    this.refuseBeyond(size);
    return tileHashes(size, (level, n, width) => this.tile(level, n, width));
  }

  /** @returns `width` hashes, all of which exist */
  private tile(level: number, n: number, width: number): Buffer {
    const lastLeaf = lastLeafOf(level, n);
    if (lastLeaf < this.log.size()) {
      return this.log.tile(level, n, lastLeaf).subarray(0, width * HASH_BYTES);
    }
    const first = n * TILE_WIDTH;
    if (level === 0) return this.leafHashes(first, first + width);
    const roots = Array.from({ length: width }, (_, at) =>
      this.log.tileRoot(level - 1, first + at, lastLeafOf(level - 1, first + at)),
    );
    return Buffer.concat(roots);
  }

  /** The hashes of leaves of the last tile, the front of which may lie in shards that were removed. */
  private leafHashes(from: number, to: number): Buffer {
    const kept = Math.max(0, this.log.firstKept() - from);
    const carried = kept === 0 ? Buffer.alloc(0) : this.log.carriedHashes().subarray(0, kept * HASH_BYTES);
    const hashes = Buffer.concat([carried, ...this.log.hashes(from, to)]);
    return hashes.subarray(0, (to - from) * HASH_BYTES);
  }

  private refuseBeyond(size: number): void {
    const durable = this.log.size();
    if (isCount(size) && size <= durable) return;
    throw new AppError('INVALID_REQUEST', `the log has ${durable} leaves, and \`${size}\` are asked about`);
  }
}

/** The leaf that fills a tile. */
function lastLeafOf(level: number, n: number): number {
  return (n + 1) * TILE_WIDTH ** (level + 1) - 1;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isWidth(width: number): boolean {
  return isCount(width) && width >= 1 && width <= TILE_WIDTH;
}
