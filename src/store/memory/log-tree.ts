/**
 * The tree of the log in memory, straight from its definition (RFC 6962 §2.1): the reference for what every backend
 * answers. Invariant: nothing is stored that a reader could find changed; each answer is computed from the leaves.
 */
import type { LogTree, ShardInfo } from '../../decision-log/ports.ts';
import { consistencyProof, type HashReader, inclusionProof, treeRoot } from '../../decision-log/proofs.ts';
import { encodeEntryBundle, TILE_HEIGHT, TILE_WIDTH } from '../../decision-log/tiles.ts';
import { packedRoot } from '../../decision-log/tree-hash.ts';
import { AppError } from '../../domain/errors.ts';

/** A leaf as the tree needs it. */
export interface TreeLeaf {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

export class MemoryTree implements LogTree {
  private readonly leaves: readonly TreeLeaf[];

  /** @param leaves of the log; they may grow */
  constructor(leaves: readonly TreeLeaf[]) {
    this.leaves = leaves;
  }

  async root(size: number): Promise<Uint8Array> {
    this.refuseBeyond(size);
    return treeRoot(size, this.hashes());
  }

  async hashTile(level: number, n: number, width: number): Promise<Uint8Array> {
    const span = 2 ** (level * TILE_HEIGHT);
    const first = n * TILE_WIDTH;
    if (width < 1 || width > TILE_WIDTH) throw new AppError('INVALID_REQUEST', `no tile is ${width} wide`);
    this.refuseBeyond((first + width) * span);
    const subtrees = Array.from({ length: width }, (_, at) => this.subtree(span, first + at));
    return Buffer.concat(subtrees);
  }

  async entryBundle(n: number, width: number): Promise<Uint8Array | undefined> {
    const first = n * TILE_WIDTH;
    if (width < 1 || width > TILE_WIDTH) throw new AppError('INVALID_REQUEST', `no bundle is ${width} wide`);
    this.refuseBeyond(first + width);
    return encodeEntryBundle(this.leaves.slice(first, first + width).map(({ bytes }) => bytes));
  }

  async inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]> {
    this.refuseBeyond(size);
    return inclusionProof(index, size, this.hashes());
  }

  async consistencyProof(from: number, to: number): Promise<readonly Uint8Array[]> {
    this.refuseBeyond(to);
    return consistencyProof(from, to, this.hashes());
  }

  async firstKept(): Promise<number> {
    return 0;
  }

  /** One that is never sealed. */
  async shards(): Promise<readonly ShardInfo[]> {
    const { leaves } = this;
    return [
      {
        name: 'memory',
        first: 0,
        entries: leaves.length,
        sealed: false,
        kept: true,
        from: leaves[0]?.time ?? 0,
        to: leaves.at(-1)?.time ?? 0,
        bytes: leaves.reduce((sum, { bytes }) => sum + bytes.length, 0),
      },
    ];
  }

  private hashes(): HashReader {
    return { hash: (height, index) => this.subtree(2 ** height, index) };
  }

  /** The root of the leaves from `index · span` on, `span` of them. */
  private subtree(span: number, index: number): Uint8Array {
    const leaves = this.leaves.slice(index * span, (index + 1) * span);
    return packedRoot(Buffer.concat(leaves.map(({ hash }) => hash)));
  }

  private refuseBeyond(size: number): void {
    if (Number.isSafeInteger(size) && size >= 0 && size <= this.leaves.length) return;
    throw new AppError(
      'INVALID_REQUEST',
      `the log has ${this.leaves.length} leaves, and \`${size}\` are asked about`,
    );
  }
}
