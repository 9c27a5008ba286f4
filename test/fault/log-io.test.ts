/** The disk fails under load, in the system calls of the writer itself: what was acknowledged stays, nothing forks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appendTo, openWriter } from '../store/sqlite/threadless-log.ts';
import { readWholeLog } from '../store/sqlite/whole-log.ts';
import { decisionEntry } from '../decision-log/entries.ts';
import { type Injected, runInjected, whyNoStrace } from './strace.ts';

const CHILD = fileURLToPath(new URL('./log-child.ts', import.meta.url));
/** Entries that the child tries to append; its shards have a hundred. */
const TRIES = 600;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-io-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function underLoad(...inject: readonly string[]): Promise<Injected> {
  return runInjected(inject, [CHILD, folder, '0', String(TRIES)]);
}

/** Index by id of what the child was told is durable. */
function acknowledged({ stdout }: Injected): Map<string, number> {
  return new Map(
    [...stdout.matchAll(/^(\S+-\S+) (\d+)$/gm)].map(([, id = '', index]) => [id, Number(index)]),
  );
}

/** Everything that was acknowledged is where it was said to be, and the log goes on. */
async function expectWhole(run: Injected): Promise<void> {
  const writer = openWriter(folder);
  appendTo(writer, [decisionEntry(999_999)]);
  writer.close(0);
  const { ids } = await readWholeLog(folder);
  const lost = [...acknowledged(run)].filter(([id, index]) => ids[index] !== id);
  expect(lost).toEqual([]);
}

const missing = whyNoStrace();
if (missing !== undefined && process.env['CI'] !== undefined) throw new Error(missing);

describe.skipIf(missing !== undefined)('under load', () => {
  test.each([
    ['a flush', 'fsync,fdatasync:error=EIO:when=60+'],
    ['a single flush', 'fsync,fdatasync:error=EIO:when=75'],
    ['a write', 'pwrite64:error=EIO:when=400+'],
    ['a single write', 'pwrite64:error=EIO:when=500'],
  ])('%s that fails ends all writing until a restart', { timeout: 60_000 }, async (_name, inject) => {
    const run = await underLoad(inject);
    expect(acknowledged(run).size).toBeGreaterThan(10);
    expect(run.stdout).toContain('! LOG_UNAVAILABLE');
    expect(run.stdout).toMatch(/^end .*restart duramen$/m);
    await expectWhole(run);
  });

  test('a disk that is full for a while refuses entries for a while', { timeout: 60_000 }, async () => {
    const run = await underLoad('pwrite64:error=ENOSPC:when=400..404');
    expect(run.stdout).toContain('! LOG_UNAVAILABLE');
    expect(run.stdout).toMatch(/^end ok$/m);
    // It took entries again, in the same process.
    const lastRefusal = run.stdout.lastIndexOf('! LOG_UNAVAILABLE');
    expect(run.stdout.slice(lastRefusal)).toMatch(/^\S+-\S+ \d+$/m);
    await expectWhole(run);
  });

  test('a shard that cannot get its name at once gets it later', { timeout: 60_000 }, async () => {
    // The first two are the first shard and its key.
    const run = await underLoad('rename:error=ENOSPC:when=3..4');
    expect(run.stdout).toContain('! LOG_UNAVAILABLE');
    expect(run.stdout).toMatch(/^end ok$/m);
    expect(acknowledged(run).size).toBeGreaterThan(TRIES / 4);
    await expectWhole(run);
  });
});
