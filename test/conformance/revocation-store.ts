/** The contract of RevocationStore, sentence by sentence (src/identity/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Revocation } from '../../src/identity/ports.ts';
import { AT, event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

const LATER = '2026-01-02T04:04:05.678Z';

function revocation(id: string, change: Partial<Revocation> = {}): Revocation {
  return {
    id,
    kind: 'token',
    issuer: 'https://idp.example',
    value: `of ${id}: "é"`,
    at: AT,
    by: 'k1',
    reason: 'lost',
    forgetAt: '2026-01-03T00:00:00.000Z',
    ...change,
  };
}

export function describeRevocationStore(backend: StateBackend): void {
  describe(`RevocationStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());

    test('`list` gives all as they were made, oldest first', async () => {
      const made = [
        revocation('z'),
        revocation('a', { kind: 'subject' }),
        revocation('m', { kind: 'client' }),
      ];
      for (const one of made) await state.revocations.add(one, event(`make-${one.id}`, 'credential.revoke'));
      expect(await state.revocations.list()).toEqual(made);
    });

    test('`add` adds its event', async () => {
      await state.revocations.add(revocation('a'), event('make-a', 'credential.revoke'));
      expect(await pendingIds(state)).toEqual(['make-a']);
    });

    test('`add` forgets those whose tokens have expired by then, and no others', async () => {
      const kept = revocation('kept', { forgetAt: '2026-01-02T04:04:05.679Z' });
      await state.revocations.add(revocation('gone', { forgetAt: LATER }), event('1', 'credential.revoke'));
      await state.revocations.add(kept, event('2', 'credential.revoke'));
      const added = revocation('new', { at: LATER });
      await state.revocations.add(added, event('3', 'credential.revoke'));
      expect(await state.revocations.list()).toEqual([kept, added]);
    });

    test('`add` rejects with ALREADY_EXISTS when the id is taken, and changes nothing', async () => {
      await state.revocations.add(revocation('a'), event('make-a', 'credential.revoke'));
      const again = state.revocations.add(
        revocation('a', { value: 'other' }),
        event('again', 'credential.revoke'),
      );
      await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      expect(await state.revocations.list()).toEqual([revocation('a')]);
      expect(await pendingIds(state)).toEqual(['make-a']);
    });
  });
}
