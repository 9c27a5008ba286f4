/**
 * Answers queries from query.db and the leaves. Invariant: a page holds exactly the leaves that match, in order,
 * and its cursor continues where it stopped, also when it stopped early to keep within its limits.
 */
import type { Database, Statement } from 'better-sqlite3';
import { cursorAfter, type Condition, type QueryPlan } from '../../decision-log/query-plan.ts';
import { BLOCK_ENTRIES, blockOf } from './query-block.ts';
import { DECISION_ID, LOOKUP_FIELDS, OUTCOME_OF } from './query-indexer.ts';
import type { LeafSource } from './query-leaves.ts';
import {
  countedSeek,
  type Direction,
  type PostingRow,
  postingSeek,
  type Seek,
  union,
  walk,
  WorkBudget,
} from './query-source.ts';

/** Most bytes of leaves in one page: a page may hold a thousand leaves of the largest size otherwise. */
const MAX_PAGE_BYTES = 8_388_608;

/** A leaf on its way to the main thread. */
export interface SentLeaf {
  readonly index: number;
  /** Hex. */
  readonly leafHash: string;
  readonly json: string;
}

export interface SentPage {
  readonly items: readonly SentLeaf[];
  readonly nextCursor: string | null;
}

/** The statements of one direction. */
interface Searches {
  readonly posting: Statement<[number, number], PostingRow>;
  readonly lookup: Statement<[string, string, number], number>;
}

export class QuerySearch {
  private readonly searches: Readonly<Record<Direction, Searches>>;
  private readonly leaves: LeafSource;
  private readonly timesOf: Statement<[number], Buffer>;
  private readonly termsOf: Statement<[string, string, string, string], number>;
  private readonly blocksIn: Statement<[number, number], { first: number | null; last: number | null }>;
  private readonly maxSteps: number | undefined;

  /** @param maxSteps work that one page may spend; default MAX_STEPS */
  constructor(db: Database, leaves: LeafSource, maxSteps?: number) {
    this.leaves = leaves;
    this.maxSteps = maxSteps;
    this.searches = { asc: prepareSearches(db, '>=', 'ASC'), desc: prepareSearches(db, '<=', 'DESC') };
    this.timesOf = db.prepare<[number], Buffer>('SELECT times FROM block_time WHERE block = ?').pluck();
    this.termsOf = db
      .prepare<[string, string, string, string], number>(
        'SELECT code FROM term WHERE field = ? AND value = ? UNION SELECT code FROM term WHERE field = ? AND alias = ?',
      )
      .pluck();
    this.blocksIn = db.prepare(
      'SELECT min(block) AS first, max(block) AS last FROM block WHERE latest >= ? AND earliest < ?',
    );
  }

  /** @param size entries that are indexed */
  page(plan: QueryPlan, size: number): SentPage {
    const bounds = this.bounds(plan, size);
    if (bounds === undefined) return { items: [], nextCursor: null };
    const direction = plan.order;
    const budget = new WorkBudget(this.maxSteps);
    const lists = plan.conditions.map(condition => this.seekOf(condition, direction, budget));
    const isInTime = this.timeCheck(plan, budget);
    const items: SentLeaf[] = [];
    let bytes = 0;
    const end = walk(
      {
        direction,
        within: [
          ...lists.filter((_, at) => plan.conditions[at]?.negated === false),
          // Events have no fact `decision`; without this, a query that only negates would list them too.
          ...(plan.events ? [] : [this.seekOf(ANY_DECISION, direction, budget)]),
        ],
        without: lists.filter((_, at) => plan.conditions[at]?.negated === true),
        ...bounds,
        budget,
      },
      index => {
        if (!isInTime(index)) return true;
        if (items.length >= plan.limit || bytes > MAX_PAGE_BYTES) return false;
        const leaf = this.leaf(index);
        if (leaf === undefined) return true;
        bytes += leaf.json.length;
        items.push(leaf);
        return true;
      },
    );
    if (end.finished) return { items, nextCursor: null };
    // Stopped by a match beyond the page: it belongs to the next one. Stopped by the budget: go on behind it.
    const full = items.length >= plan.limit || bytes > MAX_PAGE_BYTES;
    return { items, nextCursor: cursorAfter(full ? (items.at(-1)?.index ?? end.at) : end.at, plan) };
  }

