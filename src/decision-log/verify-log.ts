/**
 * Verifies a whole log as a stream: leaves to hashes, hashes to tiles, tiles to the root that the log has signed,
 * and that to checkpoints which others kept. Invariants: memory does not grow with the log, nothing is believed
 * that no signature covers, and the first bad entry is named wherever what is left of the log allows it.
 */
import type { JsonObject } from '../domain/json.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type Finding, FindingList } from './log-findings.ts';
import { LEAF_PREFIX } from './leaf-hash.ts';
import { LeafCursor, type LogSource, MAX_EMPTY_BLOCKS, type StoredLeaf } from './log-source.ts';
import { MAX_ENTRY_BYTES, TILE_WIDTH } from './tiles.ts';
import { HASH_BYTES, hashInto, sameHash } from './tree-hash.ts';
import { ContentCheck } from './verify-content.ts';
import { type RootOptions, SignedRoots } from './verify-roots.ts';
import { TreeCheck } from './verify-tree.ts';

export interface VerifyOptions extends RootOptions {
  /** Hears of each entry whose bytes are those that were stored, with its content where that can be read. */
  readonly onEntry?: (index: number, content: JsonObject | undefined) => void;
  /** Hears after every 256 entries how far it is. @param size of the signed tree, where it is known */
  readonly onProgress?: (entries: number, size: number | undefined) => void;
}

export interface LogReport {
  /** No error was found: every entry that is kept is the one that was signed, at its place. */
  readonly intact: boolean;
  readonly origin: string;
  /** The newest checkpoint, when the log has signed it. */
  readonly checkpoint: Checkpoint | undefined;
  readonly firstKept: number;
  /** Entries whose bytes were read. */
  readonly entries: number;
  /** Checkpoints with which the tree was compared. */
  readonly checkpoints: number;
  /**
   * Size up to which a signed root confirms the tree: of these entries exactly those are bad that a finding names.
   * What follows was held against other stored copies alone, which whoever changed the one may have changed as well.
   */
  readonly confirmed: number;
  /** The lowest index that an error names. */
  readonly firstBad: number | undefined;
  readonly errors: number;
  readonly warnings: number;
  /** Errors first, then by index; of each code no more than MAX_FINDINGS_PER_CODE. */
  readonly findings: readonly Finding[];
}

/**
 * Verifies a log.
 * @throws what the source throws when it cannot be read
 */
export async function verifyLog(source: LogSource, options: VerifyOptions): Promise<LogReport> {
  const run = new Verification(source, options);
  return run.report();
}

/** Leaves of one tile of level 0 by their place. */
type Block = readonly (StoredLeaf | undefined)[];

class Verification {
  readonly #source: LogSource;
  readonly #options: VerifyOptions;
  readonly #findings = new FindingList();
  readonly #tree: TreeCheck;
  readonly #roots: SignedRoots;
  readonly #content: ContentCheck;
  readonly #cursor: LeafCursor;
  /** A leaf behind its prefix, on its way to be hashed. */
  readonly #prefixed = Buffer.alloc(1 + MAX_ENTRY_BYTES);
  /** Hashes of the leaves of one block. */
  readonly #hashes = Buffer.alloc(TILE_WIDTH * HASH_BYTES);
  #entries = 0;
  #missingSince: number | undefined;
  /** A tile of level 0 that does not have the length that it should. */
  #odd: { readonly tile: Uint8Array; readonly message: string } | undefined;

