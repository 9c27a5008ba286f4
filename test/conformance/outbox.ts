/** The contract of Outbox (src/decision-log/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commit, event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

export function describeOutbox(backend: StateBackend): void {
  describe(`Outbox on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
      for (const id of ['z', 'a', 'm']) await commit(state, [], id);
    });
    afterEach(() => state.close());

    test('`pending` gives events as they were committed, oldest first', async () => {
      expect(await state.outbox.pending(10)).toEqual([event('z'), event('a'), event('m')]);
    });

    test('`pending` gives at most as many as asked', async () => {
      expect((await state.outbox.pending(2)).map(({ id }) => id)).toEqual(['z', 'a']);
    });

    test('`pending` forgets nothing', async () => {
      await state.outbox.pending(10);
      expect(await pendingIds(state)).toEqual(['z', 'a', 'm']);
    });

    test('`acknowledge` forgets the events named, in any order, and no other', async () => {
      await state.outbox.acknowledge(['m', 'z']);
      expect(await pendingIds(state)).toEqual(['a']);
    });

    test('`acknowledge` may be repeated and may name unknown events', async () => {
      await state.outbox.acknowledge(['a', 'unknown']);
      await state.outbox.acknowledge(['a']);
      await state.outbox.acknowledge([]);
      expect(await pendingIds(state)).toEqual(['z', 'm']);
    });
  });
}
