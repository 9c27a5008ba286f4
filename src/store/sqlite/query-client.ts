/** Reads the decision log and its tree from the main thread; all the work is done in the query thread. */
import { loggedLeaf } from '../../decision-log/logged-leaf.ts';
import type {
  DecisionQuery,
  EventQuery,
  LoggedLeaf,
  LogReader,
  LogTree,
  Page,
  SealedOpening,
  ShardInfo,
} from '../../decision-log/ports.ts';
import type { NamedAges } from '../../decision-log/store-ages.ts';
import { type Clock, timestamp } from '../../domain/clock.ts';
import type { QueryApi } from './query-service.ts';
import type { SentLeaf, SentPage } from './query-search.ts';
import { RpcClient } from './rpc.ts';

/** How long the query thread may answer nothing, in milliseconds: a page takes a second or two at worst. */
const PATIENCE_MS = 10_000;

export interface QueryClientOptions {
  /** Data folder with a log, which the log's writer has opened before. */
  readonly folder: string;
  readonly clock: Clock;
  /** Hears when the query thread dies and when it is back. */
  readonly onHealth?: (healthy: boolean, detail: string) => void;
  /** In place of PATIENCE_MS. */
  readonly patienceMs?: number;
}

export class QueryClient implements LogReader, LogTree {
  /** Why the index was built anew at the start, when it was damaged or of another log; worth a warning. */
  readonly rebuilt: string | undefined;
  private readonly rpc: RpcClient<QueryApi>;

  private constructor(rpc: RpcClient<QueryApi>, rebuilt: string | undefined) {
    this.rpc = rpc;
    this.rebuilt = rebuilt;
  }

  /** @throws AppError STORE_UNAVAILABLE when the index can be neither opened nor built */
  static async open({
    folder,
    clock,
    onHealth,
    patienceMs = PATIENCE_MS,
  }: QueryClientOptions): Promise<QueryClient> {
    const rpc = await RpcClient.start<QueryApi>({
      name: 'the query index',
      script: new URL('./query-worker.ts', import.meta.url),
      workerData: { folder, at: timestamp(clock.now()) },
      patienceMs,
      ...(onHealth === undefined ? {} : { onHealth }),
    });
    return new QueryClient(rpc, await rpc.call('rebuilt'));
  }

  get healthy(): boolean {
    return this.rpc.healthy;
  }

  /** What is wrong with it now; undefined: nothing. */
  get problem(): string | undefined {
    return this.rpc.problem;
  }

  /** Questions that are not answered. */
  get waiting(): number {
    return this.rpc.waiting;
  }

  async decisions(query: DecisionQuery): Promise<Page<LoggedLeaf>> {
    return receivePage(await this.rpc.call('decisions', query));
  }

  async events(query: EventQuery): Promise<Page<LoggedLeaf>> {
    return receivePage(await this.rpc.call('events', query));
  }

  async decision(id: string, tenants?: readonly string[]): Promise<LoggedLeaf | undefined> {
    const leaf = await this.rpc.call('decision', id, tenants);
    return leaf === undefined ? undefined : receiveLeaf(leaf);
  }

  async outcome(id: string): Promise<LoggedLeaf | undefined> {
    const leaf = await this.rpc.call('outcome', id);
    return leaf === undefined ? undefined : receiveLeaf(leaf);
  }

  leaf(index: number): Promise<Uint8Array | undefined> {
    return this.rpc.call('leaf', index);
  }

  named(from: number, to: number): Promise<NamedAges> {
    return this.rpc.call('named', from, to);
  }

  openings(indexes: readonly number[]): Promise<ReadonlyMap<number, SealedOpening>> {
    return this.rpc.call('openings', indexes);
  }

  root(size: number): Promise<Uint8Array> {
    return this.rpc.call('root', size);
  }

  hashTile(level: number, n: number, width: number): Promise<Uint8Array> {
    return this.rpc.call('hashTile', level, n, width);
  }

  entryBundle(n: number, width: number): Promise<Uint8Array | undefined> {
    return this.rpc.call('entryBundle', n, width);
  }

  inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]> {
    return this.rpc.call('inclusionProof', index, size);
  }

  consistencyProof(from: number, to: number): Promise<readonly Uint8Array[]> {
    return this.rpc.call('consistencyProof', from, to);
  }

  firstKept(): Promise<number> {
    return this.rpc.call('firstKept');
  }

  shards(): Promise<readonly ShardInfo[]> {
    return this.rpc.call('shards');
  }

  lag(): Promise<number> {
    return this.rpc.call('lag');
  }

  close(): Promise<void> {
    return this.rpc.close();
  }
}

function receivePage({ items, nextCursor }: SentPage): Page<LoggedLeaf> {
  return { items: items.map(receiveLeaf), nextCursor };
}

function receiveLeaf({ index, leafHash, json }: SentLeaf): LoggedLeaf {
  return loggedLeaf(index, leafHash, json);
}
