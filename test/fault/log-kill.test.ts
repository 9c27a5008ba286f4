/** kill -9 under load: whatever was acknowledged is in the log after a restart, and the log has no gap. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../src/decision-log/signed-note.ts';
import { listShards, shardFile } from '../../src/store/sqlite/log-shard-name.ts';
import { LogShards } from '../../src/store/sqlite/log-shards.ts';
import { ShardedTree } from '../../src/store/sqlite/log-tree.ts';
import { makeFolder, openBoth, ORIGIN, SEED } from '../store/sqlite/sqlite-log.ts';

const KILLS = 20;
const VERIFIER = ed25519Signer(formatSignerKey(ORIGIN, SEED)).verifierKey;
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

/** Id by index, after checking every hash, that no index is missing, and that what was signed is so. */
async function readLog(): Promise<string[]> {
  const shards = LogShards.open(folder);
  try {
    const size = shards.size();
    const ids = Array.from({ length: size }, (_, index) => {
      const leaf = shards.leaf(index);
      if (leaf === undefined) throw new Error(`index ${index} is missing`);
      if (!leaf.hash.equals(leafHash(leaf.body))) throw new Error(`entry ${index} does not match its hash`);
      const { id } = parseLeaf(leaf.body.toString('utf8'));
      return typeof id === 'string' ? id : '';
    });
    await checkSigned(shards, size);
    return ids;
  } finally {
    shards.close();
  }
}

/** Every checkpoint on the disk is the tree of the entries before it; none is ahead of the entries. */
async function checkSigned(shards: LogShards, size: number): Promise<void> {
  const tree = new ShardedTree(shards);
  for (const shard of listShards(folder)) {
    const db = new SqliteDatabase(shardFile(folder, shard), { readonly: true });
    const heads = db
      .prepare<[], { size: number; note: string }>(
        'SELECT size, note FROM head UNION ALL SELECT size, note FROM checkpoint',
      )
      .all();
    db.close();
    for (const head of heads) {
      expect(head.size).toBeLessThanOrEqual(size);
      const { root } = openCheckpoint(head.note, ed25519Verifier(VERIFIER));
      expect(Buffer.from(root).equals(Buffer.from(await tree.root(head.size)))).toBe(true);
    }
    signed += heads.length;
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
    const ids = await readLog();
    const lost = [...acknowledged].filter(([id, index]) => ids[index] !== id);
    expect({ round, lost }).toEqual({ round, lost: [] });
  }
  const { log, reader, dispose } = await openBoth(folder);
  expect(log.size).toBe((await readLog()).length);
  const last = [...acknowledged].slice(-50);
  for (const [id, index] of last) expect((await reader.decision(id))?.index).toBe(index);
  expect(listShards(folder).length).toBeGreaterThan(KILLS / 2);
  process.stdout.write(
    `${KILLS} kills, ${acknowledged.size} acknowledged entries, none lost, ` +
      `${listShards(folder).length} shards, ${signed} checkpoints verified\n`,
  );
  await dispose();
});
