/** Fault twins of the directory: memory never disagrees with the store, whatever fails and when. */
import { describe, expect, test } from 'vitest';
import type { DirectoryService } from '../../src/directory/service.ts';
import {
  ADMIN,
  body,
  type Fault,
  FaultyStore,
  line,
  openDirectory,
  parseLine,
  shippedParser,
  user,
} from '../directory/directory-fixture.ts';
import { ref } from '../directory/graph-edits.ts';

const parser = shippedParser();
const ALICE = ref('User/acme/alice');

async function open() {
  let faulty: FaultyStore | undefined;
  const directory = await openDirectory(parser, {
    store: state => (faulty = new FaultyStore(state.directory)),
  });
  if (faulty === undefined) throw new Error('the store was not wrapped');
  await directory.service.put(ref('Role/acme/first'), body({}), ADMIN);
  return { ...directory, store: faulty };
}

const WRITES: readonly [string, (service: DirectoryService) => Promise<unknown>][] = [
  ['put', service => service.put(ALICE, user(), ADMIN)],
  ['import', service => service.import(one(line(ALICE, user())), ADMIN, { parseLine })],
];

async function* one(text: string): AsyncIterableIterator<string> {
  yield text;
}

describe.each(WRITES)('%s', (_name, write) => {
  test.each<Fault>(['begin', 'write', 'commit not persisted'])(
    'fails at %s and is not persisted: nothing is visible',
    async fault => {
      const { service, state, store, announced } = await open();
      const before = service.graph;
      store.fault = fault;
      await expect(write(service)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(service.graph).toBe(before);
      expect(await state.directory.revision()).toBe(1);
      expect(announced).toHaveLength(1);
      store.fault = undefined;
      await write(service);
      expect(service.get(ALICE, ADMIN).revision).toBe(2);
    },
  );

  test('fails but is persisted: it is found out, visible and answered as done', async () => {
    const { service, state, store, published } = await open();
    store.fault = 'commit persisted';
    await write(service);
    expect(service.get(ALICE, ADMIN).revision).toBe(2);
    expect(published.at(-1)).toBe(service.graph);
    expect(await state.directory.at(ALICE, 2)).toEqual(service.get(ALICE, ADMIN));
  });

  test('fails but is persisted, and the store cannot be asked: it fails, and shows before the next write', async () => {
    const { service, store } = await open();
    store.fault = 'silence';
    await expect(write(service)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(() => service.get(ALICE, ADMIN)).toThrow('there is no');
    await expect(service.put(ref('Role/acme/r'), body({}), ADMIN)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    store.fault = undefined;
    const { record } = await service.put(ref('Role/acme/r'), body({}), ADMIN);
    expect([service.get(ALICE, ADMIN).revision, record.revision]).toEqual([2, 3]);
  });
});

test('a persisted change that could not be confirmed shows and is announced without a further write', async () => {
  const { service, store, published, announced } = await open();
  store.fault = 'silence';
  await expect(service.put(ALICE, user(), ADMIN)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(published).toHaveLength(1);
  store.fault = undefined;
  await expect.poll(() => published.length, { timeout: 20_000 }).toBe(2);
  expect(service.get(ALICE, ADMIN).revision).toBe(2);
  expect(announced.map(({ subject }) => subject)).toEqual([
    'AI::Role::"acme/first"',
    'AI::User::"acme/alice"',
  ]);
});

test('a change whose event cannot be announced fails, but is durable and visible, with its event in the outbox', async () => {
  const directory = await openDirectory(parser, {
    announce: () => Promise.reject(new Error('the log is down')),
  });
  await expect(directory.service.put(ALICE, user(), ADMIN)).rejects.toThrow('the log is down');
  expect(directory.service.get(ALICE, ADMIN).revision).toBe(1);
  expect(await directory.state.outbox.pending(10)).toMatchObject([{ subject: 'AI::User::"acme/alice"' }]);
});
