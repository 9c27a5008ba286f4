/**
 * Notices that a thread answers nothing although it was asked, as when its disk hangs. Invariant: a thread that answers,
 * however slowly and whatever waits, is never taken for one.
 */
export class Patience {
  readonly #ms: number;
  readonly #onLost: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isLost = false;

  /** @param ms longest time without an answer @param onLost hears when it is over; `answered` ends that */
  constructor(ms: number, onLost: () => void) {
    this.#ms = ms;
    this.#onLost = onLost;
  }

  /** Whether it is over. */
  get isLost(): boolean {
    return this.#isLost;
  }

  asked(): void {
    if (!this.#isLost) this.#timer ??= setTimeout(() => this.#lookAgain(), this.#ms).unref();
  }

  /** @param waiting calls that are still to be answered @returns whether it was over until now */
  answered(waiting: number): boolean {
    const wasLost = this.#isLost;
    this.stop();
    if (waiting > 0) this.asked();
    return wasLost;
  }

  /** Nothing is waited for any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isLost = false;
  }

  /** Answers that came while this thread was busy itself are taken first. */
  #lookAgain(): void {
    const timer = this.#timer;
    setImmediate(() => {
      if (timer === undefined || this.#timer !== timer) return;
      this.#isLost = true;
      this.#onLost();
    });
  }
}
