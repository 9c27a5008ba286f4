/** Leaf hashes of RFC 6962 §2.1, by vectors of its test data. */
import { describe, expect, test } from 'vitest';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';

describe('leafHash', () => {
  test.each([
    ['', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
    ['L123456', '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56'],
  ])('of %j is that of RFC 6962', (leaf, expected) => {
    expect(Buffer.from(leafHash(Buffer.from(leaf))).toString('hex')).toBe(expected);
  });
});
