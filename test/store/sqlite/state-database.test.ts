/** state.db as a file: what is durable, and which folders and databases are refused with what advice. */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../../src/domain/credential.ts';
import { StateDatabase } from '../../../src/store/sqlite/state-database.ts';
import { StateStore } from '../../../src/store/sqlite/state-client.ts';
import { AT, body, collect, commit, event, pendingIds, put } from '../../conformance/state-backend.ts';

let folder: string;
const opened: StateStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-state-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map(store => store.close()));
  rmSync(folder, { recursive: true });
});

async function open(options: { maxPages?: number } = {}): Promise<StateStore> {
  const store = await StateStore.open({ folder, at: AT, ...options });
  opened.push(store);
  return store;
}

const KEY: ApiKey = {
  id: 'k',
  hash: 'h',
  roles: ['pep'],
  description: '',
  mayAssert: true,
  createdAt: AT,
  createdBy: 'system',
};

test.each(['state', 'subjects'])('a folder that has lost %s.db and not its log is refused', async name => {
  await (await open()).close();
  mkdirSync(join(folder, 'log'));
  writeFileSync(join(folder, 'log', '2026-W47-000000000000.db'), '');
  await (await open()).close();
  const file = join(folder, `${name}.db`);
  rmSync(file);
  await expect(open()).rejects.toThrow(
    /\.db` is missing, and there is a log beside it: restore it from a backup/,
  );
  // what the message says
  writeFileSync(file, '');
  await expect(open()).resolves.toBeDefined();
});

test('everything is there again after a restart', async () => {
  const first = await open();
  await commit(first, [put('a', body({ n: 1 }))], 'e1');
  await first.keys.create(KEY, event('e2'));
  await first.idempotency.save('k', 'x', { requestHash: 'h', status: 200, headers: {}, body: '' }, 1);
  await first.close();
  const second = await open();
  expect(await second.directory.revision()).toBe(1);
  expect((await collect(second.directory.load())).get('a')).toMatchObject({
    attributes: { n: 1 },
    revision: 1,
  });
  expect(await second.keys.list()).toEqual([KEY]);
  expect(await second.idempotency.find('k', 'x')).toMatchObject({ status: 200 });
  expect(await pendingIds(second)).toEqual(['e1', 'e2']);
});

test('commits are flushed to the disk, and pages and foreign keys are checked', () => {
  const state = StateDatabase.open({ folder, at: AT });
  const pragma = (name: string): unknown => state.db.pragma(name, { simple: true });
  try {
    expect([
      pragma('journal_mode'),
      pragma('synchronous'),
      pragma('foreign_keys'),
      pragma('cell_size_check'),
    ]).toEqual(['wal', 2, 1, 1]);
  } finally {
    state.close();
  }
});

test('a change that throws after it has written leaves no trace, and the next one is written', () => {
  const state = StateDatabase.open({ folder, at: AT });
  const add = (revision: number): unknown =>
    state.db.prepare('INSERT INTO directory_revision VALUES (?, ?, ?)').run(revision, AT, 'e');
  try {
    expect(() =>
      state.write(() => {
        add(1);
        throw new Error('half-way');
      }),
    ).toThrow('half-way');
    state.write(() => add(2));
    expect(state.db.prepare('SELECT revision FROM directory_revision').pluck().all()).toEqual([2]);
  } finally {
    state.close();
  }
});

test('an earlier state of an entity can be neither changed nor deleted', async () => {
  const store = await open();
  await commit(store, [put('a')], 'e1');
  await store.close();
  const db = new Sqlite(join(folder, 'state.db'));
  expect(() => db.exec("UPDATE entity_revision SET body = '{}'")).toThrow('never changed');
  expect(() => db.exec('DELETE FROM entity_revision')).toThrow('never deleted');
  db.close();
});

describe('a start is refused', () => {
  test('when another server uses the folder, which goes on undisturbed', async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: `the data folder \`${folder}\` is in use by another duramen process: stop it, or choose another folder`,
    });
    expect(await commit(first, [put('a')], 'e1')).toBe(1);
    await first.close();
    expect(await (await open()).directory.revision()).toBe(1);
  });

  test.each<[string, (file: string) => void, RegExp]>([
    [
      'a file that is no database',
      file => writeFileSync(file, 'x'.repeat(4096)),
      /state\.db` is damaged: .*restore a backup/,
    ],
    [
      'a database of another program',
      file => new Sqlite(file).exec('CREATE TABLE theirs (x)').close(),
      /another program: choose another data folder/,
    ],
    [
      'a newer database',
      addNewerMigration,
      /changed by a newer version of duramen \(migration `0099_future\.sql`\).*start the newer version/,
    ],
  ])('on %s', async (_name, prepare, message) => {
    prepare(join(folder, 'state.db'));
    await expect(open()).rejects.toThrow(message);
  });

  test('on a missing folder, with the advice to make it', async () => {
    await expect(StateStore.open({ folder: join(folder, 'none'), at: AT })).rejects.toThrow(
      /create the data folder/,
    );
  });

  // The superuser may write everywhere, so that there a folder cannot be read-only by its mode.
  test.skipIf(process.getuid?.() === 0)(
    'on a read-only folder, with the advice to let the user write',
    async () => {
      const readOnly = join(folder, 'read-only');
      mkdirSync(readOnly);
      chmodSync(readOnly, 0o500);
      await expect(StateStore.open({ folder: readOnly, at: AT })).rejects.toThrow(
        /let the user of duramen write to it/,
      );
    },
  );

  test('on a path that is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(StateStore.open({ folder: join(folder, 'file'), at: AT })).rejects.toThrow(
      /cannot be written/,
    );
  });
});

test('a thread that is ended in the middle of its work leaves the folder free for the next', async () => {
  const thread = new Worker(new URL('../../../src/store/sqlite/state-worker.ts', import.meta.url), {
    workerData: { folder, at: AT },
  });
  await once(thread, 'message');
  await expect(open()).rejects.toThrow('in use by another');
  await thread.terminate();
  expect(await commit(await open(), [put('a')], 'e1')).toBe(1);
});

test('a compatible newer database is opened and its migrations are named', async () => {
  await (await open()).close();
  const db = new Sqlite(join(folder, 'state.db'));
  db.exec("INSERT INTO migration SELECT max(number) + 1, 'extra.sql', 0, '', '' FROM migration");
  db.close();
  expect((await open()).newerMigrations).toEqual(['extra.sql']);
});

describe('a full disk', () => {
  test('refuses the write with the advice to free space, keeps everything else and goes on', async () => {
    await (await open()).close();
    const pages = statSync(join(folder, 'state.db')).size / 4096;
    const store = await open({ maxPages: pages + 6 });
    await commit(store, [put('kept', body({ n: 1 }))], 'e1');
    const large = Array.from({ length: 50 }, (_, n) => put(`u${n}`, body({ text: 'x'.repeat(2_000) })));
    await expect(commit(store, large, 'e2')).rejects.toThrow(
      /no room is left to write .*free some disk space; nothing was changed/,
    );
    expect([...(await collect(store.directory.load())).keys()]).toEqual(['kept']);
    expect([await store.directory.revision(), await pendingIds(store)]).toEqual([1, ['e1']]);
    expect(await commit(store, [put('kept', body({ n: 2 }))], 'e3')).toBe(2);
  });
});

test('a damaged page is found when it is read, and named as damage', async () => {
  const first = await open();
  await commit(
    first,
    Array.from({ length: 500 }, (_, n) => put(`u${n}`, body({ text: 'x'.repeat(500) }))),
    'e1',
  );
  await first.close();
  const file = join(folder, 'state.db');
  const handle = openSync(file, 'r+');
  for (let page = 60; page < statSync(file).size / 4096; page += 1)
    writeSync(handle, Buffer.alloc(4096, 0xa5), 0, 4096, page * 4096);
  closeSync(handle);
  const damaged = await open();
  await expect(collect(damaged.directory.load())).rejects.toThrow(/is damaged: .*restore a backup/);
});

test('nothing but the database, its journal and the lock is left in the folder', async () => {
  const store = await open();
  await commit(store, [put('a')], 'e1');
  await store.close();
  expect(readdirSync(folder).sort()).toEqual(['state.db', 'state.lock', 'subjects.db']);
});

function addNewerMigration(file: string): void {
  StateDatabase.open({ folder, at: AT }).close();
  const db = new Sqlite(file);
  db.exec("INSERT INTO migration VALUES (99, '0099_future.sql', 1, '', '')");
  db.close();
}
