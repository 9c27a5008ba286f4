/**
 * From keys to the numbers of their counters. Invariant: one map never holds so many keys that making room in it
 * stops decisions for a noticeable time; so the keys are spread over many maps.
 */

/** Maps that the keys are spread over: with a million keys each has some 16,000, and grows in about a millisecond. */
const PARTS = 64;

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

  /** Keys that differ at all mostly differ near their end. */
  #part(key: string): Map<string, number> | undefined {
    const end = key.length;
    const mixed =
      end +
      key.charCodeAt(end - 1) +
      7 * key.charCodeAt(end - 2) +
      13 * key.charCodeAt(end - 3) +
      29 * key.charCodeAt(end - 4);
    return this.#parts[mixed & (PARTS - 1)];
  }
}
