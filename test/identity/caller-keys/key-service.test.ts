/** The life of callers' keys: made, rotated, revoked, reported, listed; over a clock that is turned by hand. */
import { describe, expect, test } from 'vitest';
import type { KeyActor, NewCallerKey } from '../../../src/identity/caller-keys/key-service.ts';
import type { KeyFilter } from '../../../src/identity/caller-keys/key-filter.ts';
import { digestOf } from '../../../src/identity/caller-keys/pepper-hash.ts';
import type { CallerKeyStore } from '../../../src/identity/caller-keys/ports.ts';
import { ACME, DAY_MS, keyScene, type KeyScene, ROOT, wanted } from './key-scene.ts';

const HOUR_MS = 3_600_000;
const at = ({ clock }: KeyScene, later: number) => new Date(clock.now() + later).toISOString();
const works = ({ table }: KeyScene, token: string) => table.verify(token).entry !== undefined;

function make(scene: KeyScene, change: Partial<NewCallerKey> = {}, actor: KeyActor = ROOT) {
  return scene.keys.create(wanted(scene, change), actor);
}

describe('making a key', () => {
  test('it works at once, is shown once, and its event names nobody but by the subject', async () => {
    const scene = keyScene();
    const { token, record } = await make(scene, {
      description: 'nightly batch of Alice',
      scopes: [{ models: ['acme/support-llm'] }],
      networks: ['10.0.0.0/8'],
    });
    expect(works(scene, token)).toBe(true);
    expect(record).toMatchObject({
      owner: { type: 'User', id: 'acme/alice' },
      tenant: 'acme',
      createdBy: 'root',
    });
    expect(JSON.stringify([record, scene.keys.get(record.id, ROOT), scene.told])).not.toContain(
      token.slice(21),
    );
    const [event] = scene.told;
    expect(event).toMatchObject({
      kind: 'caller_key.create',
      subject: 'AI::User::"acme/alice"',
      tenant: 'acme',
      actor: 'root',
    });
    expect(JSON.stringify(event?.details)).not.toMatch(/alice|Alice|10\.0/);
  });

  test.each([
    ['in the past', -1],
    ['now', 0],
    ['a millisecond beyond the longest life', 90 * DAY_MS + 1],
  ])('an expiry %s is refused', async (_, later) => {
    const scene = keyScene();
    await expect(make(scene, { expiresAt: at(scene, later) })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      problems: [{ pointer: '/expiresAt' }],
    });
    expect(scene.table.size).toBe(0);
  });

  test('each tenant has its own longest life', async () => {
    const scene = keyScene();
    const owner = { type: 'Service', id: 'globex/batch' };
    await expect(make(scene, { owner, expiresAt: at(scene, 11 * DAY_MS) })).rejects.toThrow('within 10 days');
    await make(scene, { owner, expiresAt: at(scene, 10 * DAY_MS) });
    await make(scene, { expiresAt: at(scene, 90 * DAY_MS) });
  });

  test.each([
    ['is not there', { type: 'User', id: 'acme/nobody' }, ROOT],
    ['is disabled', { type: 'User', id: 'acme/left' }, ROOT],
    ['is of another tenant than its maker', { type: 'Service', id: 'globex/batch' }, ACME],
    ['is of no tenant, while its maker is of one', { type: 'Agent', id: 'nobodys' }, ACME],
  ])('an owner who %s gets none, and all are told the same', async (_, owner, actor) => {
    const scene = keyScene();
    await expect(make(scene, { owner }, actor)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: `there is no active principal \`${owner.type} ${owner.id}\``,
    });
    expect(scene.told).toEqual([]);
  });

  test('it does not work before its time', async () => {
    const scene = keyScene();
    const { token } = await make(scene, { notBefore: at(scene, DAY_MS) });
    expect(scene.table.verify(token).cause).toBe('key_not_yet');
    scene.clock.advance(DAY_MS);
    expect(works(scene, token)).toBe(true);
  });

  test('it ends to the millisecond, and a clock that goes back does not revive what is revoked', async () => {
    const scene = keyScene();
    const { token, record } = await make(scene);
    scene.clock.advance(30 * DAY_MS - 1);
    expect(works(scene, token)).toBe(true);
    scene.clock.advance(1);
    expect(scene.table.verify(token).cause).toBe('key_expired');
    await scene.keys.revoke(record.id, '', ROOT);
    scene.clock.step(-60 * DAY_MS);
    expect(scene.table.verify(token).cause).toBe('key_revoked');
  });

  test('what the store refuses is not there', async () => {
    const scene = keyScene({
      store: store => ({ ...storeOf(store), commit: () => Promise.reject(new Error('the disk is full')) }),
    });
    await expect(make(scene)).rejects.toThrow('the disk is full');
    expect(scene.table.size).toBe(0);
    expect(scene.told).toEqual([]);
  });
});

