/**
 * From keys to the numbers of their counters. Invariant: one map never holds so many keys that making room in it
 * stops decisions for a noticeable time; so the keys are spread over many maps.
 */

/** Maps that the keys are spread over: with a million keys each has some 16,000, and grows in about a millisecond. */
const PARTS = 64;
/** Characters that decide on the map. */
const MIXED = 8;
/** Spreads them evenly (FNV-1a). Whoever chooses keys that meet in one map makes it as slow as one map for all. */
const FNV_PRIME = 0x0100_0193;

export class KeyIndex {
  readonly #parts: readonly Map<string, number>[] = Array.from({ length: PARTS }, () => new Map());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): number | undefined {
    return this.#part(key)?.get(key);
  }

  /** The key must not be there yet. */
  add(key: string, counter: number): void {
    this.#part(key)?.set(key, counter);
    this.#size += 1;
  }

  delete(key: string): void {
    if (this.#part(key)?.delete(key) === true) this.#size -= 1;
  }

  /** By the end of the key: keys that differ at all mostly differ there. */
  #part(key: string): Map<string, number> | undefined {
    let mixed = key.length;
    for (let at = Math.max(0, key.length - MIXED); at < key.length; at++) {
      mixed = Math.imul(mixed ^ key.charCodeAt(at), FNV_PRIME);
    }
    return this.#parts[(mixed ^ (mixed >>> 15)) & (PARTS - 1)];
  }
}
