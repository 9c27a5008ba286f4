/** A clock that tests set by hand, and counted ids. */
import type { Clock, IdSource } from '../../src/domain/clock.ts';

export interface ManualClock extends Clock {
  /** Moves both clocks forward. */
  advance(milliseconds: number): void;
  /** Moves the wall clock alone, as a correction of the time does. */
  step(milliseconds: number): void;
}

export function manualClock(start = Date.UTC(2026, 10, 21)): ManualClock {
  let elapsed = 0;
  let stepped = 0;
  return {
    now: () => start + elapsed + stepped,
    monotonic: () => elapsed,
    advance(milliseconds) {
      elapsed += milliseconds;
    },
    step(milliseconds) {
      stepped += milliseconds;
    },
  };
}

export function countedIds(prefix = 'id'): IdSource {
  let count = 0;
  return {
    next() {
      count += 1;
      return `${prefix}-${count}`;
    },
  };
}
