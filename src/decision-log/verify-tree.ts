/**
 * Builds the tree of a log again while its entries stream by, and compares it with the stored tiles and with every
 * signed root. Invariant: when an entry and its stored hash differ both trees are followed, until a signed root
 * tells which of the two was changed; before that nothing is said about whose fault it is.
 */
import { Frontier, type FullTile } from './frontier.ts';
import type { FindingCode, FindingList } from './log-findings.ts';
import type { LogSource, StoredLeaf } from './log-source.ts';
import { TILE_WIDTH, tileWidth } from './tiles.ts';
import { HASH_BYTES, sameHash } from './tree-hash.ts';

/** An entry whose own hash is not the stored one. */
interface Dispute {
  readonly index: number;
  /** What the stored hash was found in. */
  readonly stored: 'tile' | 'row';
  /** Whose side the hash beside the entry takes, where tile and entry differ. */
  readonly row: 'entry' | 'tile' | 'neither';
  /** Index at which the entry was logged, when it was within the same tile. */
  readonly loggedAt: number | undefined;
}

/** One entry with all that is known about its hash. */
export interface EntryHashes {
  readonly index: number;
  readonly leaf: StoredLeaf | undefined;
  /** Hash of the entry's bytes. */
  readonly computed: Uint8Array | undefined;
  /** Hash in the tile of level 0. */
  readonly tiled: Uint8Array | undefined;
  /** Finds a hash in the same tile. */
  readonly find: (hash: Uint8Array) => number | undefined;
}

/** Most disputes that wait for a signed root; those beyond it are judged by the stored copies alone. */
const MAX_DISPUTES = 10_000;

export class TreeCheck {
  readonly #source: LogSource;
  readonly #findings: FindingList;
  /** The tree of the entries. */
  #entries = new Frontier();
  /** The tree of the stored hashes, while it differs. */
  #stored: Frontier | undefined;
  #disputes: Dispute[] = [];
  #lost = false;

  constructor(source: LogSource, findings: FindingList) {
    this.#source = source;
    this.#findings = findings;
  }

  /** Entries so far. */
  get size(): number {
    return this.#entries.size;
  }

  /** An entry is gone and so is its hash: there is no root from here on. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Whether some entries and stored hashes differ, and it is open which of them are right. */
  get disputed(): boolean {
    return this.#disputes.length > 0;
  }

  /** The root so far, as stored where that differs; undefined when it cannot be known. */
  get root(): Uint8Array | undefined {
    return this.#lost ? undefined : (this.#stored ?? this.#entries).root();
  }

  /** Adds the next entry. @returns whether its bytes are those that were stored, as far as can be told */
  add(entry: EntryHashes): boolean {
    const { leaf, computed, tiled } = entry;
    const stored = tiled ?? leaf?.hash ?? computed;
    const taken = computed ?? stored;
    if (taken === undefined || stored === undefined) {
      this.#lost = true;
      return false;
    }
    const agrees = sameHash(taken, stored);
    if (!agrees) {
      this.#stored ??= new Frontier(this.#entries.size, this.#entries.partialTiles());
      this.#dispute(entry, taken);
    } else if (leaf?.hash !== undefined && !sameHash(leaf.hash, taken)) {
      this.#findings.add(
        'LEAF_HASH_CHANGED',
        entry.index,
        `the hash stored with entry ${entry.index} is neither that of the entry nor that of the tree`,
      );
    }
    if (this.#lost) return agrees;
    this.#entries.append(taken);
    this.#stored?.append(stored);
    return agrees;
  }