  constructor(source: LogSource, options: VerifyOptions) {
    this.#source = source;
    this.#options = options;
    this.#tree = new TreeCheck(source, this.#findings);
    this.#roots = new SignedRoots(source, options, this.#findings);
    this.#content = new ContentCheck(this.#findings, source.firstKept);
    this.#cursor = new LeafCursor(source, ({ index }) => {
      this.#findings.add('ENTRY_REPEATED', index, `entry ${index} is there twice, or out of order`);
    });
    this.#prefixed[0] = LEAF_PREFIX;
  }

  async report(): Promise<LogReport> {
    try {
      await this.#roots.start();
      if (this.#roots.nextSize === 0) await this.#roots.compare(this.#tree);
      const end = await this.#readBlocks();
      this.#endMissing(end);
      this.#tree.finish();
      await this.#roots.finish(end);
      this.#tellTail(end);
    } finally {
      await this.#cursor.close();
    }
    const { errors, warnings, findings, firstBad } = this.#findings;
    return {
      intact: errors === 0,
      origin: this.#roots.origin,
      checkpoint: this.#roots.newest,
      firstKept: this.#source.firstKept,
      entries: this.#entries,
      checkpoints: this.#roots.compared,
      confirmed: this.#roots.confirmed,
      firstBad,
      errors,
      warnings,
      findings,
    };
  }

  /** @returns the number of entries that the log has, those that are missing included */
  async #readBlocks(): Promise<number> {
    const signed = this.#roots.newest?.size ?? 0;
    let empty = 0;
    for (let n = 0; ; n++) {
      const first = n * TILE_WIDTH;
      const leaves = await this.#cursor.take(first, TILE_WIDTH);
      const width = Math.max(Math.min(TILE_WIDTH, signed - first), this.#width(first, leaves));
      if (width > 0) {
        empty = (await this.#readBlock(n, leaves.slice(0, width))) ? 0 : empty + 1;
        this.#options.onProgress?.(first + width, this.#roots.newest?.size);
      }
      if (empty > MAX_EMPTY_BLOCKS) return this.#giveUp((n + 1 - empty) * TILE_WIDTH, signed);
      if (width === TILE_WIDTH) continue;
      const end = first + Math.max(width, 0);
      if (!this.#cursor.done) {
        const message = `entries are missing from ${end} on; there are later ones, which are not read`;
        this.#findings.add('ENTRY_MISSING', end, message);
      }
      return end;
    }
  }

  /** @param from first entry of a long run of nothing @returns the number of entries that the log has */
  #giveUp(from: number, signed: number): number {
    const end = this.#missingSince ?? from;
    this.#missingSince = undefined;
    const message = `entries are missing from ${end} on, and ${signed} are signed for: what may follow is not read`;
    this.#findings.add('ENTRY_MISSING', end, message);
    return end;
  }

  /** How many places of a block are entries by what is stored, whatever was signed. */
  #width(first: number, leaves: Block): number {
    const pruned = Math.min(TILE_WIDTH, this.#source.firstKept - first);
    return Math.max(pruned, leaves.findLastIndex(leaf => leaf !== undefined) + 1);
  }

  /** @returns whether there is anything of it: an entry, or the hashes of those that retention removed */
  async #readBlock(n: number, leaves: Block): Promise<boolean> {
    const first = n * TILE_WIDTH;
    const tile = await this.#tileOf(n, leaves.length);
    const find = (hash: Uint8Array): number | undefined => placeOf(hash, tile, first);
    for (let at = 0; at < leaves.length; at++) {
      const index = first + at;
      const leaf = leaves[at];
      if (leaf === undefined && index >= this.#source.firstKept) this.#missingSince ??= index;
      else this.#endMissing(index);
      const computed = leaf === undefined ? undefined : this.#hashLeaf(leaf, at);
      const tiled = tile === undefined ? undefined : hashAt(tile, at);
      const stored = tiled ?? leaf?.hash;
      // before the entry is added, since a shard's first entry speaks of the tree before it
      if (leaf !== undefined) this.#readContent(leaf, stored === undefined || sameAs(stored, computed));
      this.#tree.add({ index, leaf, computed, tiled, find });
      if (this.#tree.size === this.#roots.nextSize) await this.#roots.compare(this.#tree);
    }
    this.#nameOddTile(first, leaves);
    await this.#tree.checkFullTiles();
    return leaves.some(leaf => leaf !== undefined) || (tile !== undefined && first < this.#source.firstKept);
  }

  /** A tile of the wrong length is held against no entry; its first wrong hash is the first that is not theirs. */
  #nameOddTile(first: number, leaves: Block): void {
    if (this.#odd === undefined) return;
    const { tile, message } = this.#odd;
    this.#odd = undefined;
    const whole = Math.floor(tile.length / HASH_BYTES);
    let at = 0;
    while (at < whole && (leaves[at] === undefined || sameHash(hashAt(tile, at), hashAt(this.#hashes, at))))
      at++;
    this.#findings.add('TILE_CHANGED', first + (at < leaves.length ? at : 0), message);
  }

  /** The stored hashes of a block; undefined where there are none to hold its entries against. */
  async #tileOf(n: number, entries: number): Promise<Uint8Array | undefined> {
    const first = n * TILE_WIDTH;
    const signed = this.#roots.newest?.size;
    const { hasPartialTiles, firstKept } = this.#source;
    // a partial file ends where the checkpoint does, whatever came after it
    const width = hasPartialTiles && signed !== undefined ? Math.min(entries, signed - first) : entries;
    if (width <= 0) return undefined;
    const tile = await this.#source.tile(0, n, width);
    const length = width * HASH_BYTES;
    if (tile?.length === length) return tile;
    if (tile !== undefined) {
      this.#odd = {
        tile: tile.subarray(0, length),
        message: `tile ${n} of level 0 has ${tile.length} bytes instead of ${length}`,
      };
    } else if (width === TILE_WIDTH || hasPartialTiles || first < firstKept) {
      this.#findings.add('TILE_MISSING', first, `tile ${n} of level 0 is missing`);
    }
    return undefined;
  }

  #hashLeaf({ bytes }: StoredLeaf, at: number): Uint8Array {
    const length = bytes.length + 1;
    const prefixed =
      length <= this.#prefixed.length
        ? this.#prefixed.subarray(0, length)
        : Buffer.alloc(length, LEAF_PREFIX);
    prefixed.set(bytes, 1);
    hashInto(prefixed, this.#hashes, at * HASH_BYTES);
    return hashAt(this.#hashes, at);
  }

  /** @param intact its bytes have the hash that was stored */
  #readContent({ index, bytes }: StoredLeaf, intact: boolean): void {
    this.#entries++;
    if (!intact) return;
    const content = this.#content.check(index, bytes, () => this.#tree.root);
    this.#options.onEntry?.(index, content);
  }

  #endMissing(end: number): void {
    const from = this.#missingSince;
    if (from === undefined) return;
    this.#missingSince = undefined;
    const one = end - from === 1;
    this.#findings.add(
      'ENTRY_MISSING',
      from,
      one ? `entry ${from} is missing` : `entries ${from} to ${end - 1} are missing`,
    );
  }

  #tellTail(end: number): void {
    const { newest } = this.#roots;
    if (newest === undefined || end <= newest.size) return;
    const message = `the newest checkpoint covers ${newest.size} entries; ${end - newest.size} more follow`;
    this.#findings.add('UNSIGNED_TAIL', newest.size, message);
  }
}

function hashAt(hashes: Uint8Array, at: number): Uint8Array {
  return hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
}

function sameAs(stored: Uint8Array, computed: Uint8Array | undefined): boolean {
  return computed !== undefined && sameHash(stored, computed);
}

/** Index of the entry whose hash this is, among those of one tile. */
function placeOf(hash: Uint8Array, tile: Uint8Array | undefined, first: number): number | undefined {
  if (tile === undefined) return undefined;
  for (let at = 0; at < tile.length / HASH_BYTES; at++)
    if (sameHash(hashAt(tile, at), hash)) return first + at;
  return undefined;
}
