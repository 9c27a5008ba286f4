/**
 * A log as named resources (c2sp.org/tlog-tiles), in a folder or behind an API, for verification. Invariants: what is
 * damaged is handed on as it is, so that the verifier names the entry; little of the log is in memory at a time.
 */
import { type LogSource, MAX_EMPTY_BLOCKS, type StoredLeaf } from '../decision-log/log-source.ts';
import {
  formatTilePath,
  parseTilePath,
  TILE_WIDTH,
  type TilePath,
  tileWidth,
} from '../decision-log/tiles.ts';
import { HASH_BYTES } from '../decision-log/tree-hash.ts';
import { type CopyFinding, CopyFindings } from './copy-findings.ts';
import type { LogFolder } from './log-folder.ts';

/** Bundles that are read ahead, each with its tile: at most 34 MB, and usually one. */
const READ_AHEAD = 4;
/** Bytes in front of each entry of a bundle. */
const LENGTH_BYTES = 2;

/** Reads by the names of c2sp.org/tlog-tiles; undefined when there is no such thing. */
export interface LogResources {
  read(name: string): Promise<Uint8Array | undefined>;
}

export interface CopyOptions {
  readonly resources: LogResources;
  /** The signed note, as it is. */
  readonly checkpoint: Uint8Array | undefined;
  /** Entries up to which bundles are looked for. */
  readonly size: number;
  /** First entry that is there. */
  readonly firstKept: number;
}

interface Block {
  readonly n: number;
  readonly bundle: Uint8Array | undefined;
  readonly tile: Uint8Array | undefined;
}

export class LogCopy implements LogSource {
  readonly firstKept: number;
  readonly hasPartialTiles = true;
  readonly #findings = new CopyFindings();
  readonly #options: CopyOptions;
  /** Tiles of level 0 that were read with their bundles. */
  readonly #tiles = new Map<number, Uint8Array | undefined>();

  constructor(options: CopyOptions) {
    this.#options = options;
    // entries that were never there were not removed either
    this.firstKept = Math.min(options.firstKept, options.size);
  }

  /** Complete once the leaves have been read. */
  get findings(): readonly CopyFinding[] {
    return this.#findings.list;
  }

  async *leaves(): AsyncGenerator<readonly StoredLeaf[]> {
    let missing = 0;
    for await (const { n, bundle, tile } of this.#blocks()) {
      this.#tiles.set(n, tile);
      missing = bundle === undefined ? missing + 1 : 0;
      // a size may be signed for that no log has
      if (missing > MAX_EMPTY_BLOCKS) return;
      if (bundle !== undefined) yield this.#split(n, bundle);
    }
  }

  async tile(level: number, n: number, width: number): Promise<Uint8Array | undefined> {
    if (level === 0 && this.#tiles.has(n) && width === tileWidth(this.#options.size, 0, n)) {
      const tile = this.#tiles.get(n);
      this.#tiles.delete(n);
      return tile;
    }
    return this.#options.resources.read(formatTilePath({ level, n, width }));
  }

  async checkpoint(): Promise<Uint8Array | undefined> {
    return this.#options.checkpoint;
  }

  async *#blocks(): AsyncGenerator<Block> {
    const { size } = this.#options;
    const ahead: Promise<Block>[] = [];
    let next = Math.ceil(this.firstKept / TILE_WIDTH);
    for (;;) {
      while (ahead.length < READ_AHEAD && next * TILE_WIDTH < size) {
        const block = this.#read(next++);
        // whoever comes to it hears of the failure; one that is never come to is nobody's
        block.catch(() => undefined);
        ahead.push(block);
      }
      const block = ahead.shift();
      if (block === undefined) return;
      yield await block;
    }
  }

  async #read(n: number): Promise<Block> {
    const width = tileWidth(this.#options.size, 0, n);
    const { resources } = this.#options;
    const [bundle, tile] = await Promise.all([
      resources.read(formatTilePath({ level: 'entries', n, width })),
      resources.read(formatTilePath({ level: 0, n, width })),
    ]);
    return { n, bundle, tile };
  }

  /** The entries of a bundle as far as they can be told apart. */
  #split(n: number, bundle: Uint8Array): readonly StoredLeaf[] {
    const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
    const first = n * TILE_WIDTH;
    const width = tileWidth(this.#options.size, 0, n);
    const leaves: StoredLeaf[] = [];
    let at = 0;
    while (leaves.length < width && at + LENGTH_BYTES <= bundle.length) {
      const end = at + LENGTH_BYTES + view.getUint16(at);
      if (end > bundle.length) break;
      leaves.push({ index: first + leaves.length, bytes: bundle.subarray(at + LENGTH_BYTES, end) });
      at = end;
    }
    if (at < bundle.length) {
      const index = first + leaves.length;
      this.#findings.add({
        index,
        code: 'BUNDLE_DAMAGED',
        severity: 'error',
        message:
          leaves.length < width
            ? `entry bundle ${n} ends within entry ${index}`
            : `entry bundle ${n} has ${bundle.length - at} bytes behind its ${width} entries`,
      });
    }
    return leaves;
  }
}

