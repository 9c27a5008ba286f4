/**
 * Proofs that were used. Invariants: no proof counts twice, neither within the window nor after it, whatever the wall clock
 * does; memory is bounded in total and per key, and a full window refuses, since forgetting a proof would let it count again.
 */
import type { Clock } from '../../domain/clock.ts';

/** Most proofs of one key in a window: 50 a second. */
export const MAX_PROOFS_PER_KEY = 6_000;
/** Most proofs in all; about 150 bytes each. */
export const MAX_PROOFS = 200_000;

interface Used {
  readonly owner: string;
  readonly until: number;
  readonly issuedAt: number;
}

export class ReplayWindow {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #used = new Map<string, Used>();
  readonly #counts = new Map<string, number>();
  /** The latest time of issue among the proofs that are forgotten: a clock that steps back could make them fresh again. */
  #forgotten = Number.NEGATIVE_INFINITY;

  /** @param windowMs how long a proof could still be accepted, at the longest. */
  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /**
   * Remembers a proof. @param issuedAt when it says that it was made, in seconds
   * @returns why it does not count: it was used, it is as old as one that is forgotten, or its key or everybody used too many
   */
  use(owner: string, id: string, issuedAt: number): 'replayed' | 'old' | 'flood' | undefined {
    const now = this.#clock.monotonic();
    this.#forget(now);
    if (issuedAt <= this.#forgotten) return 'old';
    const name = `${owner} ${id}`;
    if (this.#used.has(name)) return 'replayed';
    const count = this.#counts.get(owner) ?? 0;
    if (count >= MAX_PROOFS_PER_KEY || this.#used.size >= MAX_PROOFS) return 'flood';
    this.#used.set(name, { owner, until: now + this.#windowMs, issuedAt });
    this.#counts.set(owner, count + 1);
    return undefined;
  }

  get size(): number {
    return this.#used.size;
  }

  /** The map is in the order of the ends, because every proof stays equally long. */
  #forget(now: number): void {
    for (const [name, { owner, until, issuedAt }] of this.#used) {
      if (until > now) return;
      this.#used.delete(name);
      this.#forgotten = Math.max(this.#forgotten, issuedAt);
      const count = (this.#counts.get(owner) ?? 1) - 1;
      if (count > 0) this.#counts.set(owner, count);
      else this.#counts.delete(owner);
    }
  }
}
