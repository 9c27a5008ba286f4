/**
 * The static resources of a log after c2sp.org/tlog-tiles: names of tiles, how wide a tile is in a tree of some
 * size, and bundles of entries. Invariant: every tile has exactly one name, and other spellings are refused.
 */
import { AppError } from '../domain/errors.ts';
import { HASH_BYTES, isTreeSize } from './tree-hash.ts';

/** Levels of the tree that one tile spans. */
export const TILE_HEIGHT = 8;
/** Hashes of a full tile, and entries of a full bundle. */
export const TILE_WIDTH = 256;
/** Longest entry of a bundle: its length is written with 16 bits. */
export const MAX_ENTRY_BYTES = 0xffff;
/** Highest level of a tile that a safe integer of leaves can fill an entry of. */
export const MAX_TILE_LEVEL = 6;

/** A tile of hashes, or a bundle of entries. */
export interface TilePath {
  /** 0 holds the hashes of leaves; `entries` the leaves themselves. */
  readonly level: number | 'entries';
  readonly n: number;
  /** 1–256; below 256 the tile is partial. */
  readonly width: number;
}

/** Most characters of the name of a tile: enough for every safe integer. */
const MAX_PATH_LENGTH = 64;
const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;
const GROUP = 1000;

/** `tile/0/x001/x234/067.p/8`, `tile/entries/000`. @throws RangeError on numbers that no tile has */
export function formatTilePath({ level, n, width }: TilePath): string {
  const levelFits = level === 'entries' || (isTreeSize(level) && level <= MAX_TILE_LEVEL);
  if (!levelFits || !isTreeSize(n) || !isTreeSize(width) || width < 1 || width > TILE_WIDTH) {
    throw new RangeError(`no tile has level ${level}, number ${n} and width ${width}`);
  }
  let name = threeDigits(n);
  for (let rest = Math.floor(n / GROUP); rest > 0; rest = Math.floor(rest / GROUP)) {
    name = `x${threeDigits(rest)}/${name}`;
  }
  return `tile/${level}/${name}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** The tile of a name without leading slash; undefined when it is not the name of any tile. */
export function parseTilePath(path: string): TilePath | undefined {
  if (path.length > MAX_PATH_LENGTH) return undefined;
  const match = PATH.exec(path);
  const [, level = '', groups = '', width] = match ?? [];
  if (match === null) return undefined;
  const n = Number(groups.replaceAll(/[x/]/g, ''));
  const tile: TilePath = {
    level: level === 'entries' ? level : Number(level),
    n,
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  if (typeof tile.level === 'number' && tile.level > MAX_TILE_LEVEL) return undefined;
  if (!Number.isSafeInteger(n) || tile.width > TILE_WIDTH) return undefined;
  // leading groups of zeros and a partial width of 256 would be second names
  return formatTilePath(tile) === path ? tile : undefined;
}

/** How many hashes tile `n` of a level has in a tree of `size` leaves: 0 (there is no such tile) to 256. */
export function tileWidth(size: number, level: number, n: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - n * TILE_WIDTH));
}

/**
 * Leaves as an entry bundle: each behind its length in two bytes, big-endian.
 * @throws RangeError when there are more than 256, or one is too long
 */
export function encodeEntryBundle(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length > TILE_WIDTH) throw new RangeError(`a bundle has at most ${TILE_WIDTH} entries`);
  const bundle = Buffer.alloc(leaves.reduce((total, leaf) => total + 2 + leaf.length, 0));
  let at = 0;
  for (const leaf of leaves) {
    if (leaf.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry has at most ${MAX_ENTRY_BYTES} bytes`);
    at = bundle.writeUInt16BE(leaf.length, at);
    bundle.set(leaf, at);
    at += leaf.length;
  }
  return bundle;
}

/**
 * The leaves of an entry bundle, as views into it.
 * @throws AppError INVALID_REQUEST when it ends within an entry, or has more than 256
 */
export function decodeEntryBundle(bundle: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const leaves: Uint8Array[] = [];
  for (let at = 0; at < bundle.length; ) {
    const end = at + 2 <= bundle.length ? at + 2 + view.getUint16(at) : Infinity;
    if (end > bundle.length) {
      throw new AppError('INVALID_REQUEST', `the entry bundle ends within its entry ${leaves.length}`);
    }
    if (leaves.length === TILE_WIDTH) {
      throw new AppError('INVALID_REQUEST', `the entry bundle has more than ${TILE_WIDTH} entries`);
    }
    leaves.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return leaves;
}

/** Hash `index` of a tile. @throws AppError INVALID_REQUEST when the tile is too short for it */
export function tileHash(tile: Uint8Array, index: number): Uint8Array {
  const end = (index + 1) * HASH_BYTES;
  if (end > tile.length)
    throw new AppError('INVALID_REQUEST', `the tile has no hash ${index}: it is too short`);
  return tile.subarray(end - HASH_BYTES, end);
}

function threeDigits(n: number): string {
  return String(n % GROUP).padStart(3, '0');
}
