/**
 * Ids and randomness of the process. Invariant: ids are UUIDv7 (RFC 9562 §5.7) and strictly ascending within
 * the process, also when the clock stands still or steps back.
 */
import { randomFillSync } from 'node:crypto';
import type { IdSource } from '../domain/clock.ts';

/** Random bytes are drawn in blocks: one system call for a few hundred ids. */
const POOL_BYTES = 4096;
/** Random bytes of one id, after time and counter. */
const TAIL_BYTES = 8;
const MAX_COUNTER = 0xfff;

export class UuidSource implements IdSource {
  readonly #now: () => number;
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;
  #time = 0;
  #counter = 0;

  /** @param now milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  next(): string {
    if (this.#used + TAIL_BYTES > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const tail = this.#pool.toString('hex', this.#used, this.#used + TAIL_BYTES);
    this.#used += TAIL_BYTES;
    this.#tick();
    const time = this.#time.toString(16).padStart(12, '0');
    const counter = this.#counter.toString(16).padStart(3, '0');
    // the variant takes the two high bits of the tail (RFC 9562 §4.1)
    const variant = ((Number.parseInt(tail.charAt(0), 16) & 3) | 8).toString(16);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`;
  }

  /** The counter keeps ids of one millisecond in order (RFC 9562 §6.2, method 1). */
  #tick(): void {
    const now = this.#now();
    if (now > this.#time) {
      this.#time = now;
      this.#counter = 0;
    } else if (this.#counter < MAX_COUNTER) this.#counter += 1;
    else {
      // 4,096 ids in one millisecond: borrow the next one
      this.#time += 1;
      this.#counter = 0;
    }
  }
}
