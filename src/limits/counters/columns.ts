/**
 * Numbers in columns: one typed array for each member of a record, so that a million records cost no objects.
 * Invariant: record 0 is never given out, so that a link of 0 means none, which is what new columns are filled with.
 */

/** The link that leads nowhere. */
export const NONE = 0;

/** Records of a new pool, the one that is never given out included. */
const FIRST_CAPACITY = 256;

export function f64(column: Float64Array, at: number): number {
  return column[at] ?? 0;
}

export function i32(column: Int32Array, at: number): number {
  return column[at] ?? NONE;
}

export function u8(column: Uint8Array, at: number): number {
  return column[at] ?? 0;
}

export function largerF64(column: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}

export function largerI32(column: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(column);
  return larger;
}

export function largerU8(column: Uint8Array, capacity: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(capacity);
  larger.set(column);
  return larger;
}

/** Gives out record numbers, and those first that were given back last. Its owner keeps the columns. */
export class Numbers {
  /** Records that the columns have room for. */
  capacity = FIRST_CAPACITY;
  /** One more than the highest number that was ever given out. */
  end = 1;
  /** Numbers given back, linked by `#next`. */
  #free = NONE;
  #next = new Int32Array(FIRST_CAPACITY);
  #used = 0;
  readonly #grow: (capacity: number) => void;

  /** @param grow makes the columns longer before a number beyond them is given out */
  constructor(grow: (capacity: number) => void) {
    this.#grow = grow;
  }

  /** Records that are in use. */
  get used(): number {
    return this.#used;
  }

  take(): number {
    this.#used += 1;
    const free = this.#free;
    if (free !== NONE) {
      this.#free = i32(this.#next, free);
      return free;
    }
    if (this.end === this.capacity) this.reserve(this.capacity * 2);
    this.end += 1;
    return this.end - 1;
  }

  giveBack(number: number): void {
    this.#next[number] = this.#free;
    this.#free = number;
    this.#used -= 1;
  }

  /** Makes room for at least this many records. */
  reserve(records: number): void {
    if (records <= this.capacity) return;
    while (this.capacity < records) this.capacity *= 2;
    this.#next = largerI32(this.#next, this.capacity);
    this.#grow(this.capacity);
  }

  /**
   * Starts anew with numbers that somebody else gave out: those below `end` that are not `taken` are free, the lowest
   * of them first.
   */
  adopt(end: number, isTaken: (number: number) => boolean): void {
    this.reserve(end + 1);
    this.end = Math.max(1, end);
    this.#free = NONE;
    this.#used = 0;
    for (let number = end - 1; number > NONE; number--) {
      if (isTaken(number)) {
        this.#used += 1;
        continue;
      }
      this.#next[number] = this.#free;
      this.#free = number;
    }
  }
}
