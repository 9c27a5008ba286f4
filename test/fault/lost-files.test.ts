/** Databases that somebody removes or replaces under a running service: nothing is acknowledged that no start finds. */
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateDatabase } from '../../src/store/sqlite/state-database.ts';
import { decisionEntry, entryId } from '../decision-log/entries.ts';
import { makeFolder, newestShard, openBoth, openLog } from '../store/sqlite/sqlite-log.ts';

const AT = '2026-01-01T00:00:00.000Z';

let folder: string;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What happens to a file, under its name and that of a copy of it. */
const LOSSES: readonly [string, (file: string) => void][] = [
  ['removed', file => rmSync(file)],
  ['moved away', file => renameSync(file, `${file}.away`)],
  [
    'replaced by a copy',
    file => {
      copyFileSync(file, `${file}.copy`);
      renameSync(`${file}.copy`, file);
    },
  ],
];

describe.each(LOSSES)('a file that is %s', (_name, lose) => {
  test.each(['', '-wal'])('ends the log: shard%s', async suffix => {
    const fatal: string[] = [];
    const log = await openLog(folder, { observer: { onFatal: detail => void fatal.push(detail) } });
    await log.append(decisionEntry(0));
    lose(`${newestShard(folder)}${suffix}`);
    await expect(log.append(decisionEntry(1))).rejects.toThrow('was removed or replaced while it was in use');
    expect(fatal).toHaveLength(1);
    await log.close();
  });

  test.each(['state.db', 'state.db-wal'])('refuses changes and makes none: %s', name => {
    const state = StateDatabase.open({ folder, at: AT });
    const insert = state.db.prepare("INSERT INTO outbox (id, event) VALUES (?, '{}')");
    state.write(() => insert.run('one'));
    lose(join(folder, name));
    expect(() => state.write(() => insert.run('two'))).toThrow(
      /was removed or replaced while it was in use: put back what was there/,
    );
    expect(state.db.prepare('SELECT id FROM outbox').pluck().all()).toEqual(['one']);
    state.close();
  });
});

test('a database that is put back takes changes again', () => {
  const state = StateDatabase.open({ folder, at: AT });
  const file = join(folder, 'state.db');
  renameSync(file, `${file}.away`);
  expect(() => state.write(() => undefined)).toThrow('was removed or replaced');
  renameSync(`${file}.away`, file);
  expect(state.write(() => 'changed')).toBe('changed');
  state.close();
});

test('what was acknowledged before the write-ahead log was moved away is found when it is back', async () => {
  const log = await openLog(folder);
  await log.append(decisionEntry(0));
  const wal = `${newestShard(folder)}-wal`;
  renameSync(wal, `${wal}.away`);
  await expect(log.append(decisionEntry(1))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  await log.close();
  renameSync(`${wal}.away`, wal);
  const { reader, dispose } = await openBoth(folder);
  expect((await reader.decision(entryId(0)))?.index).toBe(0);
  await dispose();
});
