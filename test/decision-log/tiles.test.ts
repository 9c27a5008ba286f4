/** Names, widths and bundles of c2sp.org/tlog-tiles. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  formatTilePath,
  MAX_ENTRY_BYTES,
  MAX_TILE_LEVEL,
  parseTilePath,
  tileHash,
  type TilePath,
  tileWidth,
} from '../../src/decision-log/tiles.ts';

describe('the name of a tile', () => {
  test.each<[TilePath, string]>([
    [{ level: 0, n: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, n: 999, width: 256 }, 'tile/0/999'],
    [{ level: 1, n: 1000, width: 256 }, 'tile/1/x001/000'],
    [{ level: 0, n: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 0, n: 1_234_067, width: 8 }, 'tile/0/x001/x234/067.p/8'],
    [{ level: 'entries', n: 5, width: 255 }, 'tile/entries/005.p/255'],
    [{ level: 'entries', n: 1_000_000, width: 256 }, 'tile/entries/x001/x000/000'],
  ])('%j is %s', (tile, path) => {
    expect(formatTilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  test('comes back from its text, whatever the tile is', () => {
    const tiles = fc.record({
      level: fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: MAX_TILE_LEVEL })),
      n: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(tiles, tile => {
        expect(parseTilePath(formatTilePath(tile))).toEqual(tile);
      }),
    );
  });

  test.each([
    '',
    'tile',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/0',
    'tile/0/0000',
    'tile/0/1000',
    'tile/0/x000/000',
    'tile/0/x000/x001/000',
    'tile/0/001/000',
    'tile/0/x001',
    'tile/00/000',
    'tile/7/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/data/000',
    'tile/0/000.p',
    'tile/0/000.p/',
    'tile/0/000.p/0',
    'tile/0/000.p/08',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/-1',
    'tile/0/000.p/1.5',
    'tile/0/../000',
    'tile/0/000?x',
    'tile/0/０00',
    'tile/0/000\n',
    'TILE/0/000',
    'tile/0/x009/x007/x199/x254/x740/992',
    `tile/0/${'x001/'.repeat(20)}001`,
    `tile/0/${'x001/'.repeat(100_000)}001`,
  ])('is never %j', path => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  test.each<TilePath>([
    { level: -1, n: 0, width: 1 },
    { level: 7, n: 0, width: 1 },
    { level: 0, n: -1, width: 1 },
    { level: 0, n: 2 ** 53, width: 1 },
    { level: 0, n: 0, width: 0 },
    { level: 0, n: 0, width: 257 },
    { level: 0, n: 0.5, width: 1 },
  ])('%j has none', tile => {
    expect(() => formatTilePath(tile)).toThrow('no tile has');
  });
});

/** Of the example in the specification. */
test.each([
  [70_000, 0, 272, 256],
  [70_000, 0, 273, 112],
  [70_000, 0, 274, 0],
  [70_000, 1, 0, 256],
  [70_000, 1, 1, 17],
  [70_000, 2, 0, 1],
  [70_000, 3, 0, 0],
  [256, 0, 0, 256],
  [256, 1, 0, 1],
  [0, 0, 0, 0],
])('in a tree of %i leaves, level %i, tile %i has %i hashes', (size, level, n, width) => {
  expect(tileWidth(size, level, n)).toBe(width);
});

describe('an entry bundle', () => {
  test('has a length of two bytes before each entry', () => {
    const bundle = encodeEntryBundle([Buffer.from('abc'), new Uint8Array(0), Buffer.alloc(258, 1)]);
    expect(Buffer.from(bundle.subarray(0, 9)).toString('hex')).toBe('000361626300000102');
    expect(bundle).toHaveLength(2 + 3 + 2 + 2 + 258);
  });

  test('gives back what went in', () => {
    const leaves = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 });
    fc.assert(
      fc.property(leaves, entries => {
        const decoded = decodeEntryBundle(encodeEntryBundle(entries));
        expect(decoded.map(leaf => Buffer.from(leaf))).toEqual(entries.map(leaf => Buffer.from(leaf)));
      }),
      { numRuns: 50 },
    );
  });

  test('holds an entry of the greatest length and none longer', () => {
    const longest = new Uint8Array(MAX_ENTRY_BYTES).fill(7);
    expect(decodeEntryBundle(encodeEntryBundle([longest]))).toEqual([Buffer.from(longest)]);
    expect(() => encodeEntryBundle([new Uint8Array(MAX_ENTRY_BYTES + 1)])).toThrow('at most 65535 bytes');
  });

  test('holds 256 entries and no more', () => {
    const one = Buffer.from('x');
    const full = encodeEntryBundle(Array.from({ length: 256 }, () => one));
    expect(decodeEntryBundle(full)).toHaveLength(256);
    expect(() => decodeEntryBundle(Buffer.concat([full, Buffer.from('000178', 'hex')]))).toThrow(
      'more than 256',
    );
    expect(() => encodeEntryBundle(Array.from({ length: 257 }, () => one))).toThrow('at most 256');
  });

  test.each(['00', '0003', '00036162', '000161ff', '0001610002'])('that ends early is refused: %s', hex => {
    expect(() => decodeEntryBundle(Buffer.from(hex, 'hex'))).toThrow('ends within its entry');
  });

  test('is read the same from within a larger buffer', () => {
    const bundle = Buffer.from('ffff000161ffff', 'hex').subarray(2, 5);
    expect(decodeEntryBundle(bundle).map(String)).toEqual(
      decodeEntryBundle(Buffer.from('000161', 'hex')).map(String),
    );
  });
});

test('a hash of a tile is refused beyond its end', () => {
  const tile = new Uint8Array(64).fill(1, 32);
  expect(tileHash(tile, 1)).toEqual(new Uint8Array(32).fill(1));
  expect(() => tileHash(tile, 2)).toThrow('has no hash 2');
});
