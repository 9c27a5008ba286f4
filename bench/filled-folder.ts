/** A data folder with the world of a plan, for what is measured alone; it goes afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startService } from './process.ts';
import { fill } from './setup.ts';
import type { WorldSize } from './world.ts';

/** @param measure is given the folder, whose service has stopped, and the key of a gateway */
export async function overFilledFolder<T>(
  size: WorldSize,
  measure: (dataDir: string, key: string) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'duramen-bench-'));
  try {
    const service = await startService(dataDir, {}, false);
    const key = await fill(service, size);
    await service.stop();
    return await measure(dataDir, key);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
