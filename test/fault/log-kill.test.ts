/** kill -9 under load: whatever was acknowledged is in the log after a restart, and the log has no gap. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import { openLogForReading } from '../../src/store/sqlite/query-leaves.ts';
import { makeFolder, openBoth } from '../store/sqlite/sqlite-log.ts';

const KILLS = 20;
const CHILD = fileURLToPath(new URL('./log-child.ts', import.meta.url));

const folder = makeFolder();
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

/** Id by index, after checking every hash and that no index is missing. */
function readLog(): string[] {
  const db = openLogForReading(folder);
  try {
    const rows = db
      .prepare<[], { idx: number; body: Buffer; hash: Buffer }>(
        'SELECT idx, body, hash FROM leaf ORDER BY idx',
      )
      .all();
    return rows.map(({ idx, body, hash }, at) => {
      if (idx !== at) throw new Error(`index ${at} is missing`);
      if (!hash.equals(leafHash(body))) throw new Error(`entry ${at} does not match its hash`);
      const { id } = parseLeaf(body.toString('utf8'));
      return typeof id === 'string' ? id : '';
    });
  } finally {
    db.close();
  }
}

test(`every acknowledged entry survives ${KILLS} kills under load, and indexes have no gap`, {
  timeout: 240_000,
}, async () => {
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < KILLS; round++) {
    for (const [id, index] of await killAfter(20 + ((round * 97) % 400), round * 1_000_000)) {
      acknowledged.set(id, index);
    }
    const ids = readLog();
    const lost = [...acknowledged].filter(([id, index]) => ids[index] !== id);
    expect({ round, lost }).toEqual({ round, lost: [] });
  }
  const { log, reader, dispose } = await openBoth(folder);
  expect(log.size).toBe(readLog().length);
  const last = [...acknowledged].slice(-50);
  for (const [id, index] of last) expect((await reader.decision(id))?.index).toBe(index);
  process.stdout.write(`${KILLS} kills, ${acknowledged.size} acknowledged entries, none lost\n`);
  await dispose();
});
