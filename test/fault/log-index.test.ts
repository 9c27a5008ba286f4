/** The query index is only a copy: whatever happens to its file, the answers stay those of the leaves. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { expect, test } from 'vitest';
import { QueryClient } from '../../src/store/sqlite/query-client.ts';
import { decisionEntry, entryId } from '../decision-log/entries.ts';
import { clock, makeFolder, openBoth, openLog } from '../store/sqlite/sqlite-log.ts';

const COUNT = 300;

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
  ['is ahead of the log', file => edit(file, 'UPDATE progress SET next = 100000'), /the log was replaced/],
  [
    'is of a newer version',
    file =>
      edit(file, "INSERT INTO migration VALUES (2, '0002_newer.sql', 1, '', '2026-01-01T00:00:00.000Z')"),
    /newer version/,
  ],
];

test.each(FAULTS)('an index that %s is built again', async (_name, breakIt, reason) => {
  const folder = makeFolder();
  const first = await openBoth(folder);
  await Promise.all(Array.from({ length: COUNT }, (_, at) => first.log.append(decisionEntry(at))));
  await first.reader.decision(entryId(0));
  await first.reader.close();
  await first.log.close();
  breakIt(join(folder, 'query.db'));

  const log = await openLog(folder);
  const reader = await QueryClient.open({ folder, clock });
  const page = await reader.decisions({ filters: {}, limit: 1_000, order: 'asc' });
  expect(page.items.map(({ content }) => content['id'])).toEqual(
    Array.from({ length: COUNT }, (_, at) => entryId(at)),
  );
  expect(reader.rebuilt ?? 'not rebuilt').toMatch(reason);
  await reader.close();
  await log.close();
  rmSync(folder, { recursive: true });
});

function edit(file: string, sql: string): void {
  const db = new SqliteDatabase(file);
  db.exec(sql);
  db.close();
}
