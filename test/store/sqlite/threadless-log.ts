/** The SQLite log without its threads: the same code, quick to open, for tests that open it often. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { LeafWriter } from '../../../src/decision-log/leaf.ts';
import type { QueryPlan } from '../../../src/decision-log/query-plan.ts';
import type { LogEntry } from '../../../src/domain/log-entry.ts';
import { LeafBatch } from '../../../src/store/sqlite/log-batch.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import { LogWriter, type LogWriterOptions } from '../../../src/store/sqlite/log-writer.ts';
import { readMigrations } from '../../../src/store/sqlite/migrations.ts';
import { deleteQueryDatabase, openQueryDatabase } from '../../../src/store/sqlite/query-database.ts';
import { QueryIndexer } from '../../../src/store/sqlite/query-indexer.ts';
import type { LeafSource } from '../../../src/store/sqlite/query-leaves.ts';
import { QueryPruner } from '../../../src/store/sqlite/query-pruner.ts';
import { QuerySearch } from '../../../src/store/sqlite/query-search.ts';
import { testPrivacy } from '../../decision-log/test-privacy.ts';
import { makeFolder, ORIGIN, SEED } from './sqlite-log.ts';

const MIGRATIONS = join(import.meta.dirname, '../../../migrations/sqlite');
const AT = '2026-01-01T00:00:00.000Z';
/** When batches are written, unless a test says another time. */
export const WRITTEN = Date.parse(AT);

/** Opens a writer as its thread does. */
export function openWriter(folder: string, over: Partial<LogWriterOptions> = {}): LogWriter {
  return LogWriter.open({
    folder,
    migrations: readMigrations(join(MIGRATIONS, 'log')),
    archiveMigrations: readMigrations(join(MIGRATIONS, 'log-archive')),
    newOrigin: ORIGIN,
    newSeed: SEED,
    at: AT,
    now: WRITTEN,
    say: () => undefined,
    random: size => new Uint8Array(size).fill(7),
    ...over,
  });
}

/** Appends entries as one batch. @returns the index of the first */
export function appendTo(writer: LogWriter, entries: readonly LogEntry[], now = WRITTEN): number {
  const batch = new LeafBatch();
  const leaves = new LeafWriter(testPrivacy());
  for (const entry of entries) {
    const { text, late } = leaves.write(entry);
    if (!batch.add(text, late)) throw new Error('the entries do not fit into one batch');
  }
  return writer.append({ shared: batch.shared, used: batch.used, count: batch.count, now });
}

/** The SQLite log without its threads. */
export class ThreadlessLog {
  readonly folder: string;
  /** Why the index was built anew at the last opening. */
  rebuilt: string | undefined;
  private writer: LogWriter;
  private log: LeafSource;
  /** The first entry that the log pretends to have kept; the others look as if retention had removed them. */
  private kept = 0;
  index: { db: Database; indexer: QueryIndexer; search: QuerySearch; pruner: QueryPruner };
  private readonly maxSteps: number | undefined;

  /** @param options `maxSteps`: work that one page may spend */
  constructor({ folder = makeFolder(), maxSteps }: { folder?: string; maxSteps?: number } = {}) {
    this.folder = folder;
    this.maxSteps = maxSteps;
    this.writer = openWriter(this.folder);
    this.log = this.openLog();
    this.index = this.openIndex();
  }

  append(entries: readonly LogEntry[]): number {
    return appendTo(this.writer, entries);
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
    this.writer = openWriter(this.folder);
    this.log = this.openLog();
    this.index = this.openIndex();
  }

  dispose(): void {
    this.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  close(): void {
    this.index.db.close();
    this.log.close();
    this.writer.close(WRITTEN);
  }

  /** Makes the entries before `kept` look as if retention had removed them. */
  prune(kept: number): void {
    this.kept = kept;
  }

  private openLog(): LeafSource {
    const whole = LogShards.open(this.folder);
    return {
      origin: whole.origin,
      size: () => whole.size(),
      firstKept: () => this.kept,
      rows: (from, limit) => {
        if (from < this.kept) throw new Error(`entry ${from} was removed`);
        return whole.rows(from, limit);
      },
      leaf: index => (index < this.kept ? undefined : whole.leaf(index)),
      close: () => whole.close(),
    };
  }

  private openIndex() {
    const migrations = readMigrations(join(MIGRATIONS, 'query'));
    const { db, rebuilt } = openQueryDatabase({ folder: this.folder, migrations, at: AT }, this.log);
    this.rebuilt = rebuilt;
    const indexer = new QueryIndexer(db, this.log);
    return {
      db,
      indexer,
      search: new QuerySearch(db, this.log, this.maxSteps),
      pruner: new QueryPruner(db, this.log, () => indexer.forgetTerms()),
    };
  }
}
