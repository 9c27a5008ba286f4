/**
 * The query side of the log within its worker thread. Invariants: a query sees every entry that was durable when
 * it came; a damaged index is thrown away and built anew; indexing in the background leaves the processor to
 * decisions.
 */
import SqliteDatabase, { type Database } from 'better-sqlite3';
import type { DecisionQuery, EventQuery, LogTree, SealedOpening } from '../../decision-log/ports.ts';
import { planDecisions, planEvents, type QueryPlan } from '../../decision-log/query-plan.ts';
import type { NamedAges } from '../../decision-log/store-ages.ts';
import { AppError } from '../../domain/errors.ts';
import { deleteQueryDatabase, openQueryDatabase, type QueryDatabaseOptions } from './query-database.ts';
import { BLOCK_ENTRIES } from './query-block.ts';
import { QueryIndexer } from './query-indexer.ts';
import { namedAges } from './log-naming.ts';
import { LogShards } from './log-shards.ts';
import { ShardedTree } from './log-tree.ts';
import type { LeafSource } from './query-leaves.ts';
import { QueryPruner } from './query-pruner.ts';
import { QuerySearch, type SentLeaf, type SentPage } from './query-search.ts';

/** Most entries that a query waits for, some 20 µs each; a query that would wait longer is told to come back. */
const MAX_CATCH_UP = 20_000;
/** Pause of the background indexer when it has caught up, and between chunks while the log grows, in ms. */
const IDLE_PAUSE_MS = 250;
const BUSY_PAUSE_MS = 50;
/** Entries that wait for a query or for quiet while the log grows: whole blocks cost less, a query's wait is short. */
const LAZY_ENTRIES = 4 * BLOCK_ENTRIES;

/** The methods that the main thread calls. */
export interface QueryApi extends LogTree {
  decisions(query: DecisionQuery): SentPage;
  events(query: EventQuery): SentPage;
  decision(id: string, tenants: readonly string[] | undefined): SentLeaf | undefined;
  outcome(decision: string): SentLeaf | undefined;
  leaf(index: number): Uint8Array | undefined;
  named(from: number, to: number): NamedAges;
  openings(indexes: readonly number[]): ReadonlyMap<number, SealedOpening>;
  lag(): number;
  /** Why the index was built anew at the start, if it was. */
  rebuilt(): string | undefined;
}

export class QueryService {
  readonly api: QueryApi;
  private readonly options: QueryDatabaseOptions;
  private readonly log: LogShards;
  private index: OpenIndex;
  private rebuiltBecause: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastSize = -1;

  constructor(options: QueryDatabaseOptions) {
    this.options = options;
    this.log = LogShards.open(options.folder);
    const { db, rebuilt } = openQueryDatabase(options, this.log);
    this.rebuiltBecause = rebuilt;
    this.index = openIndex(db, this.log);
    this.api = {
      ...treeApi(new ShardedTree(this.log)),
      decisions: query => this.page(planDecisions(query)),
      events: query => this.page(planEvents(query)),
      decision: (id, tenants) =>
        this.guarded(() => {
          this.catchUp();
          return this.index.search.decision(id, tenants);
        }),
      outcome: decision =>
        this.guarded(() => {
          this.catchUp();
          return this.index.search.outcome(decision);
        }),
      leaf: index => (index < this.log.size() ? this.log.leaf(index)?.body : undefined),
      named: (from, to) => namedAges(this.log, from, to),
      openings: indexes => this.openings(indexes),
      lag: () => this.log.size() - this.index.indexer.next,
      rebuilt: () => this.rebuiltBecause,
    };
    this.schedule(0);
  }

  close(): void {
    clearTimeout(this.timer);
    this.index.db.close();
    this.log.close();
  }

  private openings(indexes: readonly number[]): ReadonlyMap<number, SealedOpening> {
    this.log.size();
    const found = new Map<number, SealedOpening>();
    for (const index of indexes) {
      const opening = this.log.opening(index);
      if (opening !== undefined) found.set(index, opening);
    }
    return found;
  }

