/** The contract of ProfileStore, sentence by sentence (src/identity/pep-profiles/ports.ts). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pepProfileSchema } from '../../src/domain/pep-profile.ts';
import type { ProfileChange } from '../../src/identity/pep-profiles/ports.ts';
import { AT, event, type OpenState, pendingIds, type StateBackend } from './state-backend.ts';

function change(name: string, revision: number, kind = 'envoy'): ProfileChange {
  const profile = pepProfileSchema.parse({ name, kind, toolIds: { 'gpt "é"': 'acme/m' } });
  return { name, profile, revision, at: AT, by: 'k1' };
}

function stored({ profile, revision }: ProfileChange) {
  return { profile, revision, updatedAt: AT, updatedBy: 'k1' };
}

export function describeProfileStore(backend: StateBackend): void {
  describe(`ProfileStore on ${backend.name}`, () => {
    let state: OpenState;
    beforeEach(async () => {
      state = await backend.open();
    });
    afterEach(() => state.close());
    const write = (one: ProfileChange) =>
      state.profiles.write(one, event(`change-${one.revision}`, 'pep_profile.put'));

    test('`load` gives 0 and none before the first change', async () => {
      expect(await state.profiles.load()).toEqual({ revision: 0, profiles: [] });
    });

    test('`load` gives the profiles by name as they were written, the newest of each', async () => {
      const changes = [change('z', 1), change('a', 2), change('z', 3, 'nginx'), change('m', 4)];
      for (const one of changes) await write(one);
      const [, a, z, m] = changes.map(stored);
      expect(await state.profiles.load()).toEqual({ revision: 4, profiles: [a, m, z] });
    });

    test('a removed one is gone, and its revision counts', async () => {
      await write(change('a', 1));
      await write({ ...change('a', 2), profile: null });
      expect(await state.profiles.load()).toEqual({ revision: 2, profiles: [] });
      await write(change('a', 3, 'caddy'));
      expect(await state.profiles.load()).toMatchObject({ revision: 3, profiles: [{ revision: 3 }] });
    });

    test('`write` adds its event', async () => {
      await write(change('a', 1));
      expect(await pendingIds(state)).toEqual(['change-1']);
    });

    test('`write` rejects with ALREADY_EXISTS for a revision that was given, and changes nothing', async () => {
      await write(change('a', 1));
      const again = state.profiles.write(change('b', 1), event('again', 'pep_profile.put'));
      await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      expect(await state.profiles.load()).toEqual({ revision: 1, profiles: [stored(change('a', 1))] });
      expect(await pendingIds(state)).toEqual(['change-1']);
    });
  });
}
