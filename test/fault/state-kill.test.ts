/** Kill -9 while the state store commits: what was acknowledged is there, and nothing is there by half. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT, collect, pendingIds } from '../conformance/state-backend.ts';

const KILLS = 6;
/** Commits that are awaited before each kill; different, so that the kill hits different moments. */
const COMMITS = [3, 20, 7, 41, 12, 29];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-kill-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test(`after each of ${KILLS} kills every acknowledged revision is whole, and the folder is free`, {
  timeout: 240_000,
}, async () => {
  let acknowledged = 0;
  for (const commits of COMMITS.slice(0, KILLS)) {
    acknowledged = await writeAndKill(acknowledged + commits);
    const store = await StateStore.open({ folder, at: AT });
    try {
      const revision = await store.directory.revision();
      expect(revision).toBeGreaterThanOrEqual(acknowledged);
      const live = await collect(store.directory.load());
      const numbers = [...live.values()].map(record => Number(record.attributes['n']));
      expect(numbers.sort((a, b) => a - b)).toEqual([
        ...Array.from({ length: revision }, (_, at) => at + 1),
        revision,
        revision,
      ]);
      expect(await pendingIds(store)).toEqual(Array.from({ length: revision }, (_, at) => `e${at + 1}`));
      acknowledged = revision;
    } finally {
      await store.close();
    }
  }
});

/** @returns the last revision that the writer acknowledged before it was killed */
function writeAndKill(killAt: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const writer = spawn(
      process.execPath,
      [fileURLToPath(new URL('state-writer.ts', import.meta.url)), folder],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let output = '';
    writer.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (lastRevision(output) >= killAt) writer.kill('SIGKILL');
    });
    writer.once('error', reject);
    writer.once('close', () => resolve(lastRevision(output)));
  });
}

/** Of complete lines alone: a kill may cut the last one. */
function lastRevision(output: string): number {
  const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
  return Number(lines.at(-2) ?? 0);
}
