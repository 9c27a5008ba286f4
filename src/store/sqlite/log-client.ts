/**
 * The decision log on SQLite, as the main thread sees it. Invariants: an entry's promise resolves after its
 * commit and never before; with the writer dead, failing or overrun, entries are refused, never buffered beyond
 * the queue's limits and never dropped silently.
 */
import { Worker } from 'node:worker_threads';
import { LeafWriter } from '../../decision-log/leaf.ts';
import type {
  DecisionLog,
  LogExports,
  LogJournals,
  LogPosition,
  SignedCheckpoint,
} from '../../decision-log/ports.ts';
import { timestamp } from '../../domain/clock.ts';
import { AppError, messageOf } from '../../domain/errors.ts';
import type { LogEntry } from '../../domain/log-entry.ts';
import { LogAsks } from './log-asks.ts';
import type { LogClientOptions, LogStatistics } from './log-client-options.ts';
import type { FromLogWorker, LogWorkerData, ToLogWorker } from './log-messages.ts';
import { LogQueue } from './log-queue.ts';
import type { Pruning } from './log-retention.ts';

/** First and longest pause before a dead writer is started again, in milliseconds; it doubles in between. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
/** How often a failing disk is tried again when no entry does it, in milliseconds. */
const PROBE_MS = 1_000;
/** How long `close` waits for the writer's thread to end, in milliseconds. */
const CLOSE_WAIT_MS = 10_000;
/** Longest wait of an entry for the disk before the log counts as stuck, in seconds. */
const MAX_UNFLUSHED_SECONDS = 5;
/** Seconds for Retry-After. */
const RETRY_SECONDS = 1;

/** `failing`: the disk refuses, and may take entries again; `fatal`: only a restart of the process helps. */
type Phase = 'starting' | 'running' | 'failing' | 'down' | 'fatal' | 'closing' | 'closed';

export class LogClient implements DecisionLog {
  /** Names of migrations of a newer version that this version can live with; worth a warning. */
  newerMigrations: readonly string[] = [];
  private readonly options: LogClientOptions;
  private readonly queue: LogQueue;
  private readonly leaves: LeafWriter;
  private readonly asks: LogAsks;
  private readonly counts = { written: 0, batches: 0, overrun: 0, unavailable: 0, restarts: 0, wal: 0 };
  private worker: Worker | undefined;
  private phase: Phase = 'starting';
  private detail = 'the log writer is starting';
  private logOrigin = '';
  private logKey = '';
  private durable = 0;
  private pumpScheduled = false;
  private restartMs = RESTART_MIN_MS;
  private timer: NodeJS.Timeout | undefined;
  private drained: (() => void) | undefined;
  private tellJournal: (journal: Uint8Array) => void = () => undefined;

  private constructor(options: LogClientOptions) {
    this.options = options;
    this.queue = new LogQueue(() => options.clock.monotonic());
    this.leaves = new LeafWriter(options.privacy);
    this.asks = new LogAsks((id, ask) => {
      if (this.worker === undefined || this.phase === 'fatal' || this.isClosing) throw this.refuse();
      post(this.worker, { kind: 'ask', id, ask });
    });
  }

  /** Opens or makes the log. @throws AppError with what to do when the folder or the database is not usable */
  static async open(options: LogClientOptions): Promise<LogClient> {
    const client = new LogClient(options);
    try {
      await client.launch();
    } catch (error) {
      client.phase = 'closed';
      throw error;
    }
    return client;
  }

  get origin(): string {
    return this.logOrigin;
  }

  /** The key that verifies its checkpoints: `name+id+key` (c2sp.org/signed-note). */
  get verifierKey(): string {
    return this.logKey;
  }

  get size(): number {
    return this.durable;
  }

  /** How far others have copied the log; see `prune`. */
  get exports(): LogExports {
    return this.asks;
  }

  /** What was appended with entries; see `append`. */
  get journals(): LogJournals {
    return {
      chunk: from => this.asks.journals(from),
      listen: listener => {
        this.tellJournal = listener;
      },
    };
  }

  get saturated(): boolean {
    return this.queue.saturated;
  }

  /** Whether entries can be written now; for /readyz. */
  get healthy(): boolean {
    return this.phase === 'running';
  }

  /** Why it is not healthy, or `ok`. */
  get status(): string {
    return this.healthy ? 'ok' : this.detail;
  }

  /** What stands against sending traffic: `status`, or a disk that takes entries and does not answer. Undefined: nothing. */
  get problem(): string | undefined {
    if (!this.healthy) return this.detail;
    const { oldestUnflushedSeconds } = this.statistics;
    if (oldestUnflushedSeconds <= MAX_UNFLUSHED_SECONDS) return undefined;
    return `an entry has waited for ${Math.floor(oldestUnflushedSeconds)} s to be on the disk: the disk hangs, or is far too slow`;
  }

