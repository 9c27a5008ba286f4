/** kill -9 under load: whatever was acknowledged is in the log after a restart, and the log has no gap. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { listShards } from '../../src/store/sqlite/log-shard-name.ts';
import { makeFolder, openBoth } from '../store/sqlite/sqlite-log.ts';
import { readWholeLog } from '../store/sqlite/whole-log.ts';

const KILLS = 20;
const CHILD = fileURLToPath(new URL('./log-child.ts', import.meta.url));

const folder = makeFolder();
let signed = 0;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the child on the folder until it has acknowledged `answers` entries, then kills it. */
async function killAfter(answers: number, firstSequence: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [CHILD, folder, String(firstSequence)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    // Lines that were in the pipe when the child died still count: it had acknowledged them.
    const match = /^(\S+-\S+) (\d+)$/.exec(line);
    if (match !== null) acknowledged.set(match[1] ?? '', Number(match[2]));
    if (acknowledged.size >= answers && child.signalCode === null) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  return acknowledged;
}

test(`every acknowledged entry survives ${KILLS} kills under load, and indexes have no gap`, {
  timeout: 240_000,
}, async () => {
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < KILLS; round++) {
    for (const [id, index] of await killAfter(20 + ((round * 97) % 400), round * 1_000_000)) {
      acknowledged.set(id, index);
    }
    const { ids, checkpoints } = await readWholeLog(folder);
    signed = checkpoints;
    const lost = [...acknowledged].filter(([id, index]) => ids[index] !== id);
    expect({ round, lost }).toEqual({ round, lost: [] });
  }
  const { log, reader, dispose } = await openBoth(folder);
  expect(log.size).toBe((await readWholeLog(folder)).size);
  const last = [...acknowledged].slice(-50);
  for (const [id, index] of last) expect((await reader.decision(id))?.index).toBe(index);
  expect(listShards(folder).length).toBeGreaterThan(KILLS / 2);
  process.stdout.write(
    `${KILLS} kills, ${acknowledged.size} acknowledged entries, none lost, ` +
      `${listShards(folder).length} shards, ${signed} checkpoints verified\n`,
  );
  await dispose();
});