/** The store behind a wall of its own, in which a door can be changed. */
function storeOf(store: CallerKeyStore): CallerKeyStore {
  return {
    load: () => store.load(),
    commit: (change, events) => store.commit(change, events),
    recordUses: uses => store.recordUses(uses),
    remove: ids => store.remove(ids),
  };
}

describe('rotation', () => {
  test('the successor may do the same; both work until the overlap ends', async () => {
    const scene = keyScene();
    const old = await make(scene, {
      scopes: [{ actions: ['generate'] }],
      networks: ['10.0.0.0/8'],
      oauthScopes: ['a'],
    });
    const next = await scene.keys.rotate(old.record.id, { overlapSeconds: 3600 }, ROOT);
    expect(next.record).toMatchObject({
      owner: old.record.owner,
      scopes: [{ actions: ['generate'] }],
      networks: ['10.0.0.0/8'],
      oauthScopes: ['a'],
      replaces: old.record.id,
      expiresAt: at(scene, 30 * DAY_MS),
    });
    expect(scene.keys.get(old.record.id, ROOT).record).toMatchObject({ supersededBy: next.record.id });
    scene.clock.advance(HOUR_MS - 1);
    expect([works(scene, old.token), works(scene, next.token)]).toEqual([true, true]);
    scene.clock.advance(1);
    expect([works(scene, old.token), works(scene, next.token)]).toEqual([false, true]);
    expect(scene.told.at(-1)).toMatchObject({
      kind: 'caller_key.rotate',
      details: { key: next.record.id, replaces: old.record.id },
    });
  });

  test('without a word the overlap is a day, and never longer than the key would have lasted', async () => {
    const scene = keyScene();
    const long = await make(scene);
    const short = await make(scene, { expiresAt: at(scene, HOUR_MS) });
    await scene.keys.rotate(long.record.id, {}, ROOT);
    await scene.keys.rotate(short.record.id, {}, ROOT);
    expect(scene.keys.get(long.record.id, ROOT).record.expiresAt).toBe(at(scene, DAY_MS));
    expect(scene.keys.get(short.record.id, ROOT).record.expiresAt).toBe(at(scene, HOUR_MS));
  });

  test('no overlap at all ends the old key with the call', async () => {
    const scene = keyScene();
    const old = await make(scene);
    await scene.keys.rotate(old.record.id, { overlapSeconds: 0 }, ROOT);
    expect(works(scene, old.token)).toBe(false);
  });

  test.each([
    ['an overlap beyond the longest', { overlapSeconds: 7 * 86_400 + 1 }, 'INVALID_REQUEST'],
    ['a life beyond the longest', { expiresAt: '2099-01-01T00:00:00.000Z' }, 'INVALID_REQUEST'],
  ])('%s is refused, and nothing changes', async (_, request, code) => {
    const scene = keyScene();
    const old = await make(scene);
    await expect(scene.keys.rotate(old.record.id, request, ROOT)).rejects.toMatchObject({ code });
    expect(scene.keys.get(old.record.id, ROOT).record).toEqual(old.record);
    expect(scene.table.size).toBe(1);
  });

  test('a key has one successor, also when two ask at once', async () => {
    const scene = keyScene();
    const old = await make(scene);
    const both = await Promise.allSettled([
      scene.keys.rotate(old.record.id, {}, ROOT),
      scene.keys.rotate(old.record.id, {}, ROOT),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(scene.table.size).toBe(2);
  });

  test('a key that works no more, or whose owner left or moved, has none', async () => {
    const scene = keyScene();
    const [revoked, moved] = [
      await make(scene),
      await make(scene, { owner: { type: 'User', id: 'acme/bob' } }),
    ];
    await scene.keys.revoke(revoked.record.id, '', ROOT);
    await expect(scene.keys.rotate(revoked.record.id, {}, ROOT)).rejects.toThrow('works no more');
    scene.owners.set('User acme/bob', { tenant: 'globex', status: 'active' });
    await expect(scene.keys.rotate(moved.record.id, {}, ROOT)).rejects.toThrow('another tenant');
    scene.owners.delete('User acme/bob');
    await expect(scene.keys.rotate(moved.record.id, {}, ROOT)).rejects.toThrow('no active principal');
  });
});

describe('revocation', () => {
  test('counts before it is answered, once, with the reason', async () => {
    const scene = keyScene();
    const { token, record } = await make(scene);
    const revoking = scene.keys.revoke(record.id, 'lost', ACME);
    await revoking;
    expect(scene.table.verify(token)).toEqual({ cause: 'key_revoked', id: record.id });
    await scene.keys.revoke(record.id, 'again', ROOT);
    expect(scene.keys.get(record.id, ROOT).record.revoked).toMatchObject({ by: 'of-acme', reason: 'lost' });
    expect(scene.told.filter(({ kind }) => kind === 'caller_key.revoke')).toHaveLength(1);
  });

  test('what the store did not take does not count', async () => {
    let broken = false;
    const scene = keyScene({
      store: store => ({
        ...storeOf(store),
        commit: (change, events) =>
          broken ? Promise.reject(new Error('the disk is full')) : store.commit(change, events),
      }),
    });
    const { token, record } = await make(scene);
    broken = true;
    await expect(scene.keys.revoke(record.id, '', ROOT)).rejects.toThrow('the disk is full');
    expect(works(scene, token)).toBe(true);
    broken = false;
    await scene.keys.revoke(record.id, '', ROOT);
    expect(works(scene, token)).toBe(false);
  });

  test('takes along what the key made for itself, however far down, and nothing else', async () => {
    const scene = keyScene();
    const [first, stranger] = [await make(scene), await make(scene)];
    const second = await scene.keys.rotate(first.record.id, {}, ROOT, `caller-key:${first.record.id}`);
    const third = await scene.keys.rotate(second.record.id, {}, ROOT, `caller-key:${second.record.id}`);
    const byAdmin = await scene.keys.rotate(stranger.record.id, {}, ROOT);
    await scene.keys.revoke(first.record.id, 'stolen', ROOT);
    await scene.keys.revoke(stranger.record.id, '', ROOT);
    expect([first, second, third, byAdmin].map(({ token }) => works(scene, token))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(scene.keys.get(third.record.id, ROOT).record.revoked).toMatchObject({
      cause: 'lineage',
      reason: 'stolen',
    });
  });

  test('by owner and by tenant, all at once, and no key made in between escapes', async () => {
    const scene = keyScene();
    const alice = [await make(scene), await make(scene)];
    const bob = await make(scene, { owner: { type: 'User', id: 'acme/bob' } });
    const globex = await make(scene, {
      owner: { type: 'Service', id: 'globex/batch' },
      expiresAt: at(scene, DAY_MS),
    });
    const early = make(scene);
    const count = scene.keys.revokeMany({ owner: { type: 'User', id: 'acme/alice' } }, 'left', ACME);
    expect(await count).toBe(3);
    expect([...alice, await early].map(({ token }) => works(scene, token))).toEqual([false, false, false]);
    expect(works(scene, bob.token)).toBe(true);
    expect(await scene.keys.revokeMany({ tenant: 'acme' }, 'breach', ROOT)).toBe(1);
    expect([works(scene, bob.token), works(scene, globex.token)]).toEqual([false, true]);
    await expect(scene.keys.revokeMany({ tenant: 'globex' }, '', ACME)).rejects.toMatchObject({
      code: 'TENANT_NOT_ALLOWED',
    });
    expect(await scene.keys.revokeMany({ owner: { type: 'Service', id: 'globex/batch' } }, '', ACME)).toBe(0);
  });

  test('of more keys than one transaction takes, each with its event', async () => {
    const scene = keyScene();
    const made = [];
    for (let count = 0; count < 1_100; count += 1) made.push(await make(scene));
    expect(await scene.keys.revokeMany({ tenant: 'acme' }, 'breach', ROOT)).toBe(1_100);
    expect(made.every(({ token }) => !works(scene, token))).toBe(true);
    expect(scene.told.filter(({ kind }) => kind === 'caller_key.revoke')).toHaveLength(1_100);
  });
});

describe('reports of leaks', () => {
  const report = async (scene: KeyScene, tokens: readonly string[]) => {
    const found = scene.keys.recognise(tokens.map(digestOf));
    await scene.keys.leaked(
      new Map(found.flatMap(entry => (entry === undefined ? [] : [[entry, 'content'] as const]))),
      ROOT,
    );
    return found.map(entry => entry?.key.id);
  };

  test('a key is recognised by its digest alone, whatever its pepper, expired and revoked too; a typo is not', async () => {
    const before = keyScene();
    const old = await make(before);
    const scene = keyScene({
      state: before.state,
      peppers: new Map([
        [1, Buffer.alloc(32, 1)],
        [2, Buffer.alloc(32, 2)],
      ]),
    });
    await scene.keys.load();
    const young = await make(scene);
    await scene.keys.revoke(old.record.id, '', ROOT);
    const found = await report(scene, [old.token, young.token.slice(0, -1), young.token, 'x']);
    expect(found).toEqual([old.record.id, undefined, young.record.id, undefined]);
  });

  test('it is revoked at once, with what it made, and the log hears of the leak', async () => {
    const scene = keyScene();
    const key = await make(scene);
    const next = await scene.keys.rotate(key.record.id, {}, ROOT, `caller-key:${key.record.id}`);
    await report(scene, [key.token, key.token]);
    expect([works(scene, key.token), works(scene, next.token)]).toEqual([false, false]);
    expect(scene.keys.get(key.record.id, ROOT).record).toMatchObject({
      revoked: { cause: 'leak' },
      leakedAt: at(scene, 0),
    });
    const leaks = scene.told.filter(({ kind }) => kind === 'caller_key.leak');
    expect(leaks).toMatchObject([{ details: { key: key.record.id, source: 'content', revoked: true } }]);
  });

  test('it is flagged and works on where that is configured; a second report adds nothing', async () => {
    const scene = keyScene({ policy: { onLeak: 'flag' } });
    const key = await make(scene);
    await report(scene, [key.token]);
    await report(scene, [key.token]);
    expect(works(scene, key.token)).toBe(true);
    expect(scene.keys.list({ state: 'leaked' }, ROOT, 10).items).toHaveLength(1);
    expect(scene.told.filter(({ kind }) => kind === 'caller_key.leak')).toHaveLength(1);
  });
});

describe('reports of keys', () => {
  test('unused, ending, by owner, by tenant and by state, newest first and page by page', async () => {
    const scene = keyScene();
    const alice = await make(scene);
    const bob = await make(scene, { owner: { type: 'User', id: 'acme/bob' }, expiresAt: at(scene, DAY_MS) });
    const globex = await make(scene, {
      owner: { type: 'Service', id: 'globex/batch' },
      expiresAt: at(scene, 2 * DAY_MS),
    });
    scene.clock.advance(HOUR_MS);
    const used = scene.table.find(alice.record.id);
    if (used !== undefined)
      used.lastUse = { id: alice.record.id, minute: Math.floor(scene.clock.now() / 60_000) };
    const ids = (filter: KeyFilter, actor: KeyActor = ROOT) =>
      scene.keys.list(filter, actor, 10).items.map(({ record }) => record.id);
    const [a, b, g] = [alice.record.id, bob.record.id, globex.record.id];
    expect(ids({})).toEqual([g, b, a]);
    expect(ids({}, { keyId: 'x', tenants: ACME.tenants })).toEqual([b, a]);
    expect(ids({ owner: { type: 'User', id: 'acme/bob' } })).toEqual([b]);
    expect(ids({ tenant: 'globex' })).toEqual([g]);
    expect(ids({ unusedSince: at(scene, 0) })).toEqual([g, b]);
    expect(ids({ unusedSince: at(scene, -2 * HOUR_MS) })).toEqual([]);
    expect(ids({ unusedSince: at(scene, HOUR_MS) })).toEqual([g, b, a]);
    expect(ids({ expiresBefore: at(scene, DAY_MS) })).toEqual([b]);
    expect(ids({ expiresBefore: at(scene, DAY_MS), tenant: 'globex' })).toEqual([]);
    await scene.keys.revoke(b, '', ROOT);
    expect([ids({ state: 'revoked' }), ids({ state: 'active' })]).toEqual([[b], [g, a]]);
    scene.clock.advance(3 * DAY_MS);
    expect([ids({ state: 'expired' }), ids({ expiresBefore: at(scene, DAY_MS) })]).toEqual([[g], []]);
    const first = scene.keys.list({}, ROOT, 2);
    expect(first.next).toBe(b);
    expect(scene.keys.list({}, ROOT, 2, b)).toMatchObject({ items: [{ record: { id: a } }], next: null });
  });

  test('a key of another tenant is not there', async () => {
    const scene = keyScene();
    const { record } = await make(scene, {
      owner: { type: 'Service', id: 'globex/batch' },
      expiresAt: at(scene, DAY_MS),
    });
    const message = `there is no key \`${record.id}\``;
    expect(() => scene.keys.get(record.id, ACME)).toThrow(message);
    await expect(scene.keys.revoke(record.id, '', ACME)).rejects.toThrow(message);
    await expect(scene.keys.rotate(record.id, {}, ACME)).rejects.toThrow(message);
  });

  test('a key that has been over for ninety days is forgotten when the next one is made', async () => {
    const scene = keyScene();
    const old = await make(scene);
    scene.clock.advance(120 * DAY_MS - 1);
    const kept = await make(scene);
    expect(scene.table.size).toBe(2);
    scene.clock.advance(DAY_MS);
    await make(scene);
    expect(scene.table.find(old.record.id)).toBeUndefined();
    const stored = (await Array.fromAsync(scene.state.callerKeys.load())).flat();
    expect(stored.map(({ key }) => key.id)).not.toContain(old.record.id);
    expect(stored.map(({ key }) => key.id)).toContain(kept.record.id);
  });
});