  get statistics(): LogStatistics {
    const { counts, queue } = this;
    const { oldest } = queue;
    return {
      queuedEntries: queue.entries,
      queuedBytes: queue.bytes,
      oldestUnflushedSeconds:
        oldest === undefined ? 0 : Math.max(0, this.options.clock.monotonic() - oldest) / 1000,
      writtenTotal: counts.written,
      batchesTotal: counts.batches,
      refusedBackpressureTotal: counts.overrun,
      refusedUnavailableTotal: counts.unavailable,
      writerRestartsTotal: counts.restarts,
      walBytes: counts.wal,
    };
  }

  append(entry: LogEntry, journal?: Uint8Array): Promise<LogPosition> {
    if ((this.phase !== 'running' && this.phase !== 'failing') || this.queue.saturated) {
      return Promise.reject(this.refuse());
    }
    return new Promise((resolve, reject) => {
      // What throws here (an entry that cannot be a leaf) rejects the promise.
      this.queue.add(this.leaves.write(entry), journal, resolve, reject);
      this.schedulePump();
    });
  }

  signCheckpoint(): Promise<SignedCheckpoint> {
    return this.asks.sign(this.durable, this.options.clock.now());
  }

  /**
   * Removes the entries of whole sealed shards whose last entry is older than `before` (milliseconds since the
   * epoch), and none that an export has not acknowledged. Rejects with AppError LOG_UNAVAILABLE.
   */
  prune(before: number): Promise<Pruning> {
    return this.asks.prune('prune', before);
  }

  /** The time of the newest entry that is no younger than an instant; see log-retention.ts. */
  lastEntryBefore(time: number): Promise<number | undefined> {
    return this.asks.lastEntryBefore(time);
  }

  /** What `prune` would remove now. */
  prunable(before: number): Promise<Pruning> {
    return this.asks.prune('prunable', before);
  }

  async close(): Promise<void> {
    if (this.phase === 'closed' || this.phase === 'closing') return;
    this.phase = 'closing';
    clearTimeout(this.timer);
    if (this.queue.entries > 0) {
      await new Promise<void>(resolve => {
        this.drained = resolve;
      });
    }
    const { worker } = this;
    if (worker !== undefined) {
      await new Promise<void>(resolve => {
        const deadline = setTimeout(() => void worker.terminate(), CLOSE_WAIT_MS);
        worker.once('exit', () => {
          clearTimeout(deadline);
          resolve();
        });
        post(worker, { kind: 'close', now: this.options.clock.now() });
      });
    }
    this.phase = 'closed';
  }

  /** Entries of one turn of the event loop share a batch; no entry waits for a timer. */
  private schedulePump(): void {
    if (this.pumpScheduled || this.queue.inFlight) return;
    this.pumpScheduled = true;
    process.nextTick(() => {
      this.pumpScheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    if (this.worker === undefined) return;
    const batch = this.queue.depart();
    if (batch !== undefined) {
      const { shared, used, count } = batch;
      post(this.worker, { kind: 'batch', shared, used, count, now: this.options.clock.now() });
    } else if (this.queue.entries === 0) {
      this.drained?.();
    }
  }

  private launch(): Promise<void> {
    const { folder, newOrigin, newSeed, signingKey, clock, maxPages, shardEntries } = this.options;
    const now = clock.now();
    const data: LogWorkerData = {
      folder,
      newOrigin,
      newSeed,
      now,
      at: timestamp(now),
      ...(signingKey === undefined ? {} : { signingKey }),
      ...(maxPages === undefined ? {} : { maxPages }),
      ...(shardEntries === undefined ? {} : { shardEntries }),
    };
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./log-worker.ts', import.meta.url), { workerData: data });
      let refusal: AppError | undefined;
      let cause: unknown;
      worker.on('message', (message: FromLogWorker) => {
        if (message.kind === 'ready') {
          this.ready(worker, message);
          resolve();
        } else if (message.kind === 'refused') {
          refusal = new AppError(message.code, message.message);
        } else {
          this.receive(message);
        }
      });
      worker.on('error', error => {
        cause = error;
      });
      worker.on('exit', () => {
        const why = messageOf(cause ?? 'its thread ended');
        reject(
          refusal ?? new AppError('LOG_UNAVAILABLE', `the log writer could not start: ${why}`, { cause }),
        );
        this.workerEnded(worker, cause);
      });
    });
  }

