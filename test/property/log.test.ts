/** The SQLite log answers like the one in memory, whatever is appended, asked, closed, lost or cut short. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { leafText } from '../../src/decision-log/leaf.ts';
import {
  DECISION_FILTERS,
  type DecisionFilterName,
  type DecisionQuery,
  type EventQuery,
  type ValueFilter,
} from '../../src/decision-log/ports.ts';
import { planDecisions, planEvents, type QueryPlan } from '../../src/decision-log/query-plan.ts';
import { EVENT_KINDS, type LogEntry } from '../../src/domain/log-entry.ts';
import { LEVELS, REASON_CODES } from '../../src/domain/reason.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { LeafBatch } from '../../src/store/sqlite/log-batch.ts';
import { LogWriter } from '../../src/store/sqlite/log-writer.ts';
import { readMigrations } from '../../src/store/sqlite/migrations.ts';
import {
  deleteQueryDatabase,
  openLogForReading,
  openQueryDatabase,
} from '../../src/store/sqlite/query-database.ts';
import { QueryIndexer } from '../../src/store/sqlite/query-indexer.ts';
import { QuerySearch } from '../../src/store/sqlite/query-search.ts';
import { arbitraryEntries, entryId, halfMinutes, TIME } from '../decision-log/entries.ts';
import { makeFolder, ORIGIN } from '../store/sqlite/sqlite-log.ts';

const MIGRATIONS = join(import.meta.dirname, '../../migrations/sqlite');
const AT = '2026-01-01T00:00:00.000Z';

const VALUES: Readonly<Record<DecisionFilterName, readonly string[]>> = {
  tenant: ['acme', 'beta', 'none'],
  principal: ['acme/alice', 'User::acme/alice', 'beta/a,b', 'Agent::gamma/!odd', 'x'],
  model: ['acme/llm', 'beta/llm', 'x'],
  action: ['generate', 'invoke', 'x'],
  decision: ['allow', 'deny'],
  code: REASON_CODES.slice(0, 5),
  policy: ['p1', 'p2', 'x'],
  bundle: ['b1', 'b3', 'x'],
  requestId: ['r1', 'r2', 'x'],
  level: LEVELS,
};

function filterOf(values: readonly string[]): fc.Arbitrary<ValueFilter> {
  return fc.record({
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
    negated: fc.boolean(),
  });
}

const ranges = {
  from: halfMinutes.map(offset => TIME + offset),
  to: halfMinutes.map(offset => TIME + offset),
  tenants: fc.uniqueArray(fc.constantFrom('acme', 'beta', 'gamma', 'none'), { maxLength: 2 }),
  limit: fc.integer({ min: 1, max: 7 }),
  order: fc.constantFrom('asc', 'desc'),
};

const decisionQuery: fc.Arbitrary<DecisionQuery> = fc.record(
  {
    ...ranges,
    filters: fc
      .uniqueArray(fc.constantFrom(...DECISION_FILTERS), { maxLength: 3 })
      .chain(names => fc.tuple(...names.map(name => fc.tuple(fc.constant(name), filterOf(VALUES[name])))))
      .map((pairs): DecisionQuery['filters'] => Object.fromEntries(pairs)),
  },
  { requiredKeys: ['filters', 'limit', 'order'] },
);

const eventQuery: fc.Arbitrary<EventQuery> = fc.record(
  { ...ranges, kind: filterOf(EVENT_KINDS) },
  { requiredKeys: ['limit', 'order'] },
);

type Command =
  | { readonly kind: 'append'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'decisions'; readonly query: DecisionQuery }
  | { readonly kind: 'events'; readonly query: EventQuery }
  | { readonly kind: 'reopen' | 'lose index' | 'checkpoint' };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: arbitraryEntries.map((entries): Command => ({ kind: 'append', entries })) },
  { weight: 4, arbitrary: decisionQuery.map((query): Command => ({ kind: 'decisions', query })) },
  { weight: 2, arbitrary: eventQuery.map((query): Command => ({ kind: 'events', query })) },
  fc.constantFrom<Command>({ kind: 'reopen' }, { kind: 'lose index' }, { kind: 'checkpoint' }),
);

/** The SQLite log without its threads. */
class SqliteLog {
  private readonly folder = makeFolder();
  private writer: LogWriter;
  private log: Database;
  private index: { db: Database; indexer: QueryIndexer; search: QuerySearch };
  private readonly maxSteps: number;

