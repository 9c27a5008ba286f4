/** What the main thread's side of the log is given, and what it tells. */
import type { LeafPrivacy } from '../../decision-log/leaf-privacy.ts';
import type { Clock } from '../../domain/clock.ts';

export interface LogClientOptions {
  /** Data folder; must exist. */
  readonly folder: string;
  /** Origin for a log that does not exist yet: `duramen.local/<random hex>`. A given key names its own. */
  readonly newOrigin: string;
  /** Of the signing key for a log that has none yet: 32 random bytes. */
  readonly newSeed: Uint8Array;
  /** The note signing key as text, instead of the file `log-signing-key` in the folder. */
  readonly signingKey?: string | undefined;
  readonly privacy: LeafPrivacy;
  readonly clock: Clock;
  /** Most pages of a shard, as a cap on its size. */
  readonly maxPages?: number;
  /** Most leaves of a shard; by default MAX_SHARD_ENTRIES. At least some thousands: a batch is not divided. */
  readonly shardEntries?: number | undefined;
  readonly observer?: LogObserver;
}

/** Hears what happens; for metrics and the service log. Must not throw. */
export interface LogObserver {
  /** After each commit. `commitSeconds` is the writer's time for inserts, hashes and the flush. */
  onCommit?(batch: {
    readonly entries: number;
    readonly bytes: number;
    readonly commitSeconds: number;
  }): void;
  onCheckpoint?(seconds: number): void;
  /** A start that takes long, as when a log of a former version gets its tree. */
  onProgress?(message: string): void;
  onHealth?(healthy: boolean, detail: string): void;
  /** The log cannot be written again in this process: only a restart tells what is durable. */
  onFatal?(detail: string): void;
}

/** Counters since the start. */
export interface LogStatistics {
  readonly queuedEntries: number;
  readonly queuedBytes: number;
  /** Age of the oldest entry that is not durable yet. */
  readonly oldestUnflushedSeconds: number;
  readonly writtenTotal: number;
  readonly batchesTotal: number;
  readonly refusedBackpressureTotal: number;
  readonly refusedUnavailableTotal: number;
  readonly writerRestartsTotal: number;
  /** As of the last checkpoint. */
  readonly walBytes: number;
}
