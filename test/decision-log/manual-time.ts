/** Clock and timers that stand still until a test moves them. */
import type { Timers } from '../../src/decision-log/timers.ts';
import type { Clock } from '../../src/domain/clock.ts';

interface Waiting {
  readonly at: number;
  readonly action: () => void;
}

export class ManualTime implements Clock, Timers {
  #now = 0;
  readonly #waiting = new Set<Waiting>();

  now(): number {
    return Date.UTC(2026, 10, 20, 12) + this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, action: () => void): () => void {
    const waiting = { at: this.#now + ms, action };
    this.#waiting.add(waiting);
    return () => this.#waiting.delete(waiting);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Moves on, runs what is due in its order, and lets what that began settle as far as it does without waiting. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#now + ms;
    for (;;) {
      const [due] = [...this.#waiting].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
      if (due === undefined) break;
      this.#waiting.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.action();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Turns of the event loop in which promises that wait for nothing outside come to their end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
}
