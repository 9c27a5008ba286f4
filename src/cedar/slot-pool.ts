/**
 * Names under which cedar-wasm keeps what was registered. Invariant: there are never more names than slots,
 * and beside the one in use they never hold more than the weight allows: cedar-wasm cannot forget a name, and
 * frees what it stands for only when the name is used again.
 */

export interface SlotPoolOptions {
  readonly prefix: string;
  /** Most names. */
  readonly slots: number;
  /** Most that all names together may hold, in units of the caller. */
  readonly weight: number;
  /** Makes a name stand for next to nothing. */
  readonly empty: (name: string) => void;
}

interface Slot {
  readonly name: string;
  readonly weight: number;
}

/** Assigns names to contents, the least recently used name first. */
export class SlotPool {
  readonly #options: SlotPoolOptions;
  /** By content key, the least recently used first. */
  readonly #slots = new Map<string, Slot>();
  readonly #free: string[] = [];
  #names = 0;
  #weight = 0;

  constructor(options: SlotPoolOptions) {
    this.#options = options;
  }

  /** The name that holds `key`, filled by `fill` (which returns a failure or undefined) when none does. */
  take(
    key: string,
    weight: number,
    fill: (name: string) => string | undefined,
  ): { readonly name: string } | { readonly failure: string } {
    const known = this.#slots.get(key);
    if (known !== undefined) {
      this.#slots.delete(key);
      this.#slots.set(key, known);
      return known;
    }
    this.#makeRoom(weight);
    const name = this.#takeName();
    const failure = fill(name);
    if (failure !== undefined) {
      this.#free.push(name);
      return { failure };
    }
    this.#slots.set(key, { name, weight });
    this.#weight += weight;
    return { name };
  }

  /** Everything registered is gone already. */
  clear(): void {
    this.#slots.clear();
    this.#free.length = 0;
    this.#names = 0;
    this.#weight = 0;
  }

  #makeRoom(weight: number): void {
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size < this.#options.slots && this.#weight + weight <= this.#options.weight) return;
      this.#slots.delete(key);
      this.#weight -= slot.weight;
      this.#options.empty(slot.name);
      this.#free.push(slot.name);
    }
  }

  #takeName(): string {
    return this.#free.pop() ?? `${this.#options.prefix}${this.#names++}`;
  }
}
