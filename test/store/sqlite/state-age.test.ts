/** How old state.db and subjects.db are: every change counts, and databases of earlier versions join in. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StoreName } from '../../../src/decision-log/store-ages.ts';
import { migrate, readMigrations } from '../../../src/store/sqlite/migrations.ts';
import { StateStore } from '../../../src/store/sqlite/state-client.ts';
import { AT, commit, event, put, remove } from '../../conformance/state-backend.ts';

const MIGRATIONS = join(import.meta.dirname, '../../../migrations/sqlite');
const TIME = 1_767_323_045_678;
const ENTITY = 'AI::User::"acme/alice"';

let folder: string;
let store: StateStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-age-'));
  store = await StateStore.open({ folder, at: AT });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function changes() {
  const { state, subjects } = await store.ages.read();
  return [state.changes, subjects.changes];
}

const filled = (size: number) => new Uint8Array(size).fill(7);
const subject = { entities: [ENTITY], pseudonyms: filled(16), keys: filled(32) };

test('each event of state.db counts one, and what is acknowledged counts no less', async () => {
  expect(await store.ages.read()).toEqual({
    state: { changes: 0, log: '' },
    subjects: { changes: 0, log: '' },
  });
  await commit(store, [put('acme/alice')], 'put');
  expect(await changes()).toEqual([1, 0]);
  const key = { id: 'k', hash: 'h', roles: ['pep' as const], description: '', mayAssert: true };
  await store.keys.create({ ...key, createdAt: AT, createdBy: 'system' }, event('key', 'key.create'));
  await store.keys.revoke('k', AT, event('revoked', 'key.revoke'));
  await store.revocations.add(
    { id: 'r', kind: 'token', issuer: 'i', value: 'v', at: AT, by: 'k', reason: '', forgetAt: AT },
    event('revocation', 'credential.revoke'),
  );
  await store.profiles.write({ name: 'e', profile: null, revision: 1, at: AT, by: 'k' }, event('profile'));
  expect(await changes()).toEqual([5, 0]);
  await store.outbox.acknowledge(['put', 'key', 'revoked', 'revocation', 'profile']);
  expect(await changes()).toEqual([5, 0]);
});

test('each change of subjects.db counts, and what changes nothing does not', async () => {
  await store.subjects.add(subject, TIME);
  expect(await changes()).toEqual([0, 1]);
  await store.subjects.add(subject, TIME);
  await store.subjects.dropMonthKeys('2020-01');
  expect(await changes()).toEqual([0, 1]);
  await store.subjects.addMonthKeys(
    { input: [{ kid: '/2025-01', key: filled(32) }], unregistered: [] },
    TIME,
  );
  await store.subjects.dropMonthKeys('2026-01');
  expect(await changes()).toEqual([0, 3]);
});

test('after an erasure subjects.db is newer than any copy that knows the principal', async () => {
  await store.subjects.add(subject, TIME);
  await commit(store, [put('acme/alice')], 'put');
  await commit(store, [remove('acme/alice')], 'remove');
  await store.outbox.acknowledge(['put', 'remove']);
  const [, before = 0] = await changes();
  const principal = { type: 'User', id: 'acme/alice' };
  await store.subjects.erase(
    { principal, pseudonym: filled(16), unregistered: [] },
    event('e', 'audit.erase'),
  );
  expect((await changes())[1]).toBeGreaterThan(before);
});

test('`adopt` makes a database newer than what the log has seen, for good', async () => {
  await store.ages.adopt('state', 'log-1', 40);
  await store.ages.adopt('subjects', 'log-1', 0);
  await store.close();
  store = await StateStore.open({ folder, at: AT });
  expect(await store.ages.read()).toEqual({
    state: { changes: 41, log: 'log-1' },
    subjects: { changes: 1, log: 'log-1' },
  });
});

test('erasures of former logs are due once with each log', async () => {
  await store.ages.adopt('subjects', 'log-1', 0);
  expect(await store.ages.erasuresDue()).toBe(true);
  await store.ages.erasuresRepeated();
  expect(await store.ages.erasuresDue()).toBe(false);
  await store.ages.adopt('subjects', 'log-2', 0);
  expect(await store.ages.erasuresDue()).toBe(true);
});

/** Makes a database as it was before it knew its age. */
function former(name: StoreName, content: string): void {
  const db = new SqliteDatabase(join(folder, `${name}.db`));
  const all = readMigrations(join(MIGRATIONS, name));
  migrate(
    db,
    all.filter(({ name: file }) => !file.endsWith('_age.sql')),
    AT,
  );
  db.exec(content);
  db.close();
}

test('databases of an earlier version tell how many events they had, and are not taken for begun anew', async () => {
  await store.close();
  for (const name of ['state.db', 'subjects.db']) rmSync(join(folder, name));
  former('state', `INSERT INTO outbox (id, event) VALUES ('a', '{}'), ('b', '{}'); DELETE FROM outbox`);
  former('subjects', `INSERT INTO input_key (kid, key, created) VALUES ('/2026-01', zeroblob(32), 0)`);
  store = await StateStore.open({ folder, at: AT });
  expect(await store.ages.read()).toEqual({
    state: { changes: 2, log: undefined },
    subjects: { changes: 0, log: undefined },
  });
  expect(readFileSync(join(MIGRATIONS, 'state/0007_age.sql'), 'utf8')).not.toMatch(/^--! breaking/);
});
