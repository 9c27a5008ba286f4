/**
 * Reads the log that a service of the benchmark left behind, and says what is in it: so that nobody compares two
 * services that both keep evidence, or neither.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { z } from 'zod';
import { openCheckpoint } from '../src/decision-log/checkpoint.ts';
import { leafHash } from '../src/decision-log/leaf-hash.ts';
import { ed25519Signer, ed25519Verifier } from '../src/decision-log/signed-note.ts';
import { TILE_WIDTH } from '../src/decision-log/tiles.ts';
import { packedRoot, sameHash } from '../src/decision-log/tree-hash.ts';
import { listShards, shardFile } from '../src/store/sqlite/log-shard-name.ts';
import { SIGNING_KEY_FILE } from '../src/store/sqlite/log-signing-key.ts';

/** What both logs hold alike, and what only one of them may hold; counts are of entries of decisions, tiles apart. */
export interface LogContent {
  readonly leaves: number;
  readonly decisions: number;
  /** Leaves whose stored hash is not theirs. */
  readonly wrongHashes: number;
  /** Full tiles of the lowest level. */
  readonly tiles: number;
  /** Whether the newest checkpoint is signed by the log's key and about a tree of its leaves. */
  readonly signed: boolean;
  readonly principalsInClear: number;
  readonly addressesInClear: number;
  readonly hashesInClear: number;
  /** Entries with a commitment and a sealed opening. */
  readonly committed: number;
}

interface Row {
  readonly body: Buffer;
  readonly hash: Buffer;
  readonly sealed: Buffer | null;
}

const leafSchema = z.object({
  kind: z.string(),
  request: z
    .object({
      principal: z.object({ id: z.string() }),
      context: z.object({ ip: z.string().optional(), _sd: z.array(z.string()).optional() }),
      inputDigest: z.object({ mac: z.string() }),
    })
    .optional(),
});

/** The log of a service that has stopped; its first shard, which a benchmark does not fill. */
export function readLog(folder: string): LogContent {
  const [shard, ...others] = listShards(folder);
  if (shard === undefined || others.length > 0) throw new Error(`the log in ${folder} is not one shard`);
  const db = new SqliteDatabase(shardFile(folder, shard), { readonly: true });
  try {
    const count = { leaves: 0, decisions: 0, wrongHashes: 0 };
    const shown = { principalsInClear: 0, addressesInClear: 0, hashesInClear: 0, committed: 0 };
    for (const row of db.prepare<[], Row>('SELECT body, hash, sealed FROM leaf ORDER BY idx').iterate()) {
      count.leaves++;
      if (!sameHash(leafHash(row.body), row.hash)) count.wrongHashes++;
      const { kind, request } = leafSchema.parse(JSON.parse(row.body.toString()));
      if (kind !== 'decision' || request === undefined) continue;
      const { context, inputDigest, principal } = request;
      count.decisions++;
      if (principal.id.includes('/')) shown.principalsInClear++;
      if (context.ip !== undefined) shown.addressesInClear++;
      if (inputDigest.mac.startsWith('sha256:')) shown.hashesInClear++;
      if (context._sd?.length === 1 && row.sealed !== null) shown.committed++;
    }
    const tiles = db.prepare<[], number>('SELECT count(*) FROM tile WHERE level = 0').pluck().get() ?? 0;
    return { ...count, tiles, signed: isSigned(db, folder), ...shown };
  } finally {
    db.close();
  }
}

function isSigned(db: SqliteDatabase.Database, folder: string): boolean {
  const note = db.prepare<[], string>('SELECT note FROM head').pluck().get() ?? '';
  if (note === '') return false;
  const { verifierKey } = ed25519Signer(readFileSync(join(folder, SIGNING_KEY_FILE), 'utf8'));
  const { size, root } = openCheckpoint(note, ed25519Verifier(verifierKey));
  const hashes = db.prepare<[number], Buffer>('SELECT hash FROM leaf WHERE idx < ? ORDER BY idx').pluck();
  return sameHash(packedRoot(Buffer.concat(hashes.all(size))), root);
}

/** @throws Error when the log is not what a service with evidence writes */
export function requireEvidence(content: LogContent): void {
  const { leaves, decisions, tiles, signed, committed } = content;
  const isShown = content.principalsInClear + content.addressesInClear + content.hashesInClear > 0;
  const isWhole = tiles === Math.floor(leaves / TILE_WIDTH) && signed && committed === decisions;
  refuse(content, isWhole && !isShown, 'with');
}

/** @throws Error when the log is not what a service without any evidence writes */
export function requirePlain(content: LogContent): void {
  const { decisions, tiles, signed, committed } = content;
  const shown = [content.principalsInClear, content.addressesInClear, content.hashesInClear];
  const isNone = tiles === 0 && !signed && committed === 0;
  refuse(content, isNone && shown.every(count => count === decisions), 'without');
}

function refuse(content: LogContent, isRight: boolean, which: 'with' | 'without'): void {
  if (isRight && content.decisions > 0 && content.wrongHashes === 0) return;
  throw new Error(`the log ${which} evidence is none: ${JSON.stringify(content)}`);
}
