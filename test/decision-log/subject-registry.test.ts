/** The registry of subjects: what it hands out, when it is durable, and that it forgets. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { InputDigest, InputReference } from '../../src/decision-log/leaf-privacy.ts';
import { monthAfter, monthOf } from '../../src/decision-log/month-keyring.ts';
import type { SubjectStore } from '../../src/decision-log/ports.ts';
import { SubjectRegistry } from '../../src/decision-log/subject-registry.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { event } from '../conformance/state-backend.ts';
import { madeDigest } from './made-digest.ts';

const NOVEMBER = Date.UTC(2026, 10, 22, 12);
const DECEMBER = Date.UTC(2026, 11, 1);
const ALICE = { type: 'User', id: 'acme/alice' };
const ALICE_KEY = 'AI::User::"acme/alice"';
const INPUT = { tenant: 'acme', resource: 'AI::Model::"acme/m"', hash: 'sha256:00' };

let now: number;
let state: MemoryState;
let errors: unknown[];

beforeEach(() => {
  now = NOVEMBER;
  state = new MemoryState();
  errors = [];
});

/** A registry over the state, whose store answers in some methods as given. */
function open(other: Partial<SubjectStore> = {}): Promise<SubjectRegistry> {
  const store = state.subjects;
  return SubjectRegistry.open({
    store: {
      load: () => store.load(),
      add: subjects => store.add(subjects),
      monthKeys: () => store.monthKeys(),
      addMonthKeys: keys => store.addMonthKeys(keys),
      dropMonthKeys: before => store.dropMonthKeys(before),
      erase: (erasure, entry) => store.erase(erasure, entry),
      replaceNameKeys: keys => store.replaceNameKeys(keys),
      ...other,
    },
    clock: { now: () => now, monotonic: () => now },
    random: randomBytes,
    personalKeys: () => new Set(['ip']),
    onError: error => errors.push(error),
  });
}

function digestOf(registry: SubjectRegistry, input: InputReference, time: number): InputDigest {
  return madeDigest(registry.inputDigest(input, time));
}

