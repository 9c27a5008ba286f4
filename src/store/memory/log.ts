/**
 * The decision log in memory: the reference for what every backend answers, and the log of tests. Invariant:
 * entries are encoded, hashed and filtered by the same functions as in a durable log; only durability is missing.
 */
import { leafFacts, type LeafFacts } from '../../decision-log/leaf-facts.ts';
import { leafHash } from '../../decision-log/leaf-hash.ts';
import { leafBytes } from '../../decision-log/leaf.ts';
import { loggedLeaf } from '../../decision-log/logged-leaf.ts';
import type {
  DecisionLog,
  DecisionQuery,
  EventQuery,
  LoggedLeaf,
  LogPosition,
  LogReader,
  Page,
} from '../../decision-log/ports.ts';
import {
  cursorAfter,
  matches,
  planDecisions,
  planEvents,
  type QueryPlan,
} from '../../decision-log/query-plan.ts';
import { AppError } from '../../domain/errors.ts';
import type { LogEntry } from '../../domain/log-entry.ts';

interface Row {
  readonly bytes: Uint8Array;
  readonly leaf: LoggedLeaf;
  readonly facts: LeafFacts;
  /** An event that is in the log already. */
  readonly repeated: boolean;
}

export class MemoryLog implements DecisionLog, LogReader {
  readonly origin: string;
  readonly saturated = false;
  private readonly rows: Row[] = [];
  private readonly eventIds = new Set<string>();
  private closed = false;

  constructor(origin: string) {
    this.origin = origin;
  }

  get size(): number {
    return this.rows.length;
  }

  async append(entry: LogEntry): Promise<LogPosition> {
    if (this.closed) throw new AppError('LOG_UNAVAILABLE', 'the decision log is closed');
    const bytes = leafBytes(entry);
    const index = this.rows.length;
    const hash = Buffer.from(leafHash(bytes)).toString('hex');
    const leaf = loggedLeaf(index, hash, new TextDecoder().decode(bytes));
    const facts = leafFacts(leaf.content);
    const repeated = facts.isEvent && this.eventIds.has(facts.id);
    if (facts.isEvent) this.eventIds.add(facts.id);
    this.rows.push({ bytes, leaf, facts, repeated });
    return { origin: this.origin, index, size: this.rows.length };
  }

  async decisions(query: DecisionQuery): Promise<Page<LoggedLeaf>> {
    return this.page(planDecisions(query));
  }

  async events(query: EventQuery): Promise<Page<LoggedLeaf>> {
    return this.page(planEvents(query));
  }

  async decision(id: string, tenants?: readonly string[]): Promise<LoggedLeaf | undefined> {
    const found = this.rows.find(({ facts }) => !facts.isEvent && facts.id === id);
    const visible = found?.facts.values.get('visible') ?? [];
    return tenants === undefined || tenants.some(tenant => visible.includes(tenant))
      ? found?.leaf
      : undefined;
  }

  async leaf(index: number): Promise<Uint8Array | undefined> {
    return this.rows[index]?.bytes;
  }

  async lag(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private page(plan: QueryPlan): Page<LoggedLeaf> {
    const ordered = plan.order === 'asc' ? this.rows : this.rows.toReversed();
    const found = ordered.filter(
      ({ leaf, facts, repeated }) =>
        !repeated &&
        (plan.after === undefined ||
          (plan.order === 'asc' ? leaf.index > plan.after : leaf.index < plan.after)) &&
        matches(facts, plan),
    );
    const items = found.slice(0, plan.limit).map(({ leaf }) => leaf);
    const last = items.at(-1);
    return {
      items,
      nextCursor: found.length > items.length && last !== undefined ? cursorAfter(last.index, plan) : null,
    };
  }
}