/** What lies in a folder of tiles, beside what its checkpoint asks for. */
export interface FolderExtent {
  /** Entries up to which there are bundles. */
  readonly size: number;
  readonly findings: readonly CopyFinding[];
}

/**
 * Looks at every file below `tile`: one that reaches beyond `size` was written for a later checkpoint, so the one
 * that is there is older than the copy.
 * @param size entries of the checkpoint; undefined: not known
 */
export async function surveyFolder(folder: LogFolder, size: number | undefined): Promise<FolderExtent> {
  const findings = new CopyFindings();
  let extent = 0;
  let count = 0;
  let beyond: number | undefined;
  for await (const name of folder.tileFiles()) {
    const tile = parseTilePath(name);
    if (tile === undefined) {
      const message = `\`${name}\` is no part of a log`;
      findings.add({ index: undefined, code: 'STRAY_FILE', severity: 'warning', message });
      continue;
    }
    const level = levelOf(tile);
    if (level === 0) {
      extent = Math.max(extent, tile.n * TILE_WIDTH + tile.width);
      count += 1;
    }
    if (size === undefined) continue;
    const has = tileWidth(size, level, tile.n);
    if (tile.width > has) {
      const index = (tile.n * TILE_WIDTH + has) * TILE_WIDTH ** level;
      beyond = Math.min(beyond ?? index, Math.max(index, size));
    }
  }
  if (beyond !== undefined) findings.add(exceeds(beyond, size ?? 0));
  // a file with a huge number in its name makes no log of that size
  return { size: Math.min(extent, count * TILE_WIDTH), findings: findings.list };
}

/** Names of partial tiles that a wider one replaced. @param size of the checkpoint */
export async function* supersededFiles(folder: LogFolder, size: number): AsyncGenerator<string> {
  for await (const name of folder.tileFiles()) {
    const tile = parseTilePath(name);
    if (tile !== undefined && tile.width < tileWidth(size, levelOf(tile), tile.n)) yield name;
  }
}

/**
 * Compares partial tiles that were replaced with what replaced them, of which each must be the beginning.
 * @param size of the checkpoint
 */
export async function checkSuperseded(folder: LogFolder, size: number): Promise<readonly CopyFinding[]> {
  const findings = new CopyFindings();
  for await (const name of supersededFiles(folder, size)) {
    const tile = parseTilePath(name);
    if (tile === undefined) continue;
    const [older, newer] = await Promise.all([folder.read(name), folder.read(replacementOf(tile, size))]);
    // when the newer one is missing, that is found already
    if (older === undefined || newer === undefined) continue;
    const whole = tile.level === 'entries' || older.length === tile.width * HASH_BYTES;
    if (whole && newer.subarray(0, older.length).equals(older)) continue;
    const { index, message } = contradiction(tile, name, older, newer);
    findings.add({ index, code: 'TILE_CHANGED', severity: 'error', message });
  }
  return findings.list;
}

function replacementOf(tile: TilePath, size: number): string {
  return formatTilePath({ ...tile, width: tileWidth(size, levelOf(tile), tile.n) });
}

/** The level whose hashes it has: entries have those of level 0. */
function levelOf({ level }: TilePath): number {
  return level === 'entries' ? 0 : level;
}

function contradiction(
  { level, n, width }: TilePath,
  name: string,
  older: Buffer,
  newer: Buffer,
): { index: number; message: string } {
  const first = n * TILE_WIDTH;
  const message = `\`${name}\` is not the beginning of the tile that replaced it`;
  if (level === 'entries') return { index: first, message };
  let at = 0;
  while (at < older.length && older[at] === newer[at]) at++;
  return { index: (first + Math.min(width - 1, Math.floor(at / HASH_BYTES))) * TILE_WIDTH ** level, message };
}

function exceeds(index: number, size: number): CopyFinding {
  return {
    index,
    code: 'COPY_EXCEEDS_CHECKPOINT',
    severity: 'error',
    message:
      `the copy holds more than the ${size} entries of its checkpoint, from entry ${index} on: the checkpoint is ` +
      'an older one, or an export was interrupted (run it again)',
  };
}