  constructor(maxSteps: number) {
    this.maxSteps = maxSteps;
    this.writer = this.openWriter();
    this.log = openLogForReading(this.folder);
    this.index = this.openIndex();
  }

  append(entries: readonly LogEntry[]): number {
    const batch = new LeafBatch();
    for (const entry of entries) batch.add(leafText(entry));
    return this.writer.append(batch.shared, batch.used);
  }

  /** Follows the cursors to the end. */
  all(plan: (cursor?: string) => QueryPlan): string[] {
    const { indexer, search } = this.index;
    while (indexer.step() > 0);
    const leaves: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = search.page(plan(cursor), indexer.next);
      leaves.push(...page.items.map(({ json }) => json));
      if (page.nextCursor === null) return leaves;
      if (page.nextCursor === cursor) throw new Error('a page made no progress');
      cursor = page.nextCursor;
    }
  }

  run(kind: 'reopen' | 'lose index' | 'checkpoint'): void {
    if (kind === 'checkpoint') {
      this.writer.checkpoint();
      return;
    }
    this.close();
    if (kind === 'lose index') deleteQueryDatabase(this.folder);
    this.writer = this.openWriter();
    this.log = openLogForReading(this.folder);
    this.index = this.openIndex();
  }

  dispose(): void {
    this.close();
    rmSync(this.folder, { recursive: true });
  }

  private close(): void {
    this.index.db.close();
    this.log.close();
    this.writer.close();
  }

  private openWriter(): LogWriter {
    const migrations = readMigrations(join(MIGRATIONS, 'log'));
    return LogWriter.open({ folder: this.folder, migrations, newOrigin: ORIGIN, at: AT });
  }

  private openIndex() {
    const migrations = readMigrations(join(MIGRATIONS, 'query'));
    const { db, rebuilt } = openQueryDatabase({ folder: this.folder, migrations, at: AT }, this.log);
    if (rebuilt !== undefined) throw new Error(`the index was rebuilt: ${rebuilt}`);
    return {
      db,
      indexer: new QueryIndexer(db, this.log),
      search: new QuerySearch(db, this.log, this.maxSteps),
    };
  }
}

test('the SQLite log equals the log in memory over random command sequences', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 3, maxLength: 20 }),
      fc.constantFrom(1, 250, 1_000, 10_000_000),
      async (commands, maxSteps) => {
        const sqlite = new SqliteLog(maxSteps);
        const memory = new MemoryLog(ORIGIN);
        try {
          for (const one of commands) {
            const { found, expected } = await runBoth(one, sqlite, memory);
            expect(found).toEqual(expected);
          }
        } finally {
          sqlite.dispose();
        }
      },
    ),
    { numRuns: 40 },
  );
});

async function runBoth(
  one: Command,
  sqlite: SqliteLog,
  memory: MemoryLog,
): Promise<{ found: readonly unknown[]; expected: readonly unknown[] }> {
  switch (one.kind) {
    case 'append': {
      // Decisions have ids of their own; events of two batches repeat each other.
      const entries = one.entries.map((entry, at) =>
        entry.kind === 'decision' ? { ...entry, id: entryId(1_000 + memory.size + at) } : entry,
      );
      const expected = [memory.size];
      for (const entry of entries) await memory.append(entry);
      return { found: [sqlite.append(entries)], expected };
    }
    case 'decisions': {
      const { items } = await memory.decisions({ ...one.query, limit: 1_000 });
      const plan = (cursor?: string) =>
        planDecisions(cursor === undefined ? one.query : { ...one.query, cursor });
      return { found: sqlite.all(plan), expected: items.map(({ json }) => json) };
    }
    case 'events': {
      const { items } = await memory.events({ ...one.query, limit: 1_000 });
      const plan = (cursor?: string) =>
        planEvents(cursor === undefined ? one.query : { ...one.query, cursor });
      return { found: sqlite.all(plan), expected: items.map(({ json }) => json) };
    }
    default:
      sqlite.run(one.kind);
      return { found: [], expected: [] };
  }
}
