/** Entry of the query thread. It runs at a lower priority, so that indexing never delays a decision. */
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { readMigrations } from './migrations.ts';
import type { QueryDatabaseOptions } from './query-database.ts';
import { QueryService } from './query-service.ts';
import { serve } from './rpc.ts';

/** Nice value of the query thread. */
const NICENESS = 5;

if (parentPort !== null) {
  const data: unknown = workerData;
  if (!isQueryWorkerData(data)) throw new Error('the query thread was started without its data');
  // On Linux, process id 0 means the calling thread alone; elsewhere it would slow down the whole process.
  if (process.platform === 'linux') setPriority(0, NICENESS);
  serve(parentPort, () => {
    const migrations = readMigrations(join(import.meta.dirname, '../../../migrations/sqlite/query'));
    return new QueryService({ ...data, migrations });
  });
}

function isQueryWorkerData(data: unknown): data is Omit<QueryDatabaseOptions, 'migrations'> {
  return typeof data === 'object' && data !== null && 'folder' in data && 'at' in data;
}
