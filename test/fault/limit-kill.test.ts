/** kill -9 under load: a budget admits not one call too many, and what the log knows is counted, neither more nor less. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { makeFolder } from '../store/sqlite/sqlite-log.ts';
import { readWholeLog } from '../store/sqlite/whole-log.ts';

const KILLS = 8;
const BUDGET = 4_000;
/** Calls that a child may make while its kill is on the way: far from all that is left of the budget. */
const MEANWHILE = 200;
const CHILD = fileURLToPath(new URL('./limit-child.ts', import.meta.url));

const folder = makeFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the child until it has acknowledged so many calls, then kills it. @returns its lines */
async function run(killAfter: number, firstSequence: number): Promise<string[]> {
  const args = [folder, firstSequence, BUDGET, killAfter + MEANWHILE].map(String);
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length >= killAfter && child.signalCode === null) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe(killAfter === Number.POSITIVE_INFINITY ? null : 'SIGKILL');
  return lines;
}

test(`a budget of ${BUDGET} admits at most ${BUDGET} calls over ${KILLS} kills`, {
  timeout: 240_000,
}, async () => {
  const acknowledged = new Set<string>();
  for (let round = 0; round < KILLS; round++) {
    for (const id of await run(20 + ((round * 97) % 250), round * 1_000_000)) acknowledged.add(id);
  }
  const last = await run(Number.POSITIVE_INFINITY, KILLS * 1_000_000);
  const full = last.pop();
  for (const id of last) acknowledged.add(id);
  const { ids } = await readWholeLog(folder);
  const decided = new Set(ids.filter(id => !id.startsWith('log.')));
  expect(acknowledged.size).toBeGreaterThan(BUDGET / 2);
  expect(acknowledged.size).toBeLessThanOrEqual(BUDGET);
  expect([...acknowledged].filter(id => !decided.has(id))).toEqual([]);
  // entries that were durable when their process died count, though nobody was told
  expect(full).toBe(`full ${BUDGET}`);
  expect(existsSync(join(folder, 'limits.snapshot'))).toBe(true);
  process.stdout.write(`${KILLS} kills, ${acknowledged.size} of ${BUDGET} calls were told to go on\n`);
});
