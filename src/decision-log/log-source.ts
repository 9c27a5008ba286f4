/**
 * A log as it is verified, wherever it lies: a data folder, an exported copy, a live service. Nothing that a source
 * says is believed; what cannot be read is said to be missing.
 */

/**
 * Most tiles of level 0 in a row without an entry that are looked at: what a log lacks beyond that is not looked for, since
 * whoever has its key can sign for a size that nobody could ever read to the end.
 */
export const MAX_EMPTY_BLOCKS = 1_024;

/** A leaf as it is stored. */
export interface StoredLeaf {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** The leaf hash that is stored beside it, where the source keeps one. */
  readonly hash?: Uint8Array;
}

export interface LogSource {
  /** Index of the first entry that is kept; those before it were pruned, and their tiles were not. */
  readonly firstKept: number;
  /** Whether it stores partial tiles as files, so that one that is missing is a fault. */
  readonly hasPartialTiles: boolean;
  /** All leaves from `firstKept` on in stored order, in batches of any size. */
  leaves(): AsyncIterable<readonly StoredLeaf[]>;
  /**
   * `width` hashes of tile `n` at a level. A partial tile may be undefined where the source stores none, unless
   * some of its leaves are pruned.
   */
  tile(level: number, n: number, width: number): Promise<Uint8Array | undefined>;
  /** The newest checkpoint, a signed note. */
  checkpoint(): Promise<string | Uint8Array | undefined>;
  /** The size and root that are stored beside the newest checkpoint, where they are. */
  head?(): Promise<{ readonly size: number; readonly root: Uint8Array } | undefined>;
  /** Checkpoints that the log published earlier, smaller sizes first, where it keeps them. */
  published?(): AsyncIterable<string>;
}

/** Takes leaves out of a source by index, and holds no more of them than one batch. */
export class LeafCursor {
  readonly #batches: AsyncIterator<readonly StoredLeaf[]>;
  readonly #outOfOrder: (leaf: StoredLeaf) => void;
  #batch: readonly StoredLeaf[] = [];
  #at = 0;
  #done = false;

  /** @param outOfOrder hears of leaves whose index was there already, or has been passed */
  constructor(source: LogSource, outOfOrder: (leaf: StoredLeaf) => void) {
    this.#batches = source.leaves()[Symbol.asyncIterator]();
    this.#outOfOrder = outOfOrder;
  }

  /** Whether no leaf is left. */
  get done(): boolean {
    return this.#done && this.#at >= this.#batch.length;
  }

  /** The leaves with indexes `first` up to `first + width`, by their place; undefined where there is none. */
  async take(first: number, width: number): Promise<readonly (StoredLeaf | undefined)[]> {
    const leaves: (StoredLeaf | undefined)[] = Array.from({ length: width });
    let last = first - 1;
    for (;;) {
      const leaf = this.#batch[this.#at];
      if (leaf === undefined) {
        if (!(await this.#load())) return leaves;
        continue;
      }
      if (leaf.index >= first + width) return leaves;
      this.#at++;
      if (leaf.index <= last) this.#outOfOrder(leaf);
      else {
        leaves[leaf.index - first] = leaf;
        last = leaf.index;
      }
    }
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    this.#done = true;
    await this.#batches.return?.();
  }

  async #load(): Promise<boolean> {
    if (this.#done) return false;
    const next = await this.#batches.next();
    if (next.done === true) {
      this.#done = true;
      return false;
    }
    this.#batch = next.value;
    this.#at = 0;
    return true;
  }
}
