/** Hashes and roots that other implementations publish (transparency-dev/merkle, its RFC 6962 test data). */
import { describe, expect, test } from 'vitest';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { emptyRoot, hashInto, nodeHash, packedRoot } from '../../src/decision-log/tree-hash.ts';

const EMPTY_ROOT = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
/** Of the trees of the first 0 to 8 of them. */
const ROOTS = [
  EMPTY_ROOT,
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('the published hashes', () => {
  test('of a leaf', () => {
    expect(hex(leafHash(Buffer.from('L123456')))).toBe(
      '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56',
    );
  });

  test('of no leaves', () => {
    expect(hex(emptyRoot())).toBe(EMPTY_ROOT);
    expect(hex(packedRoot(new Uint8Array(0)))).toBe(EMPTY_ROOT);
  });

  test.each(ROOTS.map((root, size) => ({ size, root })))('of $size leaves', ({ size, root }) => {
    const hashes = LEAVES.slice(0, size).map(leaf => leafHash(Buffer.from(leaf, 'hex')));
    const frontier = new Frontier();
    for (const hash of hashes) frontier.append(hash);
    expect(hex(frontier.root())).toBe(root);
    expect(hex(packedRoot(Buffer.concat(hashes)))).toBe(root);
  });
});

describe('an inner node', () => {
  const left = leafHash(Buffer.from('left'));
  const right = leafHash(Buffer.from('right'));

  test('is not the hash of a leaf of the same bytes', () => {
    expect(hex(nodeHash(left, right))).not.toBe(hex(leafHash(Buffer.concat([left, right]))));
  });

  test('depends on the order of its children', () => {
    expect(hex(nodeHash(left, right))).not.toBe(hex(nodeHash(right, left)));
  });
});

test('a hash that is written into a buffer leaves what is around it alone', () => {
  const target = Buffer.alloc(40, 0xee);
  hashInto(new Uint8Array(0), target, 4);
  expect(target.toString('hex')).toBe(`eeeeeeee${EMPTY_ROOT}eeeeeeee`);
});

test('a run that is not a whole number of hashes has no root', () => {
  expect(() => packedRoot(new Uint8Array(33))).toThrow('not a whole number of hashes');
});
