/**
 * Proofs that were used. Invariants: within the window no proof counts twice; memory is bounded in total and per
 * key, and a full window refuses, since forgetting a proof would let it count again.
 */
import type { Clock } from '../../domain/clock.ts';

/** Most proofs of one key in a window: 50 a second. */
export const MAX_PROOFS_PER_KEY = 6_000;
/** Most proofs in all; about 150 bytes each. */
export const MAX_PROOFS = 200_000;

interface Used {
  readonly owner: string;
  readonly until: number;
}

export class ReplayWindow {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #used = new Map<string, Used>();
  readonly #counts = new Map<string, number>();

  /** @param windowMs how long a proof could still be accepted, at the longest. */
  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** Remembers a proof. @returns why it does not count: it was used, or its key or everybody used too many. */
  use(owner: string, id: string): 'replayed' | 'flood' | undefined {
    const now = this.#clock.monotonic();
    this.#forget(now);
    const name = `${owner} ${id}`;
    if (this.#used.has(name)) return 'replayed';
    const count = this.#counts.get(owner) ?? 0;
    if (count >= MAX_PROOFS_PER_KEY || this.#used.size >= MAX_PROOFS) return 'flood';
    this.#used.set(name, { owner, until: now + this.#windowMs });
    this.#counts.set(owner, count + 1);
    return undefined;
  }

  get size(): number {
    return this.#used.size;
  }

  /** The map is in the order of the ends, because every proof stays equally long. */
  #forget(now: number): void {
    for (const [name, { owner, until }] of this.#used) {
      if (until > now) return;
      this.#used.delete(name);
      const count = (this.#counts.get(owner) ?? 1) - 1;
      if (count > 0) this.#counts.set(owner, count);
      else this.#counts.delete(owner);
    }
  }
}
