/** Process of subject-kill.test.ts: erases one principal after the other and prints each when it is erased. */
import { entityKey } from '../../src/decision-log/subject-name.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT, body, commit, event, put, remove } from '../conformance/state-backend.ts';

const PRINCIPALS = 40;
const [folder = ''] = process.argv.slice(2);
const store = await StateStore.open({ folder, at: AT });
const ids = Array.from({ length: PRINCIPALS }, (_, n) => `acme/victim-${n}-of-many`);

function pseudonymOf(n: number): Buffer {
  return Buffer.alloc(16, n + 1);
}

const known: string[] = [];
for await (const { entities } of store.subjects.load()) known.push(...entities);
const isFirst = (await store.directory.revision()) === 0;
if (isFirst) {
  await store.subjects.add(
    {
      entities: ids.map(id => entityKey({ type: 'User', id })),
      pseudonyms: Buffer.concat(ids.map((_, n) => pseudonymOf(n))),
      keys: Buffer.concat(ids.map((_, n) => Buffer.alloc(32, n + 101))),
    },
    0,
  );
  await commit(
    store,
    ids.map(id => put(id, body({ secret: `secret of ${id}` }))),
    'created',
  );
  await commit(store, ids.map(remove), 'removed');
  await store.outbox.acknowledge(['created', 'removed']);
}
process.stdout.write('ready\n');
for (const [n, id] of ids.entries()) {
  if (!isFirst && !known.includes(entityKey({ type: 'User', id }))) continue;
  const erasure = { principal: { type: 'User', id }, pseudonym: pseudonymOf(n), unregistered: [] };
  await store.subjects.erase(erasure, event(`erased ${n} ${process.pid}`, 'audit.erase'));
  process.stdout.write(`${id}\n`);
}
await store.close();