  private ready(worker: Worker, message: Extract<FromLogWorker, { kind: 'ready' }>): void {
    this.worker = worker;
    // Closed while it was starting: nobody else will tell this thread to end.
    if (this.phase === 'closed') post(worker, { kind: 'close', now: this.options.clock.now() });
    this.logOrigin = message.origin;
    this.logKey = message.verifierKey;
    // Read from the disk: a batch that the last writer took down with it may be durable or not.
    this.durable = message.size;
    this.newerMigrations = message.newerMigrations;
    this.recover();
  }

  private receive(message: Exclude<FromLogWorker, { kind: 'ready' | 'refused' }>): void {
    switch (message.kind) {
      case 'committed': {
        const { entries, bytes } = this.queue.land(this.logOrigin, message.first, this.tellJournal);
        this.durable = message.first + entries;
        this.counts.written += entries;
        this.counts.batches++;
        this.restartMs = RESTART_MIN_MS;
        this.recover();
        this.pump();
        this.options.observer?.onCommit?.({ entries, bytes, commitSeconds: message.commitMs / 1000 });
        return;
      }
      case 'failed':
        this.fail(message.message, message.fatal);
        return;
      case 'probed':
        this.recover();
        return;
      case 'answer':
        this.asks.answered(message.id, message.answer);
        return;
      case 'declined':
        this.asks.declined(message.id, message.code, message.message);
        return;
      case 'progress':
        this.options.observer?.onProgress?.(message.message);
        return;
      case 'checkpointed':
        this.counts.wal = message.walBytes;
        this.options.observer?.onCheckpoint?.(message.checkpointMs / 1000);
    }
  }

  private fail(message: string, fatal: boolean): void {
    const error = new AppError('LOG_UNAVAILABLE', message, { retryAfterSeconds: RETRY_SECONDS });
    this.counts.unavailable += fatal ? this.queue.abandon(error) : this.queue.crash(error);
    this.decline(fatal ? 'fatal' : 'failing', message);
    clearTimeout(this.timer);
    if (this.phase === 'failing') this.timer = setTimeout(() => this.probe(), PROBE_MS).unref();
    this.pump();
  }

  private probe(): void {
    if (this.phase !== 'failing' || this.worker === undefined) return;
    post(this.worker, { kind: 'probe', at: timestamp(this.options.clock.now()) });
  }

  private workerEnded(worker: Worker, cause: unknown): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    const reason = cause === undefined ? 'it ended' : messageOf(cause);
    const message = `the log writer stopped: ${reason}`;
    // The batch in flight may be durable; its callers are told that it is unknown, and answer nobody.
    const error = new AppError('LOG_UNAVAILABLE', message, { retryAfterSeconds: RETRY_SECONDS, cause });
    this.counts.unavailable += this.queue.abandon(error);
    this.asks.abandon(error);
    this.drained?.();
    if (this.phase === 'fatal') return;
    this.decline('down', message);
    if (this.phase === 'down') this.scheduleRestart();
  }

  private scheduleRestart(): void {
    const pause = this.restartMs;
    this.restartMs = Math.min(pause * 2, RESTART_MAX_MS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.counts.restarts++;
      this.launch().catch((error: unknown) => {
        this.decline('down', messageOf(error));
        if (this.phase === 'down') this.scheduleRestart();
      });
    }, pause);
  }

  private recover(): void {
    if (this.phase === 'running' || this.phase === 'closing' || this.phase === 'closed') return;
    const first = this.phase === 'starting';
    this.phase = 'running';
    clearTimeout(this.timer);
    if (!first) this.options.observer?.onHealth?.(true, 'the decision log is written again');
  }

  private decline(phase: 'failing' | 'down' | 'fatal', detail: string): void {
    const isNews = this.phase !== phase || this.detail !== detail;
    this.detail = detail;
    if (this.phase === 'closing' || this.phase === 'closed') return;
    this.phase = phase;
    // every batch meets a full disk anew: said once, or it floods what gathers the service's own log
    if (isNews) this.options.observer?.onHealth?.(false, detail);
    if (phase === 'fatal') this.options.observer?.onFatal?.(detail);
  }

  private get isClosing(): boolean {
    return this.phase === 'closing' || this.phase === 'closed';
  }

  private refuse(): AppError {
    if (this.phase === 'running' || this.phase === 'failing') {
      this.counts.overrun++;
      return new AppError('LOG_BACKPRESSURE', `${this.queue.entries} entries wait for the decision log`, {
        retryAfterSeconds: RETRY_SECONDS,
      });
    }
    this.counts.unavailable++;
    return new AppError('LOG_UNAVAILABLE', this.isClosing ? 'the decision log is closed' : this.detail, {
      retryAfterSeconds: RETRY_SECONDS,
    });
  }
}

function post(worker: Worker, message: ToLogWorker): void {
  worker.postMessage(message, []);
}