  /**
   * Compares with a root that the log has signed for the entries so far, and judges the open disputes by it.
   * @returns whether the entries or the stored hashes have that root; undefined when no root can be known
   */
  compare(root: Uint8Array): boolean | undefined {
    if (this.#lost) return undefined;
    const storedHolds = this.#stored !== undefined && sameHash(this.#stored.root(), root);
    const entriesHold = sameHash(this.#entries.root(), root);
    if (!storedHolds && !entriesHold) return false;
    this.#judge(storedHolds ? 'entry' : 'stored');
    if (storedHolds && this.#stored !== undefined) this.#entries = this.#stored;
    this.#stored = undefined;
    return true;
  }

  /** Says what remains open: entries and hashes that differ, and no signed root that tells which is right. */
  finish(): void {
    this.#judge(undefined);
  }

  /** Compares the tiles above level 0 that became full; call it often, they wait in memory. */
  async checkFullTiles(): Promise<void> {
    const tiles = this.#entries.takeTiles();
    const others = this.#stored?.takeTiles() ?? [];
    for (const tile of tiles) {
      if (tile.level === 0) continue;
      const other = others.find(({ level, n }) => level === tile.level && n === tile.n);
      await this.#checkTile(tile, TILE_WIDTH, other?.data);
    }
  }

  /** Compares the partial tiles above level 0, where the source stores them. Call it at the size they are for. */
  async checkPartialTiles(): Promise<void> {
    if (this.#lost || !this.#source.hasPartialTiles) return;
    const partials = this.#entries.partialTiles();
    for (let level = 1; level < partials.length; level++) {
      const n = Math.floor(this.size / TILE_WIDTH ** (level + 1));
      const width = tileWidth(this.size, level, n);
      const data = partials[level];
      if (width === 0 || data === undefined) continue;
      await this.#checkTile({ level, n, data }, width, this.#stored?.partialTile(level));
    }
  }

  async #checkTile(tile: FullTile, width: number, other: Uint8Array | undefined): Promise<void> {
    const { level, n, data } = tile;
    const span = TILE_WIDTH ** level;
    const found = await this.#source.tile(level, n, width);
    if (found === undefined) {
      this.#findings.add('TILE_MISSING', n * TILE_WIDTH * span, `tile ${n} of level ${level} is missing`);
      return;
    }
    if (sameHash(found, data) || (other !== undefined && sameHash(found, other))) return;
    const at = firstDifference(found, data);
    const index = (n * TILE_WIDTH + at) * span;
    this.#findings.add(
      'TILE_CHANGED',
      index,
      `hash ${at} of tile ${n} of level ${level} is not that of entries ${index} to ${index + span - 1}`,
    );
  }

  #dispute({ index, leaf, tiled, find }: EntryHashes, computed: Uint8Array): void {
    const row = leaf?.hash;
    this.#disputes.push({
      index,
      stored: tiled === undefined ? 'row' : 'tile',
      row: row === undefined ? 'neither' : sideOf(row, computed, tiled),
      loggedAt: find(computed),
    });
    if (this.#disputes.length >= MAX_DISPUTES) this.#judge(undefined);
  }

  /** @param wrong the side that a signed root contradicts */
  #judge(wrong: 'entry' | 'stored' | undefined): void {
    for (const dispute of this.#disputes) {
      const { code, message } = verdict(dispute, wrong ?? contradicted(dispute));
      this.#findings.add(code, dispute.index, message);
    }
    this.#disputes = [];
  }
}

function sideOf(row: Uint8Array, computed: Uint8Array, tiled: Uint8Array | undefined): Dispute['row'] {
  if (sameHash(row, computed)) return 'entry';
  return tiled !== undefined && sameHash(row, tiled) ? 'tile' : 'neither';
}

/** Without a signed root: what two stored copies out of three contradict. */
function contradicted({ row }: Dispute): 'entry' | 'stored' | undefined {
  if (row === 'tile') return 'entry';
  return row === 'entry' ? 'stored' : undefined;
}

function verdict(
  { index, stored, loggedAt }: Dispute,
  wrong: 'entry' | 'stored' | undefined,
): { code: FindingCode; message: string } {
  if (wrong === 'entry' && loggedAt !== undefined) {
    return { code: 'ENTRY_MOVED', message: `entry ${index} is the one that was logged as entry ${loggedAt}` };
  }
  if (wrong === 'entry') {
    return { code: 'ENTRY_CHANGED', message: `entry ${index} does not have the hash that was logged` };
  }
  if (stored === 'row') {
    return wrong === 'stored'
      ? { code: 'LEAF_HASH_CHANGED', message: `the hash stored with entry ${index} is not that of the entry` }
      : {
          code: 'ENTRY_CHANGED',
          message: `entry ${index} does not have the hash that is stored with it: one of them was changed`,
        };
  }
  return wrong === 'stored'
    ? { code: 'TILE_CHANGED', message: `the tile of level 0 does not hold the hash of entry ${index}` }
    : {
        code: 'ENTRY_OR_TILE_CHANGED',
        message: `entry ${index} does not have the hash that its tile holds: one of them was changed`,
      };
}

/** Place of the first hash that differs. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return Math.floor(at / HASH_BYTES);
}
