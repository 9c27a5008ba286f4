/** Migrations: applied once, in order and whole; changed, foreign or newer databases are refused with a fix. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Sqlite, { type Database } from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Migration, migrate, readMigrations } from '../../../src/store/sqlite/migrations.ts';

const AT = '2026-01-01T00:00:00.000Z';

let folder: string;
let db: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-migrations-'));
  mkdirSync(join(folder, 'sql'));
  db = new Sqlite(join(folder, 'some.db'));
});

afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

function write(files: Readonly<Record<string, string>>): readonly Migration[] {
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, 'sql', name), sql);
  return readMigrations(join(folder, 'sql'));
}

function tables(): readonly string[] {
  return db
    .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => name);
}

const FIRST = { '0001_first.sql': '--! breaking\nCREATE TABLE a (x INTEGER) STRICT;' };
const SECOND = { ...FIRST, '0002_second.sql': 'CREATE TABLE b (x INTEGER) STRICT;' };

test('applies every migration once and in order', () => {
  expect(migrate(db, write(SECOND), AT)).toEqual({
    applied: ['0001_first.sql', '0002_second.sql'],
    newer: [],
  });
  expect(tables()).toEqual(['a', 'b', 'migration']);
  expect(migrate(db, write(SECOND), AT)).toEqual({ applied: [], newer: [] });
});

test('applies only what is missing', () => {
  migrate(db, write(FIRST), AT);
  expect(migrate(db, write(SECOND), AT).applied).toEqual(['0002_second.sql']);
});

test('applies all of a migration or nothing', () => {
  const broken = write({ ...FIRST, '0002_broken.sql': 'CREATE TABLE b (x INTEGER); CREATE NONSENSE;' });
  expect(() => migrate(db, broken, AT)).toThrow(/syntax error/);
  expect(tables()).toEqual(['a', 'migration']);
  expect(db.inTransaction).toBe(false);
});

test('a migration that commits by itself is a fault of the build', () => {
  expect(() => migrate(db, write({ '0001_bad.sql': 'COMMIT;' }), AT)).toThrow(/ends its own transaction/);
});

test('refuses a database that a newer version changed incompatibly, and says what to do', () => {
  const old = write(FIRST);
  migrate(db, write({ ...FIRST, '0002_next.sql': '--! breaking\nCREATE TABLE b (x INTEGER);' }), AT);
  expect(() => migrate(db, old, AT)).toThrow(
    /newer version of duramen \(migration `0002_next\.sql`\).*start the newer version, or restore a backup/,
  );
});

test('accepts a database with newer compatible migrations and names them', () => {
  const old = write(FIRST);
  migrate(db, write(SECOND), AT);
  expect(migrate(db, old, AT)).toEqual({ applied: [], newer: ['0002_second.sql'] });
});

test('refuses a recorded migration whose content changed', () => {
  migrate(db, write(FIRST), AT);
  expect(() => migrate(db, write({ '0001_first.sql': 'CREATE TABLE a (y TEXT);' }), AT)).toThrow(
    /another content of `0001_first\.sql`/,
  );
});

test('line endings of a checkout do not count as a change', () => {
  migrate(db, write(FIRST), AT);
  const crlf = write({ '0001_first.sql': FIRST['0001_first.sql'].replaceAll('\n', '\r\n') });
  expect(migrate(db, crlf, AT).applied).toEqual([]);
  expect(crlf[0]?.breaking).toBe(true);
});

test('refuses the database of another program and leaves it alone', () => {
  db.exec('CREATE TABLE theirs (x INTEGER)');
  expect(() => migrate(db, write(FIRST), AT)).toThrow(/another program/);
  expect(tables()).toEqual(['theirs']);
});

test.each([
  ['a gap', { ...FIRST, '0003_third.sql': '' }],
  ['a wrong name', { '1_first.sql': '' }],
  ['a duplicate number', { ...FIRST, '0001_other.sql': '' }],
])('%s in the folder is a fault of the build', (_name, files) => {
  expect(() => write(files)).toThrow(/expected a file `000\d_name\.sql`/);
});

test('starters at the same time apply each migration once', async () => {
  write({
    '0001_first.sql': 'CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);',
    '0002_second.sql': 'INSERT INTO a VALUES (2);',
  });
  const counts = await Promise.all(Array.from({ length: 4 }, runStarter));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(2);
  expect(db.prepare('SELECT x FROM a ORDER BY x').pluck().all()).toEqual([1, 2]);
});

function runStarter(): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('migration-starter.ts', import.meta.url), { workerData: folder });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
