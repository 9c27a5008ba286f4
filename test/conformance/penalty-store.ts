/** The contract of PenaltyStore, sentence by sentence (src/limits/guards/penalty-store.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Penalty } from '../../src/limits/guards/penalties.ts';
import { event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

function block(id: string, since: number, changes: Partial<Penalty> = {}): Penalty {
  return { kind: 'principal', id, since, until: since + 60_000, level: 1, limit: 'platform/b', ...changes };
}

export function describePenaltyStore(backend: StateBackend): void {
  describe(`PenaltyStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());
    const save = (penalty: Penalty, endedBefore = 0) =>
      state.penalties.save(penalty, endedBefore, event(`block-${penalty.since}`, 'penalty.block'));

    test('`load` gives every block, in the order in which they began', async () => {
      expect(await state.penalties.load()).toEqual([]);
      const blocks = [
        block('AI::User::"acme/bob"', 30),
        block('2001:db8:0:7::/64', 10, { kind: 'address' }),
        block('AI::User::"acme/é ü"', 20, { level: 7, until: 9_007_199_254_740_991 }),
      ];
      for (const one of blocks) await save(one);
      expect(await state.penalties.load()).toEqual([blocks[1], blocks[2], blocks[0]]);
    });

    test('`save` keeps a block in place of an earlier one of its subject', async () => {
      await save(block('a', 10));
      await save(block('a', 20, { kind: 'address' }));
      await save(block('a', 30, { level: 2 }));
      const kept = [block('a', 20, { kind: 'address' }), block('a', 30, { level: 2 })];
      expect(await state.penalties.load()).toEqual(kept);
    });

    test('`save` forgets those that ended before the instant, and no others', async () => {
      await save(block('a', 0, { until: 99 }));
      await save(block('b', 1, { until: 100 }));
      await save(block('c', 2), 100);
      expect((await state.penalties.load()).map(({ id }) => id)).toEqual(['b', 'c']);
    });

    test('`remove` forgets the block of a subject, and no other', async () => {
      await save(block('a', 1));
      await save(block('a', 2, { kind: 'address' }));
      await save(block('b', 3));
      await state.penalties.remove('principal', 'a', event('lift', 'penalty.lift'));
      expect((await state.penalties.load()).map(({ kind, id }) => [kind, id])).toEqual([
        ['address', 'a'],
        ['principal', 'b'],
      ]);
    });

    test('`save` and `remove` add their event, `remove` also when there is no block', async () => {
      await save(block('a', 1));
      await state.penalties.remove('principal', 'nobody', event('lift', 'penalty.lift'));
      expect(await pendingIds(state)).toEqual(['block-1', 'lift']);
    });

    test('an erased principal has no block any more', async () => {
      await save(block('AI::User::"acme/alice"', 1));
      await save(block('AI::User::"acme/bob"', 2));
      await state.outbox.acknowledge(['block-1', 'block-2']);
      const principal = { type: 'User', id: 'acme/alice' };
      await state.subjects.erase({ principal, unregistered: [] }, event('erasure', 'audit.erase'));
      expect((await state.penalties.load()).map(({ id }) => id)).toEqual(['AI::User::"acme/bob"']);
    });
  });
}
