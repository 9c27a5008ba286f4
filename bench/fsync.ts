/** How long the machine takes to make a write durable: the floor under every durable answer. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Times of an append of 4 KiB with fdatasync. */
export interface FsyncFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const APPENDS = 300;

/**
 * Times 300 appends.
 * @param pauseMs between two of them: with one, pauses of the disk show that come once in a second
 */
export async function measureFsync(pauseMs = 0): Promise<FsyncFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-fsync-'));
  const file = openSync(join(folder, 'probe'), 'w');
  const page = Buffer.alloc(4096, 1);
  const times: number[] = [];
  for (let n = 0; n < APPENDS; n++) {
    if (pauseMs > 0) await pause(pauseMs);
    const startedAt = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(folder, { recursive: true, force: true });
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (APPENDS - 1))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
