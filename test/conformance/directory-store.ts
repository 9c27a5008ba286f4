/** The contract of DirectoryStore, sentence by sentence (src/directory/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AT,
  body,
  collect,
  commit,
  event,
  type OpenState,
  pendingIds,
  put,
  remove,
  type StateBackend,
} from './state-backend.ts';

export function describeDirectoryStore(backend: StateBackend): void {
  describe(`DirectoryStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());

    test('the revision is 0 for an empty store', async () => {
      expect(await state.directory.revision()).toBe(0);
      expect(await collect(state.directory.load())).toEqual(new Map());
    });

    test('the revision grows by one with each commit, whatever it holds', async () => {
      expect(await commit(state, [put('a'), put('b')], 'e1')).toBe(1);
      expect(await commit(state, [], 'e2')).toBe(2);
      expect(await commit(state, [remove('a')], 'e3')).toBe(3);
      expect(await state.directory.revision()).toBe(3);
    });

    test('a record has what was written, with the revision and the time of its commit', async () => {
      const written = body({ nested: { list: [1, 'two', { three: true }] }, text: 'é\u0000"' }, ['t1', 't2']);
      await commit(state, [put('a', { ...written, status: 'disabled' })], 'e1');
      expect((await collect(state.directory.load())).get('a')).toEqual({
        ref: { type: 'User', id: 'a' },
        ...written,
        status: 'disabled',
        revision: 1,
        updatedAt: AT,
      });
    });

    test('ids are compared byte for byte', async () => {
      await commit(
        state,
        [put('Alice', body({ n: 1 })), put('alice', body({ n: 2 })), put("o'x;--%_", body({ n: 3 }))],
        'e1',
      );
      const records = await collect(state.directory.load());
      expect([...records.keys()].sort()).toEqual(['Alice', 'alice', "o'x;--%_"]);
      expect(await state.directory.at({ type: 'User', id: 'ALICE' }, 1)).toBeUndefined();
      expect(await state.directory.at({ type: 'user', id: 'alice' }, 1)).toBeUndefined();
    });

    test('writes may come in many chunks and become visible as one revision', async () => {
      const tx = await state.directory.begin();
      await tx.write([put('a')]);
      await tx.write([put('b')]);
      expect(await collect(state.directory.load())).toEqual(new Map());
      expect(await state.directory.revision()).toBe(0);
      expect(await tx.commit(AT, event('e1'))).toBe(1);
      expect([...(await collect(state.directory.load())).values()].map(({ revision }) => revision)).toEqual([
        1, 1,
      ]);
    });

    test('the later write of an entity in one transaction counts', async () => {
      await commit(state, [put('a', body({ n: 1 })), put('b'), put('a', body({ n: 2 })), remove('b')], 'e1');
      const records = await collect(state.directory.load());
      expect([...records].map(([id, { attributes }]) => [id, attributes])).toEqual([['a', { n: 2 }]]);
    });

    test('a commit puts its event into the outbox', async () => {
      await commit(state, [put('a')], 'e1');
      expect(await state.outbox.pending(10)).toEqual([event('e1')]);
    });

    test('a rollback changes nothing and leaves no event', async () => {
      await commit(state, [put('a', body({ n: 1 }))], 'e1');
      const tx = await state.directory.begin();
      await tx.write([put('a', body({ n: 2 })), put('b')]);
      await tx.rollback();
      expect((await collect(state.directory.load())).get('a')?.attributes).toEqual({ n: 1 });
      expect(await state.directory.revision()).toBe(1);
      expect(await pendingIds(state)).toEqual(['e1']);
    });

    test('a transaction can be begun after one that was rolled back', async () => {
      const tx = await state.directory.begin();
      await tx.write([put('a')]);
      await tx.rollback();
      expect(await commit(state, [put('b')], 'e1')).toBe(1);
      expect([...(await collect(state.directory.load())).keys()]).toEqual(['b']);
    });

    test('a removed entity is not live, and its earlier states stay', async () => {
      await commit(state, [put('a', body({ n: 1 }))], 'e1');
      await commit(state, [remove('a')], 'e2');
      expect(await collect(state.directory.load())).toEqual(new Map());
      expect((await state.directory.at({ type: 'User', id: 'a' }, 1))?.attributes).toEqual({ n: 1 });
    });

    test('`at` gives the state that an entity had, and undefined when it did not exist', async () => {
      await commit(state, [put('b')], 'e1');
      await commit(state, [put('a', body({ n: 1 }))], 'e2');
      await commit(state, [put('b')], 'e3');
      await commit(state, [put('a', body({ n: 2 }))], 'e4');
      await commit(state, [remove('a')], 'e5');
      await commit(state, [put('a', body({ n: 3 }))], 'e6');
      const states = await Promise.all(
        [0, 1, 2, 3, 4, 5, 6, 7].map(revision => state.directory.at({ type: 'User', id: 'a' }, revision)),
      );
      expect(states.map(one => one && [one.attributes['n'], one.revision])).toEqual([
        undefined,
        undefined,
        [1, 2],
        [1, 2],
        [2, 4],
        undefined,
        [3, 6],
        [3, 6],
      ]);
    });

    test('`loadAt` gives every entity that was live as of a revision', async () => {
      await commit(state, [put('a', body({ n: 1 })), put('b')], 'e1');
      await commit(state, [put('a', body({ n: 2 })), put('c')], 'e2');
      await commit(state, [remove('a'), remove('b')], 'e3');
      const ids = async (revision: number): Promise<readonly string[]> =>
        [...(await collect(state.directory.loadAt(revision))).keys()].sort();
      expect([await ids(0), await ids(1), await ids(2), await ids(3)]).toEqual([
        [],
        ['a', 'b'],
        ['a', 'b', 'c'],
        ['c'],
      ]);
      expect((await collect(state.directory.loadAt(1))).get('a')).toMatchObject({
        attributes: { n: 1 },
        revision: 1,
      });
    });

    test('`load` and `loadAt` give every entity once, in chunks of at most 2,000', async () => {
      const writes = Array.from({ length: 4_001 }, (_, at) => put(`u${at}`));
      await commit(state, writes, 'e1');
      await commit(state, [remove('u0'), put('u1', body({ n: 1 }))], 'e2');
      for (const [chunks, total] of [
        [state.directory.load(), 4_000],
        [state.directory.loadAt(1), 4_001],
      ] as const) {
        const sizes: number[] = [];
        const ids = new Set<string>();
        for await (const chunk of chunks) {
          sizes.push(chunk.length);
          for (const { ref } of chunk) ids.add(ref.id);
        }
        expect(ids.size).toBe(total);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(total);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(2_000);
      }
    });
  });
}
