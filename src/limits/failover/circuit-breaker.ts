/**
 * Stops asking a store that does not answer, and asks again by itself. Invariant: while it is open nobody waits
 * for the store but the one attempt to recover, which no request pays for.
 */

/** Failures in a row after which the circuit opens: a single slow answer changes nothing for the next request. */
const FAILURES_TO_OPEN = 5;
/** First pause before an attempt to recover, in milliseconds; it doubles from attempt to attempt. */
const FIRST_PAUSE_MS = 100;
/** Answers after which a store is taken to be well again: one that fails before is tried again more rarely. */
const STEADY_ANSWERS = 100;
/** Longest pause: a store that is back is used again within this time. */
const LONGEST_PAUSE_MS = 2000;

export interface CircuitOptions {
  /** Runs an action once after so many milliseconds, unless the returned function is called before. */
  readonly after: (ms: number, action: () => void) => () => void;
  /**
   * Asks the store whether it answers, and brings it what it missed. It calls `close` at the instant from which
   * the store may be used again. A rejection, or no such call, leaves the circuit open.
   */
  readonly recover: (close: () => void) => Promise<void>;
  /** Called when the circuit opens, with the reason, and when it closes, with undefined. */
  readonly onChange: (reason: string | undefined) => void;
}

export class CircuitBreaker {
  readonly #options: CircuitOptions;
  #failures = 0;
  #answers = STEADY_ANSWERS;
  #reason: string | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Why the store is not asked; undefined: it is. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get isOpen(): boolean {
    return this.#reason !== undefined;
  }

  /** When it is worth to come back, in milliseconds from now: at most this long until the next attempt. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#answers++;
  }

  /** Counts a failure of a request to the store. */
  failed(reason: string): void {
    if (this.isOpen) return;
    this.#failures++;
    if (this.#failures >= FAILURES_TO_OPEN) this.open(reason);
  }

  /** Opens at once: there is no connection, or none yet. */
  open(reason: string): void {
    if (this.isOpen || this.#stopped) return;
    this.#reason = reason;
    this.#pauseMs =
      this.#answers >= STEADY_ANSWERS ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#options.onChange(reason);
    this.#schedule();
  }

  /** Tries to recover now; resolves when the attempt has ended, either way. */
  async attempt(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    if (!this.isOpen || this.#stopped) return;
    try {
      await this.#options.recover(() => this.#close());
    } catch {
      // the reason for which it opened stands until it closes
    }
    if (!this.isOpen) return;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#schedule();
  }

  /** Ends the attempts. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#stopped) return;
    this.#cancel = this.#options.after(this.#pauseMs, () => void this.attempt());
  }

  #close(): void {
    if (!this.isOpen || this.#stopped) return;
    this.#reason = undefined;
    this.#failures = 0;
    this.#answers = 0;
    this.#options.onChange(undefined);
  }
}
