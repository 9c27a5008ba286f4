/** Kill -9 in the middle of erasures: each is whole after the next start, or has not begun. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { entityId } from '../../src/decision-log/subject-name.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { ALL_EVENTS, AT } from '../conformance/state-backend.ts';

const PRINCIPALS = 40;
/** Erasures that are awaited before each kill, and milliseconds from then on: an erasure takes some ten of them. */
const KILLS = [
  [1, 0],
  [2, 3],
  [1, 7],
  [3, 1],
  [2, 12],
  [1, 5],
] as const;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-erase-kill-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test(`after each of ${KILLS.length} kills an erasure is whole or has not begun`, {
  timeout: 240_000,
}, async () => {
  const acknowledged = new Set<string>();
  for (const [erasures, delayMs] of KILLS) {
    for (const id of await eraseAndKill(erasures, delayMs)) acknowledged.add(id);
    const { alive, events } = await readBack();
    for (const id of acknowledged) expect(alive).not.toContain(id);
    for (let n = 0; n < PRINCIPALS; n += 1) {
      const id = `acme/victim-${n}-of-many`;
      const isErased = !alive.includes(id);
      expect([id, events.filter(name => name.startsWith(`erased ${n} `)).length]).toEqual([
        id,
        isErased ? 1 : 0,
      ]);
      expect([id, filesWith(id)]).toEqual([id, isErased ? [] : ['state.db', 'subjects.db']]);
      expect(filesWith(Buffer.alloc(32, n + 101))).toEqual(isErased ? [] : ['subjects.db']);
    }
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(KILLS.length);
});

/** What a start finds, after it has stopped again. */
async function readBack(): Promise<{ alive: readonly string[]; events: readonly string[] }> {
  const store = await StateStore.open({ folder, at: AT });
  try {
    const alive: string[] = [];
    for await (const { entities } of store.subjects.load()) alive.push(...entities.map(entityId));
    const events = await store.outbox.pending(ALL_EVENTS);
    return { alive, events: events.map(({ id }) => id) };
  } finally {
    await store.close();
  }
}

function filesWith(bytes: string | Buffer): readonly string[] {
  return readdirSync(folder).filter(name => readFileSync(join(folder, name)).includes(bytes));
}

/** @returns the principals whose erasure was acknowledged before the kill */
function eraseAndKill(erasures: number, delayMs: number): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(new URL('subject-eraser.ts', import.meta.url));
    const eraser = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    let isDoomed = false;
    eraser.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (isDoomed || idsIn(output).length < erasures) return;
      isDoomed = true;
      setTimeout(() => eraser.kill('SIGKILL'), delayMs);
    });
    eraser.once('error', reject);
    eraser.once('close', () => resolve(idsIn(output)));
  });
}

/** Of complete lines alone: a kill may cut the last one. */
function idsIn(output: string): readonly string[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter(line => line !== 'ready');
}
