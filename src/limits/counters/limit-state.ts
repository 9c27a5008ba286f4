/**
 * Everything that limits have counted, as one value. Invariant: it changes only through charging.ts, so that what is
 * read from the log leads to the same state as what was decided.
 */
import { Counters } from './counters.ts';
import { Decisions } from './decisions.ts';
import { Holds } from './holds.ts';
import { Segments } from './segments.ts';

/** Records that are made room for at once: as many as there may be, and of segments one for each key. */
const MOST_COUNTERS = 2_000_000;
const MOST_SEGMENTS = 2_000_000;
const MOST_HOLDS = 1_000_000;
const MOST_DECISIONS = 1_000_000;

export class LimitState {
  readonly counters = new Counters();
  readonly segments = new Segments();
  readonly holds = new Holds();
  readonly decisions = new Decisions();
  /** The latest instant that was seen, milliseconds since the epoch: time never goes back behind it. */
  now = 0;

  /**
   * Makes room for as much as there may be, for a state that lives as long as the process. It costs addresses and no
   * memory, which only comes with use; and columns that never grow are never copied, and leave no holes behind.
   */
  reserve(): void {
    this.counters.numbers.reserve(MOST_COUNTERS);
    this.segments.numbers.reserve(MOST_SEGMENTS);
    this.holds.numbers.reserve(MOST_HOLDS);
    this.decisions.numbers.reserve(MOST_DECISIONS);
  }
}
