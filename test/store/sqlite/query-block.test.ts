/** Blocks of the query index: exact in both encodings, and searched as a sorted list would be. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BLOCK_ENTRIES,
  blockOf,
  decodeSlots,
  encodeSlots,
  slotFrom,
  slotUpTo,
} from '../../../src/store/sqlite/query-block.ts';

const slot = fc.integer({ min: 0, max: BLOCK_ENTRIES - 1 });
const slots = fc
  .uniqueArray(slot, { maxLength: BLOCK_ENTRIES, size: 'max' })
  .map(list => list.sort((one, other) => one - other));

describe('a block', () => {
  test('gives back the slots that it was made of', () => {
    fc.assert(
      fc.property(slots, list => {
        expect(decodeSlots(encodeSlots(list))).toEqual(list);
      }),
    );
  });

  test.each([0, 1, 63, 64, 65, BLOCK_ENTRIES])('of %i slots takes at most 128 bytes', count => {
    const list = Array.from({ length: count }, (_, at) => at);
    expect(encodeSlots(list).length).toBeLessThanOrEqual(BLOCK_ENTRIES / 8);
    expect(decodeSlots(encodeSlots(list))).toEqual(list);
  });

  test('is searched in both directions as a list would be', () => {
    fc.assert(
      fc.property(slots, slot, (list, wanted) => {
        expect(slotFrom(list, wanted)).toBe(list.find(one => one >= wanted));
        expect(slotUpTo(list, wanted)).toBe(list.findLast(one => one <= wanted));
      }),
    );
  });

  test.each([
    [0, 0],
    [BLOCK_ENTRIES - 1, 0],
    [BLOCK_ENTRIES, 1],
    [2 ** 40, 2 ** 30],
  ])('entry %i is in block %i', (index, block) => expect(blockOf(index)).toBe(block));
});
