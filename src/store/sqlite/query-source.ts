/**
 * Sorted lists of entry indexes that can be searched, and their intersection. Invariant: a walk visits entries in
 * strict order and spends no more than its budget, because a running SQLite statement cannot be stopped.
 */
import { BLOCK_ENTRIES, blockOf, decodeSlots, slotFrom, slotUpTo } from './query-block.ts';

export type Direction = 'asc' | 'desc';

/** The first index at or behind `start` in the direction of the walk; undefined when there is none. */
export type Seek = (start: number) => number | undefined;

/** Work that one page may spend, in steps of some tens of nanoseconds: about half a second. */
const MAX_STEPS = 5_000_000;
/** What a read from the database costs, in such steps. */
const READ_STEPS = 100;

/** Counts work down. */
export class WorkBudget {
  private left: number;

  constructor(steps = MAX_STEPS) {
    this.left = steps;
  }

  get exhausted(): boolean {
    return this.left <= 0;
  }

  spendStep(): void {
    this.left--;
  }

  spendRead(): void {
    this.left -= READ_STEPS;
  }
}

/** A block that has an entry with a term. */
export interface PostingRow {
  readonly block: number;
  readonly slots: Buffer;
}

/**
 * The entries of one term, read block by block.
 * @param read the first block at or behind the given one, in the direction of the walk
 */
export function postingSeek(
  read: (block: number) => PostingRow | undefined,
  direction: Direction,
  budget: WorkBudget,
): Seek {
  const forward = direction === 'asc';
  // The loaded block answers for every block from `from` on to itself; undefined: for all of them.
  let loaded: { from: number; block: number | undefined; slots: readonly number[] } | undefined;
  const covers = (block: number): boolean => {
    if (loaded === undefined) return false;
    const { from, block: to } = loaded;
    return forward
      ? from <= block && (to === undefined || block <= to)
      : from >= block && (to === undefined || block >= to);
  };
  return start => {
    let block = blockOf(start);
    let slot = start % BLOCK_ENTRIES;
    for (;;) {
      if (loaded === undefined || !covers(block)) {
        budget.spendRead();
        const row = read(block);
        loaded = { from: block, block: row?.block, slots: row === undefined ? [] : decodeSlots(row.slots) };
      }
      if (loaded.block === undefined) return undefined;
      if (loaded.block !== block) slot = forward ? 0 : BLOCK_ENTRIES - 1;
      const hit = forward ? slotFrom(loaded.slots, slot) : slotUpTo(loaded.slots, slot);
      if (hit !== undefined) return loaded.block * BLOCK_ENTRIES + hit;
      block = loaded.block + (forward ? 1 : -1);
      slot = forward ? 0 : BLOCK_ENTRIES - 1;
      if (block < 0) return undefined;
    }
  };
}

/** Counts against the budget, and remembers the last answer: a search before it has the same answer. */
export function countedSeek(seek: Seek, direction: Direction, budget: WorkBudget): Seek {
  let asked: number | undefined;
  let answer: number | undefined;
  return start => {
    const known =
      asked !== undefined &&
      (direction === 'asc'
        ? asked <= start && (answer === undefined || start <= answer)
        : asked >= start && (answer === undefined || start >= answer));
    if (!known) {
      budget.spendRead();
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
  readonly budget: WorkBudget;
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
    budget.spendStep();
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
