/** Profiles in memory and on their way into the store: readers see whole sets, and nothing that is not durable. */
import { describe, expect, test } from 'vitest';
import type { Credential } from '../../../src/domain/credential.ts';
import { AppError } from '../../../src/domain/errors.ts';
import type { EventEntry } from '../../../src/domain/log-entry.ts';
import {
  MAX_PROFILES,
  type PepProfile,
  pepProfileBodySchema,
  pepProfileSchema,
} from '../../../src/domain/pep-profile.ts';
import type { StoredProfile } from '../../../src/identity/pep-profiles/ports.ts';
import { ProfileRegistry } from '../../../src/identity/pep-profiles/profile-registry.ts';
import { ProfileService } from '../../../src/identity/pep-profiles/profile-service.ts';
import { MemoryOutbox } from '../../../src/store/memory/outbox.ts';
import { MemoryProfileStore } from '../../../src/store/memory/pep-profiles.ts';

const ACTOR: Credential = { keyId: 'k1', roles: new Set(['admin']), tenants: undefined, mayAssert: true };
const BODY = pepProfileBodySchema.parse({ kind: 'envoy' });
const OTHER = pepProfileBodySchema.parse({ kind: 'caddy' });
const anyRevision = (): void => undefined;

function profile(name: string, kind: PepProfile['kind'] = 'envoy'): PepProfile {
  return pepProfileSchema.parse({ name, kind });
}

function stored(name: string, revision = 1, kind: PepProfile['kind'] = 'envoy'): StoredProfile {
  return { profile: profile(name, kind), revision, updatedAt: '', updatedBy: 'k1' };
}

describe('the registry', () => {
  test('makes a profile ready once, and again when it changed', () => {
    const made: string[] = [];
    const registry = new ProfileRegistry([profile('fixed')]);
    const view = registry.derive(({ name, kind }) => {
      made.push(name);
      return kind;
    });
    const [a, b] = [stored('a'), stored('b')];
    registry.replace([a, b]);
    registry.replace([a, stored('b', 2, 'caddy')]);
    expect(made).toEqual(['fixed', 'a', 'b', 'b']);
    expect([view.get('fixed'), view.get('a'), view.get('b'), view.get('c')]).toEqual([
      'envoy',
      'envoy',
      'caddy',
      undefined,
    ]);
    registry.replace([]);
    expect([view.get('fixed'), view.get('a')]).toEqual(['envoy', undefined]);
  });

  test('never lets a stored profile take the place of a configured one', () => {
    const registry = new ProfileRegistry([profile('edge', 'nginx')]);
    const view = registry.derive(({ kind }) => kind);
    registry.replace([stored('edge')]);
    expect(view.get('edge')).toBe('nginx');
    expect([...registry.profiles.values()].map(({ kind }) => kind)).toEqual(['nginx']);
  });

  test('changes nothing for anybody while one reader cannot use a profile', () => {
    const registry = new ProfileRegistry([]);
    const first = registry.derive(({ kind }) => kind);
    registry.derive(({ kind }) => {
      if (kind === 'caddy') throw new Error('not this one');
      return kind;
    });
    registry.replace([stored('a')]);
    expect(() => registry.replace([stored('a', 2, 'caddy')])).toThrow('not this one');
    expect([first.get('a'), registry.stored.get('a')?.revision]).toEqual(['envoy', 1]);
  });

  test('shows a staged set to nobody before it is put in force, and then to readers that came late, too', () => {
    const registry = new ProfileRegistry([]);
    const early = registry.derive(({ kind }) => kind);
    const swap = registry.stage([stored('a')]);
    const late = registry.derive(({ kind }) => kind);
    expect([early.get('a'), late.get('a')]).toEqual([undefined, undefined]);
    swap();
    expect([early.get('a'), late.get('a')]).toEqual(['envoy', 'envoy']);
  });
});

/** A service over a store that fails when it is told to. */
function scene(configured: readonly PepProfile[] = []) {
  const store = new MemoryProfileStore(new MemoryOutbox());
  const state: { fails: boolean; ids: number } = { fails: false, ids: 0 };
  const told: EventEntry[] = [];
  const registry = new ProfileRegistry(configured);
  const service = new ProfileService({
    store: {
      load: () => store.load(),
      async write(change, event) {
        if (state.fails) throw new AppError('STORE_UNAVAILABLE', 'the disk is full');
        await store.write(change, event);
      },
    },
    registry,
    guard: { read: anyRevision, write: anyRevision, remove: anyRevision },
    clock: { now: () => 0, monotonic: () => 0 },
    ids: { next: () => `id-${(state.ids += 1)}` },
    digestOf: value => `sha256:${JSON.stringify(value)}`,
    announce: async event => void told.push(event),
  });
  return { service, registry, state, told };
}

describe('the service', () => {
  test('counts on nothing that the store did not take', async () => {
    const { service, registry, state, told } = scene();
    await service.put('a', BODY, ACTOR, anyRevision);
    state.fails = true;
    await expect(service.put('a', OTHER, ACTOR, anyRevision)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await expect(service.remove('a', ACTOR, anyRevision)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    expect(registry.profiles.get('a')?.kind).toBe('envoy');
    state.fails = false;
    const { listed } = await service.put('a', OTHER, ACTOR, anyRevision);
    expect([listed.revision, told.map(({ kind }) => kind)]).toEqual([
      2,
      ['pep_profile.put', 'pep_profile.put'],
    ]);
  });

  test('makes one change after the other: of two that expect the same revision, one is refused', async () => {
    const { service } = scene();
    await service.put('a', BODY, ACTOR, anyRevision);
    const only = (wanted: number) => (revision: number | undefined) => {
      if (revision !== wanted) throw new AppError('PRECONDITION_FAILED', `it is at ${revision}`);
    };
    const results = await Promise.allSettled([
      service.put('a', OTHER, ACTOR, only(1)),
      service.put('a', BODY, ACTOR, only(1)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('keeps as many profiles as there may be, the configured ones included', async () => {
    const { service } = scene([profile('fixed')]);
    for (let at = 1; at < MAX_PROFILES; at += 1) await service.put(`p${at}`, BODY, ACTOR, anyRevision);
    await expect(service.put('more', BODY, ACTOR, anyRevision)).rejects.toMatchObject({
      code: 'PROFILE_INVALID',
    });
    await service.put('p1', OTHER, ACTOR, anyRevision);
    await service.remove('p1', ACTOR, anyRevision);
    await service.put('more', BODY, ACTOR, anyRevision);
  });

  test.each([
    ['a removal of none', 'none', 'NOT_FOUND'],
    ['a removal of one of the configuration', 'fixed', 'PROFILE_READ_ONLY'],
  ])('refuses %s', async (_, name, code) => {
    const { service } = scene([profile('fixed')]);
    await expect(service.remove(name, ACTOR, anyRevision)).rejects.toMatchObject({ code });
  });
});
