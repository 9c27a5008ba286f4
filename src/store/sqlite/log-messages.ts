/** What the main thread and the log writer's thread say to each other. Each `batch` and `probe` gets one reply. */
import type { ErrorCode } from '../../domain/errors.ts';

export interface LogWorkerData {
  readonly folder: string;
  readonly newOrigin: string;
  readonly at: string;
  readonly maxPages?: number;
}

export function isLogWorkerData(data: unknown): data is LogWorkerData {
  return typeof data === 'object' && data !== null && 'folder' in data && 'newOrigin' in data && 'at' in data;
}

export type ToLogWorker =
  | { readonly kind: 'batch'; readonly shared: SharedArrayBuffer; readonly used: number }
  /** Tries whether writing works; `at` is RFC 3339. */
  | { readonly kind: 'probe'; readonly at: string }
  | { readonly kind: 'close' };

export type FromLogWorker =
  | {
      readonly kind: 'ready';
      readonly origin: string;
      readonly size: number;
      readonly newerMigrations: readonly string[];
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  /** The batch is durable; its first entry has index `first`. `commitMs` covers inserts, hashes and the flush. */
  | { readonly kind: 'committed'; readonly first: number; readonly commitMs: number }
  | { readonly kind: 'failed'; readonly message: string; readonly fatal: boolean }
  | { readonly kind: 'probed' }
  | { readonly kind: 'checkpointed'; readonly checkpointMs: number; readonly walBytes: number };
