/** Keys as a service over the reference store: authority never grows, races cannot remove the last admin. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Credential, type KeyRequest, ROLES, type Role } from '../../src/domain/credential.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { excessOf, holdsRole, mayActFor } from '../../src/identity/authority.ts';
import { KeyHasher } from '../../src/identity/key-hash.ts';
import { KeyRing } from '../../src/identity/key-ring.ts';
import { KeyService } from '../../src/identity/key-service.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { objectDigest } from '../../src/wiring/object-digest.ts';
import { gateOf, shippedPlane } from '../control/shipped-control.ts';
import { countedIds, manualClock } from './clock.ts';

const ADMIN: Credential = { keyId: 'root', roles: new Set(['admin']), tenants: undefined, mayAssert: true };
const GUARD = gateOf(shippedPlane()).keys;
const REQUEST = { description: '', mayAssert: true };

function scene() {
  const clock = manualClock();
  const hasher = new KeyHasher(randomBytes(32));
  const ring = new KeyRing(hasher, clock);
  const state = new MemoryState();
  const announced: EventEntry[] = [];
  const options = {
    store: state.keys,
    hasher,
    clock,
    ids: countedIds(),
    random: randomBytes,
    guard: GUARD,
    digestOf: objectDigest,
    announce: async (event: EventEntry) => void announced.push(event),
  };
  const keys = new KeyService({ ...options, ring });
  const reopen = async () => {
    const fresh = new KeyRing(hasher, clock);
    await new KeyService({ ...options, ring: fresh }).load();
    return fresh;
  };
  return { clock, ring, state, keys, announced, reopen };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'done';
}

describe('bootstrap', () => {
  test('makes one admin key in an empty store, and never again', async () => {
    const { keys, ring, announced } = scene();
    const token = await keys.bootstrap(undefined);
    expect(ring.authenticate(`Bearer ${token}`).credential?.roles).toEqual(new Set(['admin']));
    expect(await keys.bootstrap(undefined)).toBeUndefined();
    expect(ring.keys).toHaveLength(1);
    expect(announced.map(({ kind, actor }) => [kind, actor])).toEqual([['key.bootstrap', 'system']]);
  });

  test('takes a configured key as it is, whatever its form, and prints nothing', async () => {
    const { keys, ring } = scene();
    expect(await keys.bootstrap('an operator chose this-0123456789!')).toBeUndefined();
    expect(ring.authenticate('Bearer an operator chose this-0123456789!').credential?.keyId).toBe(
      'bootstrap',
    );
  });

  test('takes a configured key that has the form of a generated one', async () => {
    const other = scene();
    const { token, record } = await other.keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    const { keys, ring } = scene();
    await keys.bootstrap(token);
    expect(ring.authenticate(`Bearer ${token}`).credential?.keyId).toBe(record.id);
  });

  test('does not bring back a revoked key', async () => {
    const { keys, ring } = scene();
    const token = 'an operator chose this-0123456789!';
    await keys.bootstrap(token);
    await keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    await keys.revoke('bootstrap', ADMIN);
    await keys.bootstrap(token);
    expect(ring.authenticate(`Bearer ${token}`).failure?.cause).toBe('revoked');
  });
});

describe('what is stored', () => {
  test('is a hash, never the key', async () => {
    const { keys, state, announced } = scene();
    const { token } = await keys.create({ ...REQUEST, roles: ['pep'] }, ADMIN);
    const everything = JSON.stringify([await state.keys.list(), announced, await state.outbox.pending(100)]);
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(token.slice(21, 64));
  });

  test('is loaded again with expiry and revocation', async () => {
    const { keys, clock, reopen } = scene();
    const lasting = await keys.create({ ...REQUEST, roles: ['pep'] }, ADMIN);
    const ending = await keys.create(
      { ...REQUEST, roles: ['pep'], expiresAt: new Date(clock.now() + 1000).toISOString() },
      ADMIN,
    );
    const revoked = await keys.create({ ...REQUEST, roles: ['pep'] }, ADMIN);
    await keys.revoke(revoked.record.id, ADMIN);
    clock.advance(1000);
    const ring = await reopen();
    const causes = [lasting, ending, revoked].map(
      ({ token }) => ring.authenticate(`Bearer ${token}`).failure?.cause,
    );
    expect(causes).toEqual([undefined, 'expired', 'revoked']);
  });
});

describe('the last admin key', () => {
  test('survives two revocations at once', async () => {
    const { keys, ring } = scene();
    const one = await keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    const two = await keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    const codes = await Promise.all([one, two].map(({ record }) => codeOf(keys.revoke(record.id, ADMIN))));
    expect(codes.sort()).toEqual(['LAST_ADMIN_KEY', 'done']);
    expect(ring.keys.filter(key => ring.isActive(key))).toHaveLength(1);
  });

  test.each<[name: string, roles: Role[], tenants: string[] | undefined]>([
    ['an admin of one tenant', ['admin'], ['acme']],
    ['a key with every other role', ROLES.filter(role => role !== 'admin'), undefined],
  ])('is not replaced by %s', async (_name, roles, tenants) => {
    const { keys } = scene();
    const { record } = await keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    await keys.create({ ...REQUEST, roles, tenants }, ADMIN);
    expect(await codeOf(keys.revoke(record.id, ADMIN))).toBe('LAST_ADMIN_KEY');
  });

  test('is not replaced by one that has expired', async () => {
    const { keys, clock } = scene();
    const { record } = await keys.create({ ...REQUEST, roles: ['admin'] }, ADMIN);
    await keys.create(
      { ...REQUEST, roles: ['admin'], expiresAt: new Date(clock.now() + 1000).toISOString() },
      ADMIN,
    );
    clock.advance(1000);
    expect(await codeOf(keys.revoke(record.id, ADMIN))).toBe('LAST_ADMIN_KEY');
  });
});

test('a store that refuses leaves no key behind, and a later change works', async () => {
  const { keys, state, ring } = scene();
  const create = state.keys.create.bind(state.keys);
  state.keys.create = () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'the disk is full'));
  expect(await codeOf(keys.create({ ...REQUEST, roles: ['pep'] }, ADMIN))).toBe('STORE_UNAVAILABLE');
  expect(ring.keys).toEqual([]);
  state.keys.create = create;
  expect(await codeOf(keys.create({ ...REQUEST, roles: ['pep'] }, ADMIN))).toBe('done');
});

describe('authority', () => {
  const roles = fc.uniqueArray(fc.constantFrom(...ROLES), { minLength: 1 });
  const tenants = fc.option(fc.uniqueArray(fc.constantFrom('acme', 'globex', 'initech'), { minLength: 1 }), {
    nil: undefined,
  });
  const grant = fc.record({ roles, tenants, mayAssert: fc.boolean() });

  test('over callers is passed on unchanged by a key that is held to rules', async () => {
    const { keys, ring } = scene();
    const rules = [{ mode: 'verify', tenants: ['acme'], principalTypes: ['User'] }] as const;
    const callers = rules.map(rule => ({
      ...rule,
      tenants: [...rule.tenants],
      principalTypes: [...rule.principalTypes],
    }));
    const { token } = await keys.create({ ...REQUEST, roles: ['admin'], callers }, ADMIN);
    const held = ring.authenticate(`Bearer ${token}`).credential;
    if (held === undefined) throw new Error('the key does not work');
    expect(held.callers).toEqual(callers);
    const attempt = (grant: Partial<KeyRequest>) =>
      codeOf(keys.create({ ...REQUEST, roles: ['pep'], ...grant }, held));
    expect(await attempt({})).toBe('ROLE_REQUIRED');
    expect(await attempt({ callers: [{ mode: 'assert' }] })).toBe('ROLE_REQUIRED');
    expect(await attempt({ callers: [...callers, { mode: 'assert' }] })).toBe('ROLE_REQUIRED');
    expect(await attempt({ callers })).toBe('done');
    expect(await attempt({ roles: ['auditor'] })).toBe('done');
    // whoever has no rules may hand out any
    expect(
      await codeOf(keys.create({ ...REQUEST, roles: ['pep'], callers: [{ mode: 'assert' }] }, ADMIN)),
    ).toBe('done');
  });

  test('over callers is in the event that makes the key, and outlives a restart', async () => {
    const { keys, announced, reopen } = scene();
    const callers = [
      { mode: 'assert' as const, maxAssurance: 1 },
      { mode: 'verify' as const, tenants: ['a'] },
    ];
    const { token, record } = await keys.create({ ...REQUEST, roles: ['pep'], callers }, ADMIN);
    expect(record.callers).toEqual(callers);
    expect(announced[0]?.details['callers']).toEqual(callers);
    expect((await reopen()).authenticate(`Bearer ${token}`).credential?.callers).toEqual(callers);
  });

  test('never grows by passing it on', () => {
    fc.assert(
      fc.property(grant, grant, (own, given) => {
        const maker: Credential = {
          keyId: 'maker',
          roles: new Set(own.roles),
          tenants: own.tenants === undefined ? undefined : new Set(own.tenants),
          mayAssert: own.mayAssert,
        };
        const made: Credential = {
          keyId: 'made',
          roles: new Set(given.roles),
          tenants: given.tenants === undefined ? undefined : new Set(given.tenants),
          mayAssert: given.mayAssert,
        };
        const grows =
          ROLES.some(role => holdsRole(made, role) && !holdsRole(maker, role)) ||
          ['acme', 'globex', 'initech', 'another', undefined].some(
            tenant => mayActFor(made, tenant) && !mayActFor(maker, tenant),
          ) ||
          (made.mayAssert && !maker.mayAssert);
        expect(excessOf(maker, given) !== undefined).toBe(grows);
      }),
    );
  });
});
