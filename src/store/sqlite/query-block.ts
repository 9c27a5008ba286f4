/**
 * Blocks of the query index: which of 1,024 consecutive entries have a fact, in few bytes. Invariant: decoding gives
 * exactly the slots that were encoded, in order.
 */

/** Entries per block. */
export const BLOCK_ENTRIES = 1_024;
/** Size of a block's slots as a bitmap; a list of 16-bit slots is shorter than that or is not used. */
const BITMAP_BYTES = BLOCK_ENTRIES / 8;

/** The block of an entry. */
export function blockOf(index: number): number {
  return Math.floor(index / BLOCK_ENTRIES);
}

/** @param slots places within the block, 0 to 1,023, ascending and distinct */
export function encodeSlots(slots: readonly number[]): Buffer {
  if (slots.length * 2 < BITMAP_BYTES) {
    const list = Buffer.alloc(slots.length * 2);
    for (const [at, slot] of slots.entries()) list.writeUInt16LE(slot, at * 2);
    return list;
  }
  const bitmap = Buffer.alloc(BITMAP_BYTES);
  for (const slot of slots) {
    const byte = slot >> 3;
    bitmap[byte] = (bitmap[byte] ?? 0) | (1 << (slot & 7));
  }
  return bitmap;
}

/** The slots of a block, ascending. */
export function decodeSlots(encoded: Buffer): number[] {
  const slots: number[] = [];
  if (encoded.length !== BITMAP_BYTES) {
    for (let at = 0; at + 1 < encoded.length; at += 2) slots.push(encoded.readUInt16LE(at));
    return slots;
  }
  for (const [byte, bits] of encoded.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((bits & (1 << bit)) !== 0) slots.push(byte * 8 + bit);
  }
  return slots;
}

/** The first slot at or after `slot`. */
export function slotFrom(slots: readonly number[], slot: number): number | undefined {
  return slots[lowerBound(slots, slot)];
}

/** The last slot at or before `slot`. */
export function slotUpTo(slots: readonly number[], slot: number): number | undefined {
  return slots[lowerBound(slots, slot + 1) - 1];
}

/** How many slots are below `slot`. */
function lowerBound(slots: readonly number[], slot: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle] ?? 0) < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}
