/** A folder for one run of the tests, in which the first service that is filled leaves its data for the others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Variable that names the folder to the processes of the run. */
export const FILLED_FOLDERS = 'TEST_FILLED_FOLDERS';

/** Called by vitest before the first test, and what it returns after the last one. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-filled-'));
  process.env[FILLED_FOLDERS] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
