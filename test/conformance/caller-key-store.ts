/** The contract of CallerKeyStore, sentence by sentence (src/identity/caller-keys/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallerKey } from '../../src/domain/caller-key.ts';
import type { StoredCallerKey } from '../../src/identity/caller-keys/ports.ts';
import {
  AT,
  body,
  commit,
  event,
  type OpenState,
  pendingIds,
  put,
  remove,
  type StateBackend,
} from './state-backend.ts';

function key(id: string, change: Partial<CallerKey> = {}): CallerKey {
  return {
    id,
    hash: `hash-of-${id}`,
    pepper: 1,
    owner: { type: 'User', id: 'acme/alice' },
    tenant: 'acme',
    description: 'é "quoted"',
    scopes: [],
    networks: [],
    oauthScopes: [],
    createdAt: AT,
    createdBy: 'k1',
    expiresAt: '2026-04-02T03:04:05.678Z',
    ...change,
  };
}

export function describeCallerKeyStore(backend: StateBackend): void {
  describe(`CallerKeyStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());

    async function stored(): Promise<readonly StoredCallerKey[]> {
      const all: StoredCallerKey[] = [];
      for await (const chunk of state.callerKeys.load()) all.push(...chunk);
      return all;
    }
    const keys = async () => (await stored()).map(one => one.key);
    const create = (...created: CallerKey[]) =>
      state.callerKeys.commit(
        { created, changed: [] },
        created.map(({ id }) => event(`make-${id}`, 'caller_key.create')),
      );

    test('`load` gives every key as it was made, oldest first', async () => {
      const made = [
        key('z', { scopes: [{ actions: ['generate'], models: ['acme/m'], tenants: ['acme'] }] }),
        key('a', { networks: ['10.0.0.0/8'], oauthScopes: ['payments:refund'], notBefore: AT }),
        key('m', { replaces: 'a', supersededBy: 'x', supersededAt: AT, leakedAt: AT }),
        key('r', { revoked: { at: AT, by: 'k1', cause: 'leak', reason: 'é' } }),
      ];
      for (const one of made) await create(one);
      expect(await keys()).toEqual(made);
    });

    test('`load` gives more keys than fit one chunk, each once', async () => {
      const many = Array.from({ length: 9_000 }, (_, at) => key(`k${at}`));
      await state.callerKeys.commit({ created: many, changed: [] }, []);
      expect((await keys()).map(({ id }) => id)).toEqual(many.map(({ id }) => id));
    });

    test('`commit` makes, replaces and adds its events at once; the order stays', async () => {
      await create(key('a'), key('b'));
      const changed = key('a', { supersededBy: 'c', supersededAt: AT });
      await state.callerKeys.commit({ created: [key('c')], changed: [changed] }, [
        event('1', 'caller_key.rotate'),
        event('2', 'caller_key.revoke'),
      ]);
      expect(await keys()).toEqual([changed, key('b'), key('c')]);
      expect(await pendingIds(state)).toEqual(['make-a', 'make-b', '1', '2']);
    });

    test.each([
      ['ALREADY_EXISTS when a new id is taken', { created: [key('n'), key('a')], changed: [] }],
      ['NOT_FOUND when a changed key is not there', { created: [key('n')], changed: [key('missing')] }],
    ])('`commit` rejects with %s, and nothing is changed', async (text, change) => {
      await create(key('a'));
      const code = text.split(' ')[0] ?? '';
      await expect(state.callerKeys.commit(change, [event('late')])).rejects.toMatchObject({ code });
      expect(await keys()).toEqual([key('a')]);
      expect(await pendingIds(state)).toEqual(['make-a']);
    });

    test('`recordUses` keeps the newest use of each key and drops those of keys that are gone', async () => {
      await create(key('a'), key('b'));
      await state.callerKeys.recordUses([
        { id: 'a', minute: 5, network: '10.0.0.0/24' },
        { id: 'b', minute: 5 },
        { id: 'gone', minute: 5 },
      ]);
      await state.callerKeys.recordUses([
        { id: 'a', minute: 4 },
        { id: 'b', minute: 6, network: '2001:db8:0::/48' },
      ]);
      expect(await stored()).toEqual([
        { key: key('a'), lastUse: { id: 'a', minute: 5, network: '10.0.0.0/24' } },
        { key: key('b'), lastUse: { id: 'b', minute: 6, network: '2001:db8:0::/48' } },
      ]);
    });

    test('a change of a key keeps its last use', async () => {
      await create(key('a'));
      await state.callerKeys.recordUses([{ id: 'a', minute: 5 }]);
      await state.callerKeys.commit({ created: [], changed: [key('a', { leakedAt: AT })] }, []);
      expect(await stored()).toEqual([{ key: key('a', { leakedAt: AT }), lastUse: { id: 'a', minute: 5 } }]);
    });

    test('`remove` deletes keys with their uses and skips those that are not there', async () => {
      await create(key('a'), key('b'));
      await state.callerKeys.recordUses([{ id: 'a', minute: 5 }]);
      await state.callerKeys.remove(['a', 'gone']);
      await state.callerKeys.commit({ created: [key('a')], changed: [] }, []);
      expect(await stored()).toEqual([{ key: key('b') }, { key: key('a') }]);
    });

    test('an erased owner takes its keys along, and nobody else loses one', async () => {
      await create(key('a'), key('b', { owner: { type: 'User', id: 'acme/alice2' } }));
      await commit(state, [put('acme/alice', body())], 'put');
      await commit(state, [remove('acme/alice')], 'gone');
      await state.outbox.acknowledge(await pendingIds(state));
      const erased = { principal: { type: 'User', id: 'acme/alice' }, unregistered: [] };
      await state.subjects.erase(erased, event('erase', 'audit.erase'));
      expect((await keys()).map(({ id }) => id)).toEqual(['b']);
    });
  });
}
