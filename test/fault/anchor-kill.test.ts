/**
 * `kill -9` while the log grows and its checkpoints leave the machine: no anchor ever holds a checkpoint that the
 * disk cannot honour, so the next start never mistakes a crash for a rollback.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parseCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { parseNote } from '../../src/decision-log/signed-note.ts';
import { startLog } from '../wiring/anchored-log.ts';

const CHILD = fileURLToPath(new URL('./anchor-child.ts', import.meta.url));
const ROUNDS = 4;
const root = mkdtempSync(join(tmpdir(), 'duramen-anchor-kill-'));
const data = join(root, 'data');
const anchor = join(root, 'checkpoint');
mkdirSync(data);
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the child until it has published `count` times, then kills it. @returns the size it published last */
async function killAfter(count: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, data, anchor], { stdio: ['ignore', 'pipe', 'inherit'] });
  let published = 0;
  let size = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    size = Number(line.replace('published ', ''));
    if (++published === count) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  return size;
}

test('a start after kill -9 finds every checkpoint that was published in its log', {
  timeout: 240_000,
}, async () => {
  for (let round = 1; round <= ROUNDS; round++) {
    const said = await killAfter(7 * round);
    const held = parseCheckpoint(parseNote(readFileSync(anchor, 'utf8')).text);
    expect(held.size).toBeGreaterThanOrEqual(said);
    const service = await startLog(data, { DURAMEN_ANCHOR_FILES: anchor });
    expect(service.log.size).toBeGreaterThanOrEqual(held.size);
    await service.stop();
  }
});
