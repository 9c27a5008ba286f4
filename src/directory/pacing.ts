/** Long work in slices, so that decisions on the same thread wait a few milliseconds at most. */
import type { Clock } from '../domain/clock.ts';

/** Longest stretch of work without a pause, in milliseconds, unless less is asked for. */
const SLICE_MS = 8;

/** Hands the event loop back when a slice is used up. */
export class Pacer {
  readonly #clock: Clock;
  readonly #sliceMs: number;
  #since: number;

  constructor(clock: Clock, sliceMs = SLICE_MS) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
    this.#since = clock.monotonic();
  }

  /** Whether the slice is used up; then `pause` should follow. */
  get due(): boolean {
    return this.#clock.monotonic() - this.#since >= this.#sliceMs;
  }

  /** Lets everything else that is ready run first. */
  async pause(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve));
    this.#since = this.#clock.monotonic();
  }

  /** Runs a generator to its end, pausing between its steps where due. */
  async run<T>(steps: Generator<void, T>): Promise<T> {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (this.due) await this.pause();
    }
  }
}
