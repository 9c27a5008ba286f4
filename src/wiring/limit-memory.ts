/**
 * The memory of limits over restarts: rebuilt before anything is decided, and kept short by snapshots of what the log
 * knows. Invariant: no decision is made before everything is counted that an answer was given for.
 */
import { HmacKey } from '../decision-log/hmac.ts';
import type { DecisionLog, LogJournals, LogReader, LogTree } from '../decision-log/ports.ts';
import { leafHash } from '../decision-log/leaf-hash.ts';
import type { Timers } from '../decision-log/timers.ts';
import type { Clock } from '../domain/clock.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import { type KeyAlias, keyedAlias } from '../limits/counters/key-alias.ts';
import { LimitTable } from '../limits/counters/limit-table.ts';
import { RpcClient } from '../store/sqlite/rpc.ts';
import { restoreLimits } from '../store/sqlite/limit-restore.ts';
import type { SnapshotApi } from '../store/sqlite/limit-snapshot-worker.ts';
import type { Logger } from '../telemetry/logger.ts';
import { readLimitSecret } from './data-folder.ts';

/** How often idle counters are looked for, in milliseconds, and how many at once: a fraction of a millisecond. */
const SWEEP_MS = 1_000;
const SWEEP_COUNTERS = 8_192;
/** Journals since the last snapshot that make another one: about half a second of a start. */
const SNAPSHOT_JOURNALS = 500_000;
/** Journals that are not worth one before this many milliseconds. */
const FEW_JOURNALS = 1_000;
const SNAPSHOT_MS = 900_000;

export interface LimitMemoryParts {
  /** Data folder. */
  readonly folder: string;
  readonly log: Pick<DecisionLog, 'origin' | 'size'>;
  readonly journals: LogJournals;
  readonly reader: Pick<LogReader, 'leaf'>;
  readonly tree: Pick<LogTree, 'firstKept'>;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class LimitMemory {
  readonly table: LimitTable;
  readonly #parts: LimitMemoryParts;
  /** Journals that became durable since the last snapshot. */
  #journals: number;
  #snapshotAt: number;
  #writing: Promise<boolean> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;

  private constructor(parts: LimitMemoryParts, table: LimitTable, journals: number) {
    this.#parts = parts;
    this.table = table;
    this.#journals = journals;
    this.#snapshotAt = parts.clock.monotonic();
    parts.journals.listen(journal => {
      this.#journals += 1;
      table.confirm(journal);
    });
    this.#schedule();
  }

  /** @throws AppError with what to do when what was counted cannot be known */
  static async open(parts: LimitMemoryParts): Promise<LimitMemory> {
    const { folder, log, journals, reader, tree, random, clock, logger } = parts;
    const startedAt = clock.monotonic();
    const { rebuild, isEmpty, ignored } = await restoreLimits({
      reserve: true,
      folder,
      origin: log.origin,
      size: log.size,
      firstKept: () => tree.firstKept(),
      leafHash: async index => {
        const leaf = await reader.leaf(index);
        return leaf === undefined ? undefined : Buffer.from(leafHash(leaf)).toString('hex');
      },
      chunk: from => journals.chunk(from),
    });
    const alias = aliasUnder(readLimitSecret(folder, !isEmpty, random));
    const table = new LimitTable({ alias }, rebuild.finish());
    if (ignored !== undefined) logger.warn({ detail: ignored }, 'the snapshot of limits was not used');
    if (!isEmpty) {
      const ms = Math.round(clock.monotonic() - startedAt);
      logger.info(
        { keys: table.keys, journals: rebuild.journals, ms },
        'limits count on from where they were',
      );
    }
    return new LimitMemory(parts, table, rebuild.journals);
  }

  /**
   * Writes a snapshot of what the log knows, if anything is new. A failure is logged: without it the next start takes
   * longer. @returns whether it could be written
   */
  snapshot(): Promise<boolean> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Writes one that stands for everything that is durable now. @returns whether it could be written */
  async keep(): Promise<boolean> {
    await this.#writing;
    return this.snapshot();
  }

  /** Waits for a snapshot that is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#writing;
    await this.table.close();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.#parts.timers.after(SWEEP_MS, () => {
      this.table.sweep(this.#parts.clock.now(), SWEEP_COUNTERS);
      if (this.#isDue()) void this.snapshot();
      this.#schedule();
    });
  }

  #isDue(): boolean {
    if (this.#journals >= SNAPSHOT_JOURNALS) return true;
    const age = this.#parts.clock.monotonic() - this.#snapshotAt;
    return this.#journals >= FEW_JOURNALS && age >= SNAPSHOT_MS;
  }

  async #write(): Promise<boolean> {
    const { folder, clock, logger } = this.#parts;
    const before = this.#journals;
    let written = false;
    try {
      const thread = await RpcClient.start<SnapshotApi>({
        name: 'the snapshot of limits',
        script: new URL('../store/sqlite/limit-snapshot-worker.ts', import.meta.url),
        workerData: { folder },
      });
      try {
        await thread.call('write');
        written = true;
      } finally {
        await thread.close();
      }
    } catch (error) {
      logger.error({ err: error }, 'a snapshot of limits could not be written');
    }
    // after a failure as well: the next try comes when as much is new again, or as much time has passed
    this.#journals -= before;
    this.#snapshotAt = clock.monotonic();
    return written;
  }
}

function aliasUnder(secret: Uint8Array): KeyAlias {
  const key = new HmacKey(secret);
  return keyedAlias(text => key.mac(text, 'binary'));
}
