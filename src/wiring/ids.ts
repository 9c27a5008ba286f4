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
/** Hex digits whose high bits are 10, by two random bits. */
const VARIANTS = '89ab';

export class UuidSource implements IdSource {
  readonly #now: () => number;
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;
  #time = 0;
  #counter = 0;
  /** `01923456-789a-7`, made anew when the time moves. */
  #front = '';

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
    // the variant takes the two high bits of the tail (RFC 9562 §4.1)
    const variant = VARIANTS.charAt((this.#pool[this.#used] ?? 0) & 3);
    this.#used += TAIL_BYTES;
    this.#tick();
    const counter = (this.#counter + MAX_COUNTER + 1).toString(16).slice(1);
    return `${this.#front}${counter}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`;
  }

  /** The counter keeps ids of one millisecond in order (RFC 9562 §6.2, method 1). */
  #tick(): void {
    const now = this.#now();
    if (now <= this.#time && this.#counter < MAX_COUNTER) {
      this.#counter += 1;
      return;
    }
    // a new millisecond; or the next one is borrowed, after 4,096 ids in this one
    this.#time = Math.max(now, this.#time + 1);
    this.#counter = 0;
    const time = this.#time.toString(16).padStart(12, '0');
    this.#front = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }
}