  private page(plan: QueryPlan): SentPage {
    return this.guarded(() => this.index.search.page(plan, this.catchUp()));
  }

  /** Indexes what is durable now. @returns entries that are indexed then */
  private catchUp(): number {
    const { indexer } = this.index;
    const size = this.log.size();
    const lag = size - indexer.next;
    if (lag > MAX_CATCH_UP) {
      throw new AppError(
        'NOT_READY',
        `the index of the decision log has to catch up with ${lag} entries first`,
        { retryAfterSeconds: Math.ceil(lag / MAX_CATCH_UP) },
      );
    }
    while (indexer.next < size && indexer.step() > 0);
    return indexer.next;
  }

  /** Runs on the index; when SQLite finds it damaged, replaces it and asks the caller to come back, as for a full disk. */
  private guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (isFull(error)) {
        throw new AppError(
          'STORE_UNAVAILABLE',
          'no room is left to index the newest entries of the decision log: free some disk space',
          { retryAfterSeconds: 1, cause: error },
        );
      }
      if (!isDamage(error)) throw error;
      this.replace(error.message);
      throw new AppError('NOT_READY', 'the index of the decision log was damaged and is built anew', {
        retryAfterSeconds: 1,
        cause: error,
      });
    }
  }

  private replace(reason: string): void {
    this.index.db.close();
    deleteQueryDatabase(this.options.folder);
    const { db } = openQueryDatabase(this.options, this.log);
    this.rebuiltBecause = reason;
    this.index = openIndex(db, this.log);
  }

  private schedule(pauseMs: number): void {
    this.timer = setTimeout(() => this.schedule(this.inBackground()), pauseMs).unref();
  }

  /** Indexes one chunk. @returns the pause before the next: none while nobody decides, some while the log grows */
  private inBackground(): number {
    try {
      const size = this.log.size();
      const grows = size !== this.lastSize;
      this.lastSize = size;
      const { indexer, pruner } = this.index;
      if (grows && size - indexer.next < LAZY_ENTRIES) return IDLE_PAUSE_MS;
      const indexed = this.guarded(() => indexer.step());
      const pruned = this.guarded(() => pruner.step());
      if (!pruned && (indexed === 0 || indexer.next % BLOCK_ENTRIES !== 0)) return IDLE_PAUSE_MS;
      return grows ? BUSY_PAUSE_MS : 0;
    } catch {
      // A full disk, or an index just replaced. The next query meets the same failure and reports it.
      return IDLE_PAUSE_MS;
    }
  }
}

/** The methods of a class as those of an object: a call from another thread goes by name. */
function treeApi(tree: LogTree): LogTree {
  return {
    root: size => tree.root(size),
    hashTile: (level, n, width) => tree.hashTile(level, n, width),
    entryBundle: (n, width) => tree.entryBundle(n, width),
    inclusionProof: (index, size) => tree.inclusionProof(index, size),
    consistencyProof: (from, to) => tree.consistencyProof(from, to),
    firstKept: () => tree.firstKept(),
    shards: () => tree.shards(),
  };
}

/** The index and what works on it. */
interface OpenIndex {
  readonly db: Database;
  readonly indexer: QueryIndexer;
  readonly search: QuerySearch;
  readonly pruner: QueryPruner;
}

function openIndex(db: Database, leaves: LeafSource): OpenIndex {
  const indexer = new QueryIndexer(db, leaves);
  const search = new QuerySearch(db, leaves);
  const pruner = new QueryPruner(db, leaves, () => indexer.forgetTerms());
  return { db, indexer, search, pruner };
}

function isFull(error: unknown): boolean {
  return error instanceof SqliteDatabase.SqliteError && error.code.startsWith('SQLITE_FULL');
}

function isDamage(error: unknown): error is Error {
  return error instanceof SqliteDatabase.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}
