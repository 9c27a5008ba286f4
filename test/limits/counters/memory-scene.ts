/** A log on the disk with the memory of limits beside it, as the service opens them. */
import type { RandomBytes } from '../../../src/identity/key-format.ts';
import { makeLogger } from '../../../src/telemetry/logger.ts';
import { PROCESS_TIMERS } from '../../../src/wiring/anchors.ts';
import { LimitMemory } from '../../../src/wiring/limit-memory.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import type { LogClient } from '../../../src/store/sqlite/log-client.ts';
import { midweekClock } from '../../decision-log/midweek-clock.ts';
import { openLog } from '../../store/sqlite/sqlite-log.ts';

export interface OpenMemory {
  readonly log: LogClient;
  readonly memory: LimitMemory;
  /** What was logged while it was opened, and since. */
  readonly lines: readonly string[];
}

/** Shards of a hundred entries, so that journals lie in many of them. @throws what the service would refuse to start with */
export async function openMemory(folder: string, random: RandomBytes): Promise<OpenMemory> {
  const log = await openLog(folder, { shardEntries: 100 });
  const lines: string[] = [];
  try {
    const memory = await LimitMemory.open({
      folder,
      log,
      journals: log.journals,
      reader: { leaf: async index => withShards(folder, shards => shards.leaf(index)?.body) },
      tree: { firstKept: async () => withShards(folder, shards => shards.firstKept()) },
      random,
      clock: midweekClock,
      timers: PROCESS_TIMERS,
      logger: makeLogger('info', midweekClock, { write: line => lines.push(line) }),
    });
    return { log, memory, lines };
  } catch (error) {
    await log.close();
    throw error;
  }
}

function withShards<T>(folder: string, read: (shards: LogShards) => T): T {
  const shards = LogShards.open(folder);
  try {
    shards.size();
    return read(shards);
  } finally {
    shards.close();
  }
}
