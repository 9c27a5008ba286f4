/** The contract of KeyStore, sentence by sentence (src/identity/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../src/domain/credential.ts';
import { AT, event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

function key(id: string, options: Partial<ApiKey> = {}): ApiKey {
  return {
    id,
    hash: `hash-of-${id}`,
    roles: ['pep', 'auditor'],
    description: 'é',
    mayAssert: false,
    createdAt: AT,
    createdBy: 'system',
    ...options,
  };
}

export function describeKeyStore(backend: StateBackend): void {
  describe(`KeyStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());

    test('`list` gives all keys as they were made, oldest first', async () => {
      const keys = [
        key('z', { tenants: ['acme'] }),
        key('a', { expiresAt: AT }),
        key('m', { roles: ['admin'] }),
        key('r', {
          callers: [{ mode: 'assert', tenants: ['acme'], principalTypes: ['User'], maxAssurance: 1 }],
        }),
      ];
      for (const one of keys) await state.keys.create(one, event(`make-${one.id}`, 'key.create'));
      expect(await state.keys.list()).toEqual(keys);
    });

    test('`create` adds its event', async () => {
      await state.keys.create(key('a'), event('make-a', 'key.create'));
      expect(await pendingIds(state)).toEqual(['make-a']);
    });

    test('`create` rejects with ALREADY_EXISTS when the id is taken, revoked or not, and changes nothing', async () => {
      await state.keys.create(key('a'), event('make-a', 'key.create'));
      await expect(state.keys.create(key('a', { hash: 'other' }), event('again'))).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      await state.keys.revoke('a', AT, event('revoke-a', 'key.revoke'));
      await expect(state.keys.create(key('a', { hash: 'other' }), event('again'))).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      expect(await state.keys.list()).toEqual([key('a', { revokedAt: AT })]);
      expect(await pendingIds(state)).toEqual(['make-a', 'revoke-a']);
    });

    test('`revoke` sets the time and adds its event; the key stays in the list', async () => {
      await state.keys.create(key('a'), event('make-a', 'key.create'));
      expect(await state.keys.revoke('a', AT, event('revoke-a', 'key.revoke'))).toBe(true);
      expect(await state.keys.list()).toEqual([key('a', { revokedAt: AT })]);
      expect(await pendingIds(state)).toEqual(['make-a', 'revoke-a']);
    });

    test('`revoke` answers false for an unknown or revoked key and adds no event', async () => {
      await state.keys.create(key('a'), event('make-a', 'key.create'));
      await state.keys.revoke('a', AT, event('revoke-a', 'key.revoke'));
      expect(await state.keys.revoke('a', '2027-01-01T00:00:00.000Z', event('again'))).toBe(false);
      expect(await state.keys.revoke('b', AT, event('unknown'))).toBe(false);
      expect((await state.keys.list())[0]?.revokedAt).toBe(AT);
      expect(await pendingIds(state)).toEqual(['make-a', 'revoke-a']);
    });
  });
}
