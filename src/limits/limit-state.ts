/**
 * Everything that limits have counted, as one value. Invariant: it changes only through charging.ts, so that what is
 * read from the log leads to the same state as what was decided.
 */
import { Counters } from './counters.ts';
import { Decisions } from './decisions.ts';
import { Holds } from './holds.ts';
import { Segments } from './segments.ts';

export class LimitState {
  readonly counters = new Counters();
  readonly segments = new Segments();
  readonly holds = new Holds();
  readonly decisions = new Decisions();
  /** The latest instant that was seen, milliseconds since the epoch: time never goes back behind it. */
  now = 0;
}
