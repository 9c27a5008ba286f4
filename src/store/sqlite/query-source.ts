/**
 * Sorted lists of entry indexes that can be searched, and their intersection. Invariant: a walk visits entries in
 * strict order and spends at most its budget of searches, because a running SQLite statement cannot be stopped.
 */

export type Direction = 'asc' | 'desc';

/** The first index at or behind `start` in the direction of the walk; undefined when there is none. */
export type Seek = (start: number) => number | undefined;

/** Searches that one page may spend, each some microseconds: about half a second. */
export const MAX_SEEKS = 200_000;

/** Counts searches down. */
export class SeekBudget {
  private left: number;

  constructor(seeks = MAX_SEEKS) {
    this.left = seeks;
  }

  get exhausted(): boolean {
    return this.left <= 0;
  }

  spend(): void {
    this.left--;
  }
}

/** Counts against the budget, and remembers the last answer: a search before it has the same answer. */
export function countedSeek(seek: Seek, direction: Direction, budget: SeekBudget): Seek {
  let asked: number | undefined;
  let answer: number | undefined;
  return start => {
    const known =
      asked !== undefined &&
      (direction === 'asc'
        ? asked <= start && (answer === undefined || start <= answer)
        : asked >= start && (answer === undefined || start >= answer));
    if (!known) {
      budget.spend();
      asked = start;
      answer = seek(start);
    }
    return answer;
  };
}

/** Entries of any of the lists. */
export function union(seeks: readonly Seek[], direction: Direction): Seek {
  const [only, ...more] = seeks;
  if (only === undefined) return () => undefined;
  if (more.length === 0) return only;
  return start => {
    let best: number | undefined;
    for (const seek of seeks) {
      const found = seek(start);
      if (
        found !== undefined &&
        (best === undefined || (direction === 'asc' ? found < best : found > best))
      ) {
        best = found;
      }
    }
    return best;
  };
}

export interface Walk {
  readonly direction: Direction;
  /** Entries must be in all of these; at least one. */
  readonly within: readonly Seek[];
  /** And in none of these. */
  readonly without: readonly Seek[];
  /** First and last index to look at, in the direction of the walk. */
  readonly start: number;
  readonly end: number;
  readonly budget: SeekBudget;
}

export interface WalkEnd {
  /** Whether nothing follows; else the budget was spent, or the visitor stopped. */
  readonly finished: boolean;
  /** The last index that was looked at. */
  readonly at: number;
}

/** Visits the intersection in order until `visit` returns false: each list leaps to where the others are. */
export function walk(plan: Walk, visit: (index: number) => boolean): WalkEnd {
  const { direction, within, without, start, end, budget } = plan;
  const step = direction === 'asc' ? 1 : -1;
  const beyond = (index: number): boolean => (direction === 'asc' ? index > end : index < end);
  let candidate = start;
  while (!beyond(candidate)) {
    if (budget.exhausted) return { finished: false, at: candidate - step };
    const found = leap(within, candidate);
    if (found === undefined) return { finished: true, at: end };
    if (found === candidate) {
      const excluded = without.some(seek => seek(found) === found);
      if (!excluded && !visit(found)) return { finished: false, at: found };
      candidate += step;
    } else {
      candidate = found;
    }
  }
  return { finished: true, at: end };
}

/** The candidate when all lists have it, else the first better one; undefined when a list has ended. */
function leap(within: readonly Seek[], candidate: number): number | undefined {
  for (const seek of within) {
    const found = seek(candidate);
    if (found !== candidate) return found;
  }
  return candidate;
}
