/** The query index is only a copy: whatever happens to its file, the answers stay those of the leaves. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { expect, test } from 'vitest';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import { planDecisions, type QueryPlan } from '../../src/decision-log/query-plan.ts';
import { AppError } from '../../src/domain/errors.ts';
import { decisionEntry, entryId } from '../decision-log/entries.ts';
import { makeFolder, openBoth, until } from '../store/sqlite/sqlite-log.ts';
import { ThreadlessLog } from '../store/sqlite/threadless-log.ts';

const COUNT = 500;

const FAULTS: readonly [string, (file: string) => void, RegExp][] = [
  ['nothing', () => undefined, /^not rebuilt$/],
  ['was deleted', file => rmSync(file), /^not rebuilt$/],
  [
    'was cut in half',
    file => truncateSync(file, Math.floor(readFileSync(file).length / 8_192) * 4_096),
    /malformed/,
  ],
  ['is not a database', file => writeFileSync(file, 'not a database '.repeat(100)), /not a database/],
  ['is empty', file => truncateSync(file, 0), /^not rebuilt$/],
  ['is of another log', file => edit(file, "UPDATE progress SET origin = 'other'"), /another decision log/],
  [
    'is of another history of the log',
    file => edit(file, 'UPDATE progress SET last = zeroblob(32)'),
    /entry 499 of the log is another one/,
  ],
  ['is ahead of the log', file => edit(file, 'UPDATE progress SET next = 100000'), /the log was replaced/],
  [
    'is of a newer version',
    file =>
      edit(file, "INSERT INTO migration VALUES (99, '0099_newer.sql', 1, '', '2026-01-01T00:00:00.000Z')"),
    /newer version/,
  ],
];

test.each(FAULTS)('an index that %s is built again', (_name, breakIt, reason) => {
  const first = new ThreadlessLog();
  first.append(Array.from({ length: COUNT }, (_, at) => decisionEntry(at)));
  expect(first.all(everything)).toHaveLength(COUNT);
  first.close();
  breakIt(join(first.folder, 'query.db'));

  const second = new ThreadlessLog({ folder: first.folder });
  expect(second.all(everything).map(json => parseLeaf(json)['id'])).toEqual(
    Array.from({ length: COUNT }, (_, at) => entryId(at)),
  );
  expect(second.rebuilt ?? 'not rebuilt').toMatch(reason);
  second.dispose();
});

test('an index that is damaged while it is used is built again, and the caller asked to come back', async () => {
  const folder = makeFolder();
  const seed = new ThreadlessLog({ folder });
  seed.append(Array.from({ length: COUNT }, (_, at) => decisionEntry(at)));
  seed.all(everything);
  seed.close();
  // The header and the dictionary stay whole, so that opening finds nothing wrong.
  const file = join(folder, 'query.db');
  const bytes = readFileSync(file);
  bytes.fill(0xff, Math.floor(bytes.length / 2));
  writeFileSync(file, bytes);

  const { log, reader, dispose } = await openBoth(folder);
  let answer: readonly unknown[] = [];
  await until(async () => {
    try {
      answer = (await reader.decisions({ filters: {}, limit: 1_000, order: 'asc' })).items;
      return true;
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'NOT_READY')) throw error;
      return false;
    }
  });
  expect(answer).toHaveLength(COUNT);
  expect(log.size).toBe(COUNT);
  await dispose();
});

function everything(cursor?: string): QueryPlan {
  return planDecisions({
    filters: {},
    limit: 1_000,
    order: 'asc',
    ...(cursor === undefined ? {} : { cursor }),
  });
}

function edit(file: string, sql: string): void {
  const db = new SqliteDatabase(file);
  db.exec(sql);
  db.close();
}
