/** What a log is checked for before it is written. */
import SqliteDatabase from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { compareVersions, MIN_SQLITE_VERSION, refuseOldSqlite } from '../../../src/store/sqlite/log-check.ts';

describe('compareVersions', () => {
  test.each<[string, string, -1 | 0 | 1]>([
    ['3.51.3', '3.51.3', 0],
    ['3.51.2', '3.51.3', -1],
    ['3.54.1', '3.51.3', 1],
    ['3.9.9', '3.51.3', -1],
    ['4.0', '3.51.3', 1],
    ['3.51', '3.51.0', 0],
  ])('%s and %s', (one, other, sign) => {
    expect(Math.sign(compareVersions(one, other))).toBe(sign);
    expect(Math.sign(compareVersions(other, one)) + sign).toBe(0);
  });
});

test('the SQLite of this installation is new enough to be trusted with a log', () => {
  const db = new SqliteDatabase(':memory:');
  expect(() => refuseOldSqlite(db)).not.toThrow();
  db.close();
  expect(compareVersions(MIN_SQLITE_VERSION, '3.51.3')).toBe(0);
});
