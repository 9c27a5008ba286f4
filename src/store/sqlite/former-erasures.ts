/**
 * Erasures that the logs of a data folder tell which were set aside: the log in use does not have them. Invariant:
 * nothing of a log that was set aside is changed, and its entries are as far as possible read, none of them trusted.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { parseLeaf } from '../../decision-log/logged-leaf.ts';
import { listShards, LOG_FOLDER, shardFile } from './log-shard-name.ts';

/** How an entry of an erasure says so; found without parsing every entry. */
const MARK = '"kind":"audit.erase"';

/**
 * Subjects of all erasures, each once. Takes some seconds for each million entries.
 * @param folder of the logs that were set aside; it may be missing
 * @param unreadable hears of each file that cannot be read
 */
export function formerErasures(
  folder: string,
  unreadable: (file: string, error: unknown) => void,
): readonly string[] {
  const found = new Set<string>();
  for (const file of formerShards(folder)) {
    try {
      for (const one of erasuresIn(file)) found.add(one);
    } catch (error) {
      unreadable(file, error);
    }
  }
  return [...found];
}

function formerShards(folder: string): readonly string[] {
  const logs = existsSync(folder) ? readdirSync(folder).map(name => join(folder, name)) : [];
  return logs
    .filter(log => existsSync(join(log, LOG_FOLDER)))
    .flatMap(log => listShards(log).map(shard => shardFile(log, shard)));
}

function erasuresIn(file: string): readonly string[] {
  const db = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
  try {
    db.pragma('trusted_schema = OFF');
    const rows = db
      .prepare<[Buffer], string>('SELECT CAST(body AS TEXT) FROM leaf WHERE instr(body, ?) > 0')
      .pluck()
      .all(Buffer.from(MARK));
    return rows.flatMap(json => {
      const { kind, subject } = parseLeaf(json);
      return kind === 'audit.erase' && typeof subject === 'string' ? [subject] : [];
    });
  } finally {
    db.close();
  }
}
