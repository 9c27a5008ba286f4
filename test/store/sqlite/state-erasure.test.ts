/** Erasure in state.db and subjects.db: no byte of it stays in a file, and a crash in the middle finishes it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateStore } from '../../../src/store/sqlite/state-client.ts';
import { AT, body, commit, event, put, remove } from '../../conformance/state-backend.ts';

const NOW = 1_767_323_045_678;
const MARY = { type: 'User', id: 'acme/mary.quite.contrary' };
const MARY_KEY = `AI::User::"${MARY.id}"`;
/** What only Mary's attributes hold. */
const VALUE = 'silver-bells-and-cockle-shells';

let folder: string;
const opened: StateStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-erasure-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map(store => store.close()));
  rmSync(folder, { recursive: true });
});

async function open(): Promise<StateStore> {
  const store = await StateStore.open({ folder, at: AT });
  opened.push(store);
  return store;
}

function filled(length: number, mark: number): Buffer {
  return Buffer.alloc(length, mark);
}

/** Files of the folder that hold the bytes. */
function filesWith(bytes: string | Buffer): readonly string[] {
  return readdirSync(folder).filter(name => readFileSync(join(folder, name)).includes(bytes));
}

/** Mary among others, changed often enough to have been moved between pages, then deleted. */
async function fill(store: StateStore): Promise<void> {
  const names = Array.from({ length: 300 }, (_, n) => `acme/user${n}`);
  await store.subjects.add(
    {
      entities: [MARY_KEY, ...names.map(name => `AI::User::"${name}"`)],
      pseudonyms: Buffer.concat([filled(16, 201), ...names.map((_, n) => numbered(16, n))]),
      keys: Buffer.concat([filled(32, 202), ...names.map((_, n) => numbered(32, n))]),
    },
    NOW,
  );
  await commit(
    store,
    names.map(name => put(name)),
    'others',
  );
  for (let turn = 0; turn < 30; turn += 1) {
    const others = names.slice(turn * 10, turn * 10 + 10).map(name => put(name, body({ turn })));
    await commit(store, [put(MARY.id, body({ garden: `${VALUE} ${turn}` })), ...others], `change ${turn}`);
    const answer = { requestHash: 'h', status: 201, headers: {}, body: `{"by":"${MARY.id}"}` };
    await store.idempotency.save('k', `key ${turn}`, answer, NOW);
  }
  await commit(store, [remove(MARY.id)], 'removed');
  const pending = await store.outbox.pending(100);
  await store.outbox.acknowledge(pending.map(({ id }) => id));
}

function numbered(length: number, number: number): Uint8Array {
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32BE(number, length - 4);
  return bytes;
}

test('after an erasure no file holds the id, the values, the pseudonym or the key', async () => {
  const store = await open();
  await fill(store);
  for (const trace of [MARY.id, VALUE, filled(16, 201), filled(32, 202)]) {
    expect(filesWith(trace)).not.toEqual([]);
  }
  const erasure = { principal: MARY, pseudonym: filled(16, 201), unregistered: [] };
  const traces = await store.subjects.erase(erasure, event('e', 'audit.erase'));
  expect(traces).toEqual({ revisions: 31, answers: 30, namedBy: { entities: 0, bundles: 0 } });
  for (const trace of [MARY.id, VALUE, filled(16, 201), filled(32, 202)])
    expect(filesWith(trace)).toEqual([]);
  await store.outbox.acknowledge(['e']);
  expect(filesWith(MARY.id)).toEqual([]);
});

test('replaced keys of names are in no file any more', async () => {
  const store = await open();
  await store.subjects.addMonthKeys(
    { input: [], unregistered: [{ kid: '/2026-11', key: filled(8_192, 77) }] },
    NOW,
  );
  expect(filesWith(filled(32, 77))).not.toEqual([]);
  const unregistered = [{ kid: '/2026-11', key: filled(8_192, 78) }];
  await store.subjects.erase({ principal: MARY, unregistered }, event('e', 'audit.erase'));
  expect(filesWith(filled(32, 77))).toEqual([]);
  expect(filesWith(filled(32, 78))).not.toEqual([]);
});

test('an erasure that was cut off after its commit is finished by the next start', async () => {
  const store = await open();
  await fill(store);
  await store.close();
  // What state.db holds when the process ends between the commit there and the one in subjects.db.
  const db = new Sqlite(join(folder, 'state.db'));
  db.prepare('INSERT INTO erasing (pseudonym) VALUES (?)').run(filled(16, 201));
  db.prepare('DELETE FROM entity_revision WHERE name = ?').run(`User ${MARY.id}`);
  db.close();
  expect(filesWith(filled(32, 202))).toEqual(['subjects.db']);
  const next = await open();
  expect(filesWith(filled(32, 202))).toEqual([]);
  const entities: string[] = [];
  for await (const chunk of next.subjects.load()) entities.push(...chunk.entities);
  expect(entities).toHaveLength(300);
  expect(entities).not.toContain(MARY_KEY);
});

test('nothing but an erasure can delete an earlier state, and no erasure that of a living entity', async () => {
  const store = await open();
  await commit(store, [put('acme/alive'), put('acme/gone')], 'created');
  await commit(store, [remove('acme/gone')], 'removed');
  await store.close();
  const db = new Sqlite(join(folder, 'state.db'));
  const forget = db.prepare('DELETE FROM entity_revision WHERE name = ?');
  expect(() => forget.run('User acme/gone')).toThrow('never deleted');
  db.prepare('INSERT INTO erasing (pseudonym) VALUES (NULL)').run();
  expect(() => forget.run('User acme/alive')).toThrow('never deleted');
  expect(forget.run('User acme/gone').changes).toBe(2);
  db.close();
});
