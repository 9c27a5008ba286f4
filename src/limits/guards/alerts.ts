/**
 * Alerts when a limit is used to some per cent. Invariants: memory is bounded; what is used and stays used alerts once
 * until it has gone; a limit that is idle costs nothing.
 */
import type { LimitRule, LimitStanding } from '../../domain/limit.ts';
import type { StandingLimit } from '../answer-headers.ts';

/** Most alerts that are remembered so that they are not repeated; some 150 bytes each. */
export const MAX_REMEMBERED_ALERTS = 100_000;
/** Shortest time between two alerts of one key and percentage, in milliseconds: a window of a second is used up often. */
export const REPEAT_MS = 600_000;
/** What is remembered and over is looked for among so many at a time. */
const SWEEP_STEPS = 8;

/** A limit is used to at least `percent`. */
export interface LimitAlert {
  readonly rule: LimitRule;
  readonly key: string;
  /** The highest of the limit's percentages that was reached: 80, 100. */
  readonly percent: number;
  /** Committed and held together. */
  readonly used: number;
  /** Whether the request was denied by it, or, by a shadow, would have been. */
  readonly violated: boolean;
}

/** What is remembered of a key. */
interface Raised {
  percent: number;
  /** Until when this percentage, and those below, are not raised again. */
  until: number;
}

export class AlertBook {
  readonly #raised = new Map<string, Raised>();
  #hand: MapIterator<[string, Raised]> = this.#raised.entries();
  readonly #capacity: number;
  #suppressed = 0;
  #now = Number.NEGATIVE_INFINITY;

  constructor(capacity = MAX_REMEMBERED_ALERTS) {
    this.#capacity = capacity;
  }

  /** Alerts that were not raised since there were too many to remember. */
  get suppressed(): number {
    return this.#suppressed;
  }

  /**
   * The alerts that an admission raises; on the path of each decision.
   * @param limits where each stands after the admission @param now milliseconds since the epoch
   */
  observe(limits: readonly StandingLimit[], now: number): readonly LimitAlert[] {
    let alerts: LimitAlert[] | undefined;
    for (const { charge, standing } of limits) {
      const percent = reached(charge.rule, standing);
      if (percent === 0 || !this.#isNew(charge.key, percent, standing, now)) continue;
      const { key, rule } = charge;
      (alerts ??= []).push({ rule, key, percent, used: standing.used, violated: standing.violated });
    }
    return alerts ?? NONE;
  }

  #isNew(key: string, percent: number, { resetMs }: LimitStanding, at: number): boolean {
    const now = Math.max(this.#now, at);
    this.#now = now;
    const known = this.#raised.get(key);
    const until = now + Math.max(REPEAT_MS, resetMs);
    if (known !== undefined) {
      if (now < known.until && percent <= known.percent) return false;
      known.percent = percent;
      known.until = until;
      return true;
    }
    if (!this.#hasRoom(now)) {
      this.#suppressed += 1;
      return false;
    }
    this.#raised.set(key, { percent, until });
    return true;
  }

  #hasRoom(now: number): boolean {
    for (let step = 0; step < SWEEP_STEPS; step++) {
      // going on where the last search ended, so that all are looked at in turn
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = this.#raised.entries();
        break;
      }
      const [key, raised] = next.value;
      if (raised.until <= now) this.#raised.delete(key);
    }
    return this.#raised.size < this.#capacity;
  }
}

const NONE: readonly LimitAlert[] = [];

/** The highest percentage that is reached; 0: none. A denial counts as full, though something smaller might still fit. */
function reached({ alertAtPercent, limit }: LimitRule, { used, violated }: LimitStanding): number {
  if (used === 0 && !violated) return 0;
  let highest = 0;
  for (const percent of alertAtPercent) {
    if (percent > highest && (violated || used * 100 >= limit * percent)) highest = percent;
  }
  return highest;
}
