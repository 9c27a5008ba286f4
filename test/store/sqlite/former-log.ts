/** A `log.db` as the version before the tree wrote it. */
import { cpSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { leafHash } from '../../../src/decision-log/leaf-hash.ts';
import { migrate } from '../../../src/store/sqlite/migrations.ts';
import { entryId } from '../../decision-log/entries.ts';
import { ORIGIN } from './sqlite-log.ts';

const AT = '2025-12-01T00:00:00.000Z';
const MIGRATION = join(import.meta.dirname, '../../../migrations/sqlite/log/0001_leaves.sql');

/** @param leaf of a sequence; by default an event @returns the leaves, as text */
export function makeFormerLog(
  folder: string,
  entries: number,
  leaf: (sequence: number) => string = formerLeaf,
  closed = true,
): string[] {
  mkdirSync(folder, { recursive: true });
  const db = new SqliteDatabase(join(folder, 'log.db'));
  db.pragma('page_size = 8192');
  db.pragma('journal_mode = WAL');
  const sql = readFileSync(MIGRATION, 'utf8');
  migrate(db, [{ number: 1, name: '0001_leaves.sql', sql, breaking: false }], AT);
  const meta = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  meta.run('origin', ORIGIN);
  meta.run('format', '1');
  const insert = db.prepare('INSERT INTO leaf (idx, body, hash) VALUES (?, ?, ?)');
  const bodies = Array.from({ length: entries }, (_, at) => leaf(at));
  db.transaction(() => {
    for (const [at, body] of bodies.entries()) {
      const bytes = Buffer.from(body);
      insert.run(at, bytes, leafHash(bytes));
    }
  })();
  const names = ['log.db', 'log.db-wal'].map(name => join(folder, name));
  if (!closed) for (const name of names) cpSync(name, `${name}.kept`);
  db.close();
  if (!closed) for (const name of names) renameSync(`${name}.kept`, name);
  return bodies;
}

export function formerLeaf(sequence: number): string {
  return (
    `{"actor":"system","details":{"version":"0.1.0"},"id":"${entryId(sequence)}","kind":"service.start",` +
    `"subject":"service","time":${Date.parse(AT) + sequence},"v":1}`
  );
}
