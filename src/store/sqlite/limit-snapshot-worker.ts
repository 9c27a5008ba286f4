/**
 * Entry of the thread that writes a snapshot of limits: it reads the last one and the journals since, as a start does,
 * so that what is written is what the log knows, and decisions are not held up.
 */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { writeState } from '../../limits/counters/limit-snapshot.ts';
import { JournalRows } from './journal-rows.ts';
import { LogShards } from './log-shards.ts';
import { restoreLimits } from './limit-restore.ts';
import { writeSnapshot } from './limit-snapshot-file.ts';
import { serve } from './rpc.ts';

/** Nice value of the thread. */
const NICENESS = 10;

/** What the thread does. */
export interface SnapshotApi {
  /** Writes a snapshot. @returns how many journals are new in it */
  write(): Promise<number>;
}

if (parentPort !== null) {
  const data: unknown = workerData;
  if (!isSnapshotWorkerData(data)) throw new Error('the snapshot thread was started without its data');
  const { folder } = data;
  // On Linux, process id 0 means the calling thread alone; elsewhere it would slow down the whole process.
  if (process.platform === 'linux') setPriority(0, NICENESS);
  serve<SnapshotApi>(parentPort, () => ({
    api: { write: () => writeLimits(folder) },
    close: () => undefined,
  }));
}

async function writeLimits(folder: string): Promise<number> {
  const log = LogShards.open(folder);
  const rows = new JournalRows(folder);
  try {
    const { origin } = log;
    const leafHash = (index: number): string | undefined => log.hashes(index, index + 1)[0]?.toString('hex');
    const { rebuild, next } = await restoreLimits({
      folder,
      origin,
      size: log.size(),
      firstKept: () => log.firstKept(),
      leafHash,
      chunk: from => rows.chunk(from),
    });
    if (rebuild.journals === 0) return 0;
    // Journals that came meanwhile may be in it: then the log is longer than it was.
    log.size();
    const head = { origin, size: next, leafHash: leafHash(next - 1) ?? '' };
    writeSnapshot(folder, head, writeState(rebuild.finish()));
    return rebuild.journals;
  } finally {
    rows.close();
    log.close();
  }
}

function isSnapshotWorkerData(data: unknown): data is { readonly folder: string } {
  return typeof data === 'object' && data !== null && 'folder' in data && typeof data.folder === 'string';
}