/** Lets background work of the memory backend settle. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

function erasureEvent(pseudonym: string | undefined): EventEntry {
  return { ...event(`erase ${pseudonym ?? 'nobody'}`, 'audit.erase'), subject: pseudonym ?? 'unregistered' };
}

describe('registered principals', () => {
  test('have a pseudonym of 128 random bits and a key of 32 bytes, the same after a restart', async () => {
    const registry = await open();
    await registry.register([ALICE_KEY]);
    const subject = registry.subject(ALICE_KEY);
    expect(subject?.pseudonym).toMatch(/^p:[A-Za-z0-9_-]{22}$/);
    expect(subject?.key.length).toBe(32);
    expect((await open()).subject(ALICE_KEY)).toEqual(subject);
  });

  test('have pseudonyms that nothing derives from the name', async () => {
    const first = await open();
    await first.register([ALICE_KEY]);
    state = new MemoryState();
    const second = await open();
    await second.register([ALICE_KEY]);
    expect(second.subject(ALICE_KEY)?.pseudonym).not.toBe(first.subject(ALICE_KEY)?.pseudonym);
  });

  test('keep what they have when they are registered again', async () => {
    const registry = await open();
    await registry.register([ALICE_KEY, ALICE_KEY]);
    const before = registry.subject(ALICE_KEY);
    await registry.register([ALICE_KEY, 'AI::Agent::"acme/bot"']);
    expect(registry.subject(ALICE_KEY)).toEqual(before);
    expect(registry.size).toBe(2);
  });

  test('are unknown until they are durable', async () => {
    const gate = Promise.withResolvers<void>();
    const registry = await open({
      async add(subjects) {
        await gate.promise;
        return state.subjects.add(subjects);
      },
    });
    const registered = registry.register([ALICE_KEY]);
    await settle();
    expect(registry.subject(ALICE_KEY)).toBeUndefined();
    gate.resolve();
    await registered;
    expect(registry.subject(ALICE_KEY)).toBeDefined();
  });

  test('have what the store kept when an earlier answer of it was lost', async () => {
    let isLost = true;
    const registry = await open({
      async add(subjects) {
        const known = await state.subjects.add(subjects);
        if (isLost) throw new Error('the answer was lost');
        return known;
      },
    });
    await expect(registry.register([ALICE_KEY])).rejects.toThrow('lost');
    expect(registry.subject(ALICE_KEY)).toBeUndefined();
    isLost = false;
    await registry.register([ALICE_KEY]);
    expect(registry.subject(ALICE_KEY)).toEqual((await open()).subject(ALICE_KEY));
  });

  test('are found again by their pseudonyms, thousands of them', async () => {
    const registry = await open();
    const names = Array.from({ length: 5_000 }, (_, n) => `AI::Service::"acme/s${n}"`);
    await registry.register(names);
    const pseudonyms = names.map(name => registry.subject(name)?.pseudonym ?? '');
    expect(new Set(pseudonyms).size).toBe(names.length);
    const found = await registry.resolve([...pseudonyms, 'p:unknown', 'u:unknown']);
    expect([...found.values()]).toEqual(names);
    const keys = await registry.keys(pseudonyms);
    for (const name of names) {
      const subject = registry.subject(name);
      expect(keys.get(subject?.pseudonym ?? '')).toEqual(subject?.key);
    }
  });
});

describe('principals that were never registered', () => {
  test('have one name within a month and another in the next, and are found by both', async () => {
    const registry = await open();
    const [first, again] = [
      registry.unregistered(ALICE_KEY, NOVEMBER),
      registry.unregistered(ALICE_KEY, now + 1),
    ];
    expect(first).toMatch(/^u:[A-Za-z0-9_-]{22}$/);
    expect(again).toBe(first);
    const next = registry.unregistered(ALICE_KEY, DECEMBER);
    expect(next).not.toBe(first);
    expect(registry.unregistered('AI::User::"acme/alicf"', NOVEMBER)).not.toBe(first);
    expect(await registry.pseudonymsOf('User', ALICE.id)).toEqual([first, next]);
    expect(await registry.pseudonymsOf(undefined, ALICE.id)).toHaveLength(6);
    await registry.register([ALICE_KEY]);
    expect(await registry.pseudonymsOf('User', ALICE.id)).toEqual([
      registry.subject(ALICE_KEY)?.pseudonym,
      first,
      next,
    ]);
  });
});

describe('month keys', () => {
  test('are made ahead for this month and the next, for each tenant and for all', async () => {
    const registry = await open();
    await registry.addTenants(['acme', 'globex']);
    const { input, unregistered } = await state.subjects.monthKeys();
    expect(input.map(({ kid }) => kid).sort()).toEqual([
      '/2026-11',
      '/2026-12',
      'acme/2026-11',
      'acme/2026-12',
      'globex/2026-11',
      'globex/2026-12',
    ]);
    expect(unregistered.map(({ kid }) => kid).sort()).toEqual(['/2026-11', '/2026-12']);
  });

  test('of the next month are made when this one has come, and none for tenants that are gone', async () => {
    const registry = await open();
    await registry.addTenants(['acme', 'globex']);
    registry.removeTenants(['globex']);
    now = DECEMBER;
    await registry.makeMonthKeys();
    const kids = (await state.subjects.monthKeys()).input.map(({ kid }) => kid);
    expect(kids).toContain('acme/2027-01');
    expect(kids).not.toContain('globex/2027-01');
  });

  test('digest inputs by tenant, resource and hash, and say which key they used', async () => {
    const registry = await open();
    await registry.addTenants(['acme', 'globex']);
    const digest = digestOf(registry, INPUT, NOVEMBER);
    expect(digest).toEqual({ kid: 'acme/2026-11', mac: digest.mac });
    expect(digest.mac).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(digestOf(registry, INPUT, NOVEMBER)).toEqual(digest);
    expect(registry.inputMacBy(digest.kid, INPUT)).toBe(digest.mac);
    const others = [
      digestOf(registry, { ...INPUT, hash: 'sha256:01' }, NOVEMBER),
      digestOf(registry, { ...INPUT, resource: 'AI::Model::"acme/n"' }, NOVEMBER),
      digestOf(registry, { ...INPUT, tenant: 'globex' }, NOVEMBER),
      digestOf(registry, INPUT, DECEMBER),
    ];
    expect(new Set([digest, ...others].map(({ mac }) => mac)).size).toBe(5);
    expect(others.map(({ kid }) => kid)).toEqual([
      'acme/2026-11',
      'acme/2026-11',
      'globex/2026-11',
      'acme/2026-12',
    ]);
  });

  test('of a tenant without its own are the shared ones, which still tell tenants apart', async () => {
    const registry = await open();
    const [one, other] = ['nobody', 'no'].map(tenant => digestOf(registry, { ...INPUT, tenant }, NOVEMBER));
    expect([one?.kid, other?.kid]).toEqual(['/2026-11', '/2026-11']);
    expect(one?.mac).not.toBe(other?.mac);
  });

  test('that a clock jumped over are made at once, and until then nothing uses a key that is not durable', async () => {
    const registry = await open();
    await registry.addTenants(['acme']);
    now = Date.UTC(2028, 0, 5);
    expect(digestOf(registry, INPUT, now).kid).toBe('/2026-12');
    const name = registry.unregistered(ALICE_KEY, now);
    expect(await registry.pseudonymsOf('User', ALICE.id)).toContain(name);
    await settle();
    expect(digestOf(registry, INPUT, now).kid).toBe('acme/2028-01');
    expect((await state.subjects.monthKeys()).input.map(({ kid }) => kid)).toContain('acme/2028-01');
    expect(errors).toEqual([]);
  });

  test('that cannot be made are reported, and the older ones stay in use', async () => {
    let isFull = false;
    const registry = await open({
      addMonthKeys: keys => (isFull ? Promise.reject(new Error('full')) : state.subjects.addMonthKeys(keys)),
    });
    isFull = true;
    now = Date.UTC(2028, 0, 5);
    expect(digestOf(registry, INPUT, now).kid).toBe('/2026-12');
    expect(digestOf(registry, INPUT, now).kid).toBe('/2026-12');
    await settle();
    expect(errors).toHaveLength(1);
  });

  test('of past months are destroyed on demand: their digests can no longer be made', async () => {
    const registry = await open();
    const { kid } = digestOf(registry, INPUT, NOVEMBER);
    await registry.dropMonthKeys(DECEMBER);
    expect(registry.inputMacBy(kid, INPUT)).toBeUndefined();
    now = DECEMBER;
    expect((await open()).inputMacBy(kid, INPUT)).toBeUndefined();
  });

  test('follow the calendar in UTC', () => {
    expect(monthOf(Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toBe('2026-12');
    expect(['2026-11', '2026-12', '2026-09'].map(monthAfter)).toEqual(['2026-12', '2027-01', '2026-10']);
  });
});

describe('erasure', () => {
  test('takes pseudonym and key away at once, and after a restart', async () => {
    const registry = await open();
    await registry.register([ALICE_KEY, 'AI::User::"acme/bob"']);
    const bob = registry.subject('AI::User::"acme/bob"');
    const pseudonym = registry.subject(ALICE_KEY)?.pseudonym ?? '';
    const seen: (string | undefined)[] = [];
    await registry.erase(ALICE, known => {
      seen.push(known);
      return erasureEvent(known);
    });
    expect(seen).toEqual([pseudonym]);
    for (const one of [registry, await open()]) {
      expect(one.subject(ALICE_KEY)).toBeUndefined();
      expect((await one.resolve([pseudonym])).size).toBe(0);
      expect((await one.keys([pseudonym])).size).toBe(0);
      expect(one.subject('AI::User::"acme/bob"')).toEqual(bob);
    }
  });

  test('leaves the key that a leaf was given as it was', async () => {
    const registry = await open();
    await registry.register([ALICE_KEY]);
    const key = registry.subject(ALICE_KEY)?.key ?? new Uint8Array();
    const before = Uint8Array.from(key);
    await registry.erase(ALICE, erasureEvent);
    expect(key).toEqual(before);
  });

  test('takes away the names of months in which the principal was not registered', async () => {
    const registry = await open();
    const names = await registry.pseudonymsOf('User', ALICE.id);
    await registry.erase(ALICE, erasureEvent);
    for (const one of [registry, await open()]) {
      const after = await one.pseudonymsOf('User', ALICE.id);
      expect(after).toHaveLength(names.length);
      expect(after.filter(name => names.includes(name))).toEqual([]);
    }
  });

  test('of one name leaves nearly all other names findable', async () => {
    const registry = await open();
    const others = Array.from({ length: 1_000 }, (_, n) => `AI::User::"u${n}"`);
    const before = others.map(name => registry.unregistered(name, NOVEMBER));
    await registry.erase(ALICE, erasureEvent);
    const kept = others.filter((name, at) => registry.unregistered(name, NOVEMBER) === before[at]);
    expect(kept.length).toBeGreaterThan(980);
  });

  test('that the store refuses changes nothing', async () => {
    const registry = await open({ erase: () => Promise.reject(new Error('refused')) });
    await registry.register([ALICE_KEY]);
    const before = registry.subject(ALICE_KEY);
    await expect(registry.erase(ALICE, erasureEvent)).rejects.toThrow('refused');
    expect(registry.subject(ALICE_KEY)).toEqual(before);
  });

  test('lets a new principal of the same name begin anew', async () => {
    const registry = await open();
    await registry.register([ALICE_KEY]);
    const before = registry.subject(ALICE_KEY);
    await registry.erase(ALICE, erasureEvent);
    await registry.register([ALICE_KEY]);
    const after = registry.subject(ALICE_KEY);
    expect(after?.pseudonym).not.toBe(before?.pseudonym);
    expect(after?.key).not.toEqual(before?.key);
  });
});
