/**
 * What is left of a log in a data folder, read without changing or trusting it: for the record that is made before
 * it is set aside. Invariant: a log of any form or in any state is read as far as it goes.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import type { LogRemains } from '../../decision-log/succession.ts';
import { listShards, LOG_FOLDER, shardFile } from './log-shard-name.ts';

/** Origin, size and newest signed root of the stored log; undefined when there is none. @throws Error when it cannot be read */
export function readLogRemains(folder: string): LogRemains | undefined {
  const files = existsSync(join(folder, LOG_FOLDER))
    ? listShards(folder).map(shard => shardFile(folder, shard))
    : [];
  // before it was kept in shards, the log was one file
  const former = join(folder, 'log.db');
  if (files.length === 0 && existsSync(former)) files.push(former);
  let remains: LogRemains | undefined;
  // the newest that has a checkpoint knows most; one without may be new itself
  for (const file of files.toReversed()) {
    const found = read(file);
    remains = remains === undefined ? found : { ...remains, root: found.root, size: found.size };
    if (remains.root !== undefined) return remains;
  }
  return remains;
}

function read(file: string): LogRemains {
  const db = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
  try {
    const origin = db.prepare<[], string>("SELECT value FROM meta WHERE key = 'origin'").pluck().get();
    const head = readHead(db);
    if (head !== undefined) return { origin: origin ?? '', ...head };
    const last = db.prepare<[], number | null>('SELECT max(idx) FROM leaf').pluck().get() ?? -1;
    return { origin: origin ?? '', size: last + 1, root: undefined };
  } finally {
    db.close();
  }
}

function readHead(db: Database): { size: number; root: Buffer } | undefined {
  const known = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'head'").get();
  if (known === undefined) return undefined;
  return db.prepare<[], { size: number; root: Buffer }>('SELECT size, root FROM head WHERE id = 1').get();
}
