/** Time, randomness and ids as values to be injected: nothing below main.ts reads a clock by itself. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds of a monotonic clock, for durations. */
  monotonic(): number;
}

/** Makes ids that sort by time (UUIDv7, RFC 9562 §5.7). */
export interface IdSource {
  next(): string;
}

/** RFC 3339 UTC with milliseconds. */
export function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** Formats instants as `timestamp` does, and keeps the last: under load many decisions share a millisecond. */
export class TimestampMemo {
  #epochMs = Number.NaN;
  #text = '';

  format(epochMs: number): string {
    if (epochMs !== this.#epochMs) {
      this.#text = timestamp(epochMs);
      this.#epochMs = epochMs;
    }
    return this.#text;
  }
}
