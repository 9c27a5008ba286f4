/** Reads a whole log from its files and holds every part of it against the others; for tests of faults. */
import SqliteDatabase from 'better-sqlite3';
import { expect } from 'vitest';
import { openCheckpoint } from '../../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../../src/decision-log/frontier.ts';
import { leafHash } from '../../../src/decision-log/leaf-hash.ts';
import { parseLeaf } from '../../../src/decision-log/logged-leaf.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../../src/decision-log/signed-note.ts';
import { listShards, shardFile } from '../../../src/store/sqlite/log-shard-name.ts';
import { LogShards } from '../../../src/store/sqlite/log-shards.ts';
import { ShardedTree } from '../../../src/store/sqlite/log-tree.ts';
import { ORIGIN, SEED } from './sqlite-log.ts';

/** The key of the logs of tests. */
export const VERIFIER_KEY = ed25519Signer(formatSignerKey(ORIGIN, SEED)).verifierKey;

export interface WholeLog {
  readonly size: number;
  readonly firstKept: number;
  /** Of the entries that are kept, by index minus `firstKept`. */
  readonly ids: readonly string[];
  /** How many signed checkpoints were verified. */
  readonly checkpoints: number;
  /** Tree head of the whole log, hex. */
  readonly root: string;
}

/** @throws Error, or fails the test, when an entry is missing, or leaves, tiles and checkpoints do not fit together */
export async function readWholeLog(folder: string): Promise<WholeLog> {
  const shards = LogShards.open(folder);
  try {
    const tree = new ShardedTree(shards);
    const size = shards.size();
    const firstKept = shards.firstKept();
    const ids: string[] = [];
    const hashes: Buffer[] = [];
    for (let index = firstKept; index < size; index++) {
      const leaf = shards.leaf(index);
      if (leaf === undefined) throw new Error(`index ${index} is missing`);
      if (!leaf.hash.equals(leafHash(leaf.body))) throw new Error(`entry ${index} does not match its hash`);
      hashes.push(leaf.hash);
      const { id } = parseLeaf(leaf.body.toString('utf8'));
      ids.push(typeof id === 'string' ? id : '');
    }
    const root = hex(await tree.root(size));
    expect(root).toBe(await rootOf(tree, firstKept, hashes));
    return { size, firstKept, ids, checkpoints: await checkSigned(folder, tree, size), root };
  } finally {
    shards.close();
  }
}

/** The root from the tiles of what was removed and the leaves of what is kept. */
async function rootOf(tree: ShardedTree, firstKept: number, hashes: readonly Buffer[]): Promise<string> {
  const frontier = new Frontier();
  for (let index = 0; index < firstKept; index++) {
    const tile = await tree.hashTile(0, Math.floor(index / 256), (index % 256) + 1);
    frontier.append(tile.subarray(-32));
  }
  for (const hash of hashes) frontier.append(hash);
  return hex(frontier.root());
}

/** Every checkpoint on the disk is the tree of the entries before it; none is ahead of the entries. */
async function checkSigned(folder: string, tree: ShardedTree, size: number): Promise<number> {
  const verifier = ed25519Verifier(VERIFIER_KEY);
  let count = 0;
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
      expect(hex(openCheckpoint(head.note, verifier).root)).toBe(hex(await tree.root(head.size)));
    }
    count += heads.length;
  }
  return count;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
