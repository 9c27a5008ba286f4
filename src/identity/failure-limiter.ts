/**
 * Counts failed authentications per source and minute. Invariant: memory is bounded whatever the number of
 * sources, and a valid key is never refused because of its source (256-bit keys cannot be guessed, so the
 * limit protects the log and the processor, not the keys).
 */
import type { Clock } from '../domain/clock.ts';

/** Most sources remembered; about 100 bytes each. The longest known is forgotten first. */
export const MAX_SOURCES = 10_000;
const WINDOW_MS = 60_000;

interface Window {
  readonly endsAt: number;
  failures: number;
}

export class FailureLimiter {
  readonly #clock: Clock;
  readonly #maxPerMinute: number;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, maxPerMinute: number) {
    this.#clock = clock;
    this.#maxPerMinute = maxPerMinute;
  }

  get sources(): number {
    return this.#windows.size;
  }

  /** Counts a failure. @returns seconds to wait when the source has had too many, else undefined. */
  count(source: string): number | undefined {
    const now = this.#clock.monotonic();
    let window = this.#windows.get(source);
    if (window === undefined || window.endsAt <= now) {
      // set anew, so that the order of the map stays the order of the windows' ends
      this.#windows.delete(source);
      this.#makeRoom();
      window = { endsAt: now + WINDOW_MS, failures: 0 };
      this.#windows.set(source, window);
    }
    window.failures += 1;
    if (window.failures <= this.#maxPerMinute) return undefined;
    return Math.max(1, Math.ceil((window.endsAt - now) / 1000));
  }

  /** Seconds to wait when the source has had too many failures already, else undefined. Counts nothing. */
  waitOf(source: string): number | undefined {
    const now = this.#clock.monotonic();
    const window = this.#windows.get(source);
    if (window === undefined || window.endsAt <= now || window.failures < this.#maxPerMinute)
      return undefined;
    return Math.max(1, Math.ceil((window.endsAt - now) / 1000));
  }

  #makeRoom(): void {
    for (const source of this.#windows.keys()) {
      if (this.#windows.size < MAX_SOURCES) return;
      this.#windows.delete(source);
    }
  }
}