  /** The decision with an id, if it has one of the `visible` tenants. */
  decision(id: string, tenants: readonly string[] | undefined): SentLeaf | undefined {
    const index = this.searches.asc.lookup.get(DECISION_ID, id, this.leaves.firstKept());
    if (index === undefined) return undefined;
    if (tenants !== undefined) {
      const visible: Condition = { field: 'visible', values: tenants, negated: false };
      if (this.seekOf(visible, 'asc', new WorkBudget())(index) !== index) return undefined;
    }
    return this.leaf(index);
  }

  /** The first entry that reports the outcome of a decision. */
  outcome(decision: string): SentLeaf | undefined {
    const index = this.searches.asc.lookup.get(OUTCOME_OF, decision, this.leaves.firstKept());
    return index === undefined ? undefined : this.leaf(index);
  }

  /** Undefined when retention removed it. @throws Error when the log should have it */
  private leaf(index: number): SentLeaf | undefined {
    const row = this.leaves.leaf(index);
    if (row === undefined) {
      if (index < this.leaves.firstKept()) return undefined;
      throw new Error(`entry ${index} is indexed and not in the log`);
    }
    return { index, leafHash: row.hash.toString('hex'), json: row.body.toString('utf8') };
  }

  /** Whether an entry is in the range of time; remembers the times of the block that it looked at last. */
  private timeCheck({ from, to }: QueryPlan, budget: WorkBudget): (index: number) => boolean {
    if (from === undefined && to === undefined) return () => true;
    let block: number | undefined;
    let times: Buffer | undefined;
    return index => {
      if (blockOf(index) !== block) {
        budget.spendRead();
        block = blockOf(index);
        times = this.timesOf.get(block);
      }
      const time = times?.readDoubleLE((index % BLOCK_ENTRIES) * Float64Array.BYTES_PER_ELEMENT);
      return time !== undefined && (from === undefined || time >= from) && (to === undefined || time < to);
    };
  }

  /** First and last index that can match, in the order of the walk; undefined when none can. */
  private bounds(plan: QueryPlan, size: number): { start: number; end: number } | undefined {
    const { from, to, order, after } = plan;
    let low = this.leaves.firstKept();
    let high = size - 1;
    if (from !== undefined || to !== undefined) {
      const range = this.blocksIn.get(from ?? Number.MIN_SAFE_INTEGER, to ?? Number.MAX_SAFE_INTEGER);
      low = Math.max(low, (range?.first ?? size) * BLOCK_ENTRIES);
      high = Math.min(high, (range?.last ?? -1) * BLOCK_ENTRIES + BLOCK_ENTRIES - 1);
    }
    if (after !== undefined && order === 'asc') low = Math.max(low, after + 1);
    if (after !== undefined && order === 'desc') high = Math.min(high, after - 1);
    if (low > high) return undefined;
    return order === 'asc' ? { start: low, end: high } : { start: high, end: low };
  }

  private seekOf(condition: Condition, direction: Direction, budget: WorkBudget): Seek {
    const { posting, lookup } = this.searches[direction];
    const { field, values } = condition;
    if (LOOKUP_FIELDS.has(field)) {
      const seeks = values.map(
        (value): Seek =>
          start =>
            lookup.get(field, value, start),
      );
      return union(
        seeks.map(seek => countedSeek(seek, direction, budget)),
        direction,
      );
    }
    const terms = new Set(values.flatMap(value => this.termsOf.all(field, value, field, value)));
    return union(
      [...terms].map(term => postingSeek(block => posting.get(term, block), direction, budget)),
      direction,
    );
  }
}

const ANY_DECISION: Condition = { field: 'decision', values: ['allow', 'deny'], negated: false };

function prepareSearches(db: Database, compare: '>=' | '<=', order: 'ASC' | 'DESC'): Searches {
  return {
    posting: db.prepare(
      `SELECT block, slots FROM posting WHERE term = ? AND block ${compare} ? ORDER BY block ${order} LIMIT 1`,
    ),
    lookup: db
      .prepare<[string, string, number], number>(
        `SELECT idx FROM lookup WHERE field = ? AND value = ? AND idx ${compare} ? ORDER BY idx ${order} LIMIT 1`,
      )
      .pluck(),
  };
}
