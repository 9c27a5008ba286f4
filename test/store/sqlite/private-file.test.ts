/** Databases are readable for their owner alone, with everything that SQLite puts beside them. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { makePrivate } from '../../../src/store/sqlite/private-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'duramen-private-'));
afterEach(() => rmSync(folder, { recursive: true }));

test('a database and its write-ahead log are for their owner, even under a loose umask', () => {
  const before = process.umask(0);
  try {
    const file = join(folder, 'one.db');
    makePrivate(file);
    const db = new SqliteDatabase(file);
    db.pragma('journal_mode = WAL');
    db.exec('CREATE TABLE one (x)');
    expect(readdirSync(folder).toSorted()).toEqual(['one.db', 'one.db-shm', 'one.db-wal']);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    db.close();
  } finally {
    process.umask(before);
  }
});
