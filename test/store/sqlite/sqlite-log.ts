/** SQLite logs in temporary folders, for tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogClient } from '../../../src/store/sqlite/log-client.ts';
import type { LogClientOptions } from '../../../src/store/sqlite/log-client-options.ts';
import { listShards, shardFile } from '../../../src/store/sqlite/log-shard-name.ts';
import { QueryClient } from '../../../src/store/sqlite/query-client.ts';
import { midweekClock } from '../../decision-log/midweek-clock.ts';
import { testPrivacy } from '../../decision-log/test-privacy.ts';

export const ORIGIN = 'duramen.test/sqlite';
/** Of the signing keys of test logs. */
export const SEED = new Uint8Array(32).fill(7);

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'duramen-log-'));
}

export function openLog(folder: string, over: Partial<LogClientOptions> = {}): Promise<LogClient> {
  return LogClient.open({
    folder,
    newOrigin: ORIGIN,
    newSeed: SEED,
    privacy: testPrivacy(),
    clock: midweekClock,
    ...over,
  });
}

/** A log with its reader; `dispose` closes both and removes the folder. */
export async function openBoth(folder = makeFolder(), over: Partial<LogClientOptions> = {}) {
  const log = await openLog(folder, over);
  const reader = await QueryClient.open({ folder, clock: midweekClock });
  return {
    folder,
    log,
    reader,
    tree: reader,
    verifierKey: log.verifierKey,
    dispose: async (): Promise<void> => {
      await reader.close();
      await log.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The file of the newest shard. */
export function newestShard(folder: string): string {
  const shard = listShards(folder).at(-1);
  if (shard === undefined) throw new Error('the folder has no log');
  return shardFile(folder, shard);
}

/** Waits until `condition` holds. @throws Error after thirty seconds */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited thirty seconds in vain');
    await new Promise(resolve => {
      setTimeout(resolve, 5);
    });
  }
}
