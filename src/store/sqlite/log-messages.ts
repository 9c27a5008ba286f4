/**
 * What the main thread and the log writer's thread say to each other. Each `batch` and `probe` gets one reply; each
 * `ask` gets one answer with its number.
 */
import type { JournalChunk, LogExport, SignedCheckpoint } from '../../decision-log/ports.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import type { Pruning } from './log-retention.ts';

export interface LogWorkerData {
  readonly folder: string;
  readonly newOrigin: string;
  readonly newSeed: Uint8Array;
  readonly signingKey?: string;
  /** RFC 3339, and the same in milliseconds since the epoch. */
  readonly at: string;
  readonly now: number;
  readonly maxPages?: number;
  readonly shardEntries?: number;
}

export function isLogWorkerData(data: unknown): data is LogWorkerData {
  return typeof data === 'object' && data !== null && 'folder' in data && 'newOrigin' in data && 'at' in data;
}

/** A question beside the batches; times are milliseconds since the epoch. */
export type LogAsk =
  | { readonly op: 'sign'; readonly now: number }
  | { readonly op: 'prunable' | 'prune' | 'seen'; readonly before: number }
  | { readonly op: 'exports' }
  /** Journals of batches whose first leaf has at least this index. */
  | { readonly op: 'journals'; readonly from: number }
  | { readonly op: 'save'; readonly name: string; readonly acknowledged: number; readonly time: number }
  | { readonly op: 'remove'; readonly name: string };

export type LogAnswer =
  | { readonly op: 'sign'; readonly checkpoint: SignedCheckpoint }
  | { readonly op: 'prune'; readonly pruning: Pruning }
  | { readonly op: 'seen'; readonly time: number | undefined }
  | { readonly op: 'exports'; readonly exports: readonly LogExport[] }
  | { readonly op: 'save'; readonly saved: LogExport }
  | { readonly op: 'remove'; readonly existed: boolean }
  | { readonly op: 'journals'; readonly chunk: JournalChunk | undefined };

export type ToLogWorker =
  | {
      readonly kind: 'batch';
      readonly shared: SharedArrayBuffer;
      readonly used: number;
      readonly count: number;
      readonly now: number;
    }
  /** Tries whether writing works; `at` is RFC 3339. */
  | { readonly kind: 'probe'; readonly at: string }
  | { readonly kind: 'ask'; readonly id: number; readonly ask: LogAsk }
  | { readonly kind: 'close'; readonly now: number };

export type FromLogWorker =
  /** While it starts. */
  | { readonly kind: 'progress'; readonly message: string }
  | {
      readonly kind: 'ready';
      readonly origin: string;
      readonly verifierKey: string;
      readonly size: number;
      readonly newerMigrations: readonly string[];
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  /** The batch is durable; its first entry has index `first`. `commitMs` covers inserts, hashes and the flush. */
  | { readonly kind: 'committed'; readonly first: number; readonly commitMs: number }
  | { readonly kind: 'failed'; readonly message: string; readonly fatal: boolean }
  | { readonly kind: 'probed' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: LogAnswer }
  | { readonly kind: 'declined'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'checkpointed'; readonly checkpointMs: number; readonly walBytes: number };
