/** In place of src/decision-log/frontier.ts in a service without evidence: leaves are counted, and nothing is hashed. */
import * as real from '../../src/decision-log/frontier.ts';
import { HASH_BYTES } from '../../src/decision-log/tree-hash.ts';

const NO_TILES: readonly real.FullTile[] = [];

export class Frontier extends real.Frontier {
  #leaves: number;

  constructor(size = 0) {
    super();
    this.#leaves = size;
  }

  override get size(): number {
    return this.#leaves;
  }

  override append(): void {
    this.#leaves++;
  }

  override takeTiles(): readonly real.FullTile[] {
    return NO_TILES;
  }

  /** Of no tree: zeros. */
  override root(): Uint8Array {
    return new Uint8Array(HASH_BYTES);
  }

  override partialTile(): Uint8Array {
    return new Uint8Array(0);
  }

  override partialTiles(): readonly Uint8Array[] {
    return [];
  }
}
