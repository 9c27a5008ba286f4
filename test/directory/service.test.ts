/** The directory service: checked, serialised writes that are visible at once, with who made them. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { EntityBody } from '../../src/domain/entity.ts';
import type { EntityParser } from '../../src/directory/ports.ts';
import type { Preconditions } from '../../src/directory/preconditions.ts';
import {
  ADMIN,
  body,
  NOW,
  openDirectory,
  shippedParser,
  type TestDirectory,
  tenant,
  user,
} from './directory-fixture.ts';
import { key, ref } from './graph-edits.ts';

const parser: EntityParser = shippedParser();
let directory: TestDirectory;

beforeEach(async () => {
  directory = await openDirectory(parser);
});

const put = (text: string, state: EntityBody, conditions?: Preconditions) =>
  directory.service.put(ref(text), state, ADMIN, conditions);
const get = (text: string) => directory.service.get(ref(text), ADMIN);
const ancestorsOf = (text: string) => [...(directory.service.graph.get(key(text))?.ancestors ?? [])].sort();

describe('put', () => {
  test('creates an entity with defaults, a revision and a time', async () => {
    const { record, created } = await put(
      'User/acme/alice',
      user({ parents: ['Team/acme/b', 'Team/acme/a', 'Team/acme/b'] }),
    );
    expect(created).toBe(true);
    expect(record).toEqual({
      ref: { type: 'User', id: 'acme/alice' },
      attributes: {
        actsFor: [],
        org: 'acme/eu',
        tier: 'pro',
        clearance: 1,
        tenant: { type: 'Tenant', id: 'acme' },
      },
      parents: [ref('Team/acme/a'), ref('Team/acme/b')],
      tags: {},
      status: 'active',
      revision: 1,
      updatedAt: new Date(NOW).toISOString(),
    });
    expect(get('User/acme/alice')).toEqual(record);
    expect(await directory.state.directory.at(ref('User/acme/alice'), 1)).toEqual(record);
  });

  test('replaces as a whole', async () => {
    await put('User/acme/alice', user({ parents: ['Team/acme/a'] }));
    const { record, created } = await put('User/acme/alice', user({ attributes: { tier: 'free' } }));
    expect(created).toBe(false);
    expect(record).toMatchObject({ revision: 2, parents: [], attributes: { tier: 'free' } });
  });

  test('publishes the new graph before it resolves, and leaves earlier graphs as they were', async () => {
    await put('User/acme/alice', user({ parents: ['Team/acme/a'] }));
    await put('Team/acme/a', body({ parents: ['Team/acme/top'] }));
    expect(directory.published.map(({ revision }) => revision)).toEqual([1, 2]);
    const [before, after] = directory.published.map(
      graph => graph.get(key('User/acme/alice'))?.ancestors.size,
    );
    expect([before, after]).toEqual([1, 2]);
    expect(directory.service.graph).toBe(directory.published[1]);
  });

  test('a group change reaches all its members at once', async () => {
    for (const name of ['a', 'b', 'c']) await put(`User/acme/${name}`, user({ parents: ['Team/acme/team'] }));
    await put('Team/acme/team', body({ parents: ['Team/acme/top'] }));
    for (const name of ['a', 'b', 'c']) {
      expect(ancestorsOf(`User/acme/${name}`)).toEqual([key('Team/acme/team'), key('Team/acme/top')]);
    }
  });

  test('records who changed what, from which revision to which', async () => {
    await put('User/acme/alice', user());
    await put('User/acme/alice', user({ status: 'disabled' }));
    const event = (before: number | null, after: number, status: string) => ({
      kind: 'entity.put',
      id: `event-${after}`,
      time: NOW,
      actor: 'admin-key',
      tenant: 'acme',
      subject: 'AI::User::"acme/alice"',
      details: { operation: 'put', before, after, status },
    });
    expect(directory.announced).toEqual([event(null, 1, 'active'), event(1, 2, 'disabled')]);
    expect(await directory.state.outbox.pending(10)).toEqual(directory.announced);
  });

  test('writes that are made at once happen one after the other', async () => {
    const results = await Promise.all(Array.from({ length: 50 }, (_, n) => put(`Role/acme/r${n}`, body({}))));
    expect(results.map(({ record }) => record.revision)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(directory.service.graph.size).toBe(50);
  });
});

describe('validation', () => {
  test.each<[string, string, EntityBody, readonly object[]]>([
    [
      'a wrong type',
      'User/acme/a',
      user({ attributes: { clearance: 'high' } }),
      [{ pointer: '/attributes/clearance' }],
    ],
    [
      'every problem at once',
      'User/acme/a',
      user({ attributes: { clearance: 'x', tier: 1, nope: 1 }, parents: ['Model/m'] }),
      [
        { pointer: '/attributes/clearance' },
        { pointer: '/attributes/tier' },
        { pointer: '/attributes/nope' },
        { pointer: '/parents/0/type' },
      ],
    ],
    ['an unknown type', 'Usr/acme/a', body({}), [{ pointer: '/type', hint: 'did you mean `User`?' }]],
    [
      'a smuggled entity',
      'User/acme/a',
      user({ attributes: { tenant: { __entity: { type: 'AI::Tenant', id: 'x' } } } }),
      [{ pointer: '/attributes/tenant/__entity' }],
    ],
    [
      'a prototype key',
      'User/acme/a',
      {
        ...user(),
        attributes: Object.fromEntries([...Object.entries(user().attributes), ['__proto__', {}]]),
      },
      [{ pointer: '/attributes/__proto__' }],
    ],
    [
      'a missing parent of a type with required attributes',
      'Team/acme/a',
      body({ parents: ['Tenant/acme'] }),
      [{ pointer: '/parents/0', message: 'the parent `Tenant` `acme` does not exist' }],
    ],
    [
      'itself as a parent',
      'Team/acme/a',
      body({ parents: ['Team/acme/a'] }),
      [{ pointer: '/parents/0', message: 'an entity cannot be its own parent' }],
    ],
    [
      'a disabled group',
      'Team/acme/a',
      body({ status: 'disabled' }),
      [
        {
          pointer: '/status',
          hint: 'disabling a group would also switch off the forbids that name it; disable or move its members',
        },
      ],
    ],
    ['a disabled role', 'Role/acme/a', body({ status: 'disabled' }), [{ pointer: '/status' }]],
    [
      'too much JSON',
      'User/acme/a',
      user({ attributes: { actsFor: Array.from({ length: 900 }, (_, n) => `${'x'.repeat(70)}${n}`) } }),
      [{ message: 'the entity has 68410 characters as JSON, the most is 65536' }],
    ],
  ])('refuses %s', async (_name, name, state, problems) => {
    const error: unknown = await put(name, state).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ENTITY_INVALID', problems });
    expect([directory.service.graph.size, directory.published, directory.announced]).toEqual([0, [], []]);
    expect(await directory.state.directory.revision()).toBe(0);
  });

  test.each(['User/acme/a', 'Tenant/acme'])('%s can be disabled: requests name it', async name => {
    const state = name.startsWith('Tenant') ? tenant() : user();
    expect((await put(name, { ...state, status: 'disabled' })).record.status).toBe('disabled');
  });

  test('refuses a cycle and names it', async () => {
    await put('Team/acme/a', body({ parents: ['Team/acme/b'] }));
    await expect(put('Team/acme/b', body({ parents: ['Team/acme/a'] }))).rejects.toMatchObject({
      code: 'ENTITY_INVALID',
      problems: [
        {
          pointer: '/parents',
          message:
            'the parents form a cycle: `AI::Team::"acme/b"` in `AI::Team::"acme/a"` in `AI::Team::"acme/b"`',
        },
      ],
    });
    expect(ancestorsOf('Team/acme/a')).toEqual([key('Team/acme/b')]);
  });

  test('a parent of a type without required attributes need not exist', async () => {
    await put('User/acme/a', user({ parents: ['Team/acme/t', 'Role/acme/r'] }));
    expect(ancestorsOf('User/acme/a')).toEqual([key('Role/acme/r'), key('Team/acme/t')]);
  });
});

describe('patch', () => {
  beforeEach(async () => {
    const attributes = {
      sharedWith: ['globex'],
      org: 'acme',
      stage: 'dev',
      risk: 1,
      tiers: ['pro'],
      regions: ['eu'],
      contextWindow: 10,
      maxOutputTokens: 5,
    };
    await put(
      'Model/acme/m',
      body({ attributes, parents: ['ModelGroup/acme/g'], tags: { owner: 'a', cost: 'b' } }),
    );
  });
  const patch = (change: object, conditions?: Preconditions) =>
    directory.service.patch(ref('Model/acme/m'), change, ADMIN, conditions);

  test.each<[string, object, object]>([
    [
      'merges attributes',
      { attributes: { risk: 3 } },
      { attributes: { risk: 3, stage: 'dev' }, tags: { owner: 'a' } },
    ],
    ['merges tags', { tags: { owner: 'z' } }, { tags: { owner: 'z', cost: 'b' } }],
    ['replaces lists', { attributes: { tiers: ['free'] } }, { attributes: { tiers: ['free'] } }],
    ['replaces parents', { parents: [ref('ModelGroup/acme/h')] }, { parents: [ref('ModelGroup/acme/h')] }],
    ['replaces the status', { status: 'disabled' }, { status: 'disabled', attributes: { risk: 1 } }],
    ['changes nothing but the revision when empty', {}, { revision: 2, attributes: { risk: 1 } }],
  ])('%s', async (_name, change, expected) => {
    expect(await patch(change)).toMatchObject(expected);
  });

  test('null removes an optional attribute and a tag', async () => {
    const record = await patch({ attributes: { regions: null }, tags: { owner: null } });
    expect(Object.keys(record.attributes)).not.toContain('regions');
    expect(record.tags).toEqual({ cost: 'b' });
  });

  test('null for a required attribute is refused', async () => {
    await expect(patch({ attributes: { risk: null } })).rejects.toMatchObject({
      problems: [{ pointer: '/attributes/risk' }],
    });
  });

  test('a missing entity is NOT_FOUND', async () => {
    await expect(directory.service.patch(ref('Model/acme/x'), {}, ADMIN)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('an entity whose parent was deleted can still be patched', async () => {
    await put('Tenant/acme', tenant());
    await put('Team/acme/t', body({ parents: ['Tenant/acme'] }));
    await directory.service.delete(ref('Tenant/acme'), ADMIN);
    const record = await directory.service.patch(ref('Team/acme/t'), {}, ADMIN);
    expect(record.parents).toEqual([ref('Tenant/acme')]);
  });
});

describe('delete', () => {
  test('removes the entity, keeps its members naming it and its earlier states in the store', async () => {
    await put('Team/acme/t', body({ parents: ['Team/acme/top'] }));
    await put('User/acme/a', user({ parents: ['Team/acme/t'] }));
    expect(await directory.service.delete(ref('Team/acme/t'), ADMIN)).toBe(3);
    expect(() => get('Team/acme/t')).toThrow('there is no `Team` `acme/t`');
    expect(ancestorsOf('User/acme/a')).toEqual([key('Team/acme/t')]);
    expect(await directory.state.directory.at(ref('Team/acme/t'), 2)).toMatchObject({ revision: 1 });
    expect(directory.announced.at(-1)).toMatchObject({
      kind: 'entity.delete',
      subject: key('Team/acme/t'),
      details: { before: 1, after: 3 },
    });
  });

  test('of a missing entity is NOT_FOUND', async () => {
    await expect(directory.service.delete(ref('Team/x'), ADMIN)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('preconditions', () => {
  test.each<[string, Preconditions, 'passes' | 'fails']>([
    ['If-Match of the current revision', { ifMatch: [1] }, 'passes'],
    ['If-Match with the current revision among others', { ifMatch: [7, 1] }, 'passes'],
    ['If-Match: *', { ifMatch: '*' }, 'passes'],
    ['a stale If-Match', { ifMatch: [0] }, 'fails'],
    ['If-None-Match: *', { ifNoneMatch: '*' }, 'fails'],
    ['If-None-Match of the current revision', { ifNoneMatch: [1] }, 'fails'],
    ['If-None-Match of another revision', { ifNoneMatch: [2] }, 'passes'],
  ])('%s %3$s for put, patch and delete of an existing entity', async (_name, conditions, outcome) => {
    const writes = [
      () => put('Role/acme/r', body({}), conditions),
      () => directory.service.patch(ref('Role/acme/r'), {}, ADMIN, conditions),
      () => directory.service.delete(ref('Role/acme/r'), ADMIN, conditions),
    ];
    const outcomes: string[] = [];
    for (const write of writes) {
      directory = await openDirectory(parser);
      await put('Role/acme/r', body({}));
      outcomes.push(
        await write().then(
          () => 'passes',
          (error: Error) =>
            'code' in error && error.code === 'PRECONDITION_FAILED' ? 'fails' : error.message,
        ),
      );
    }
    expect(outcomes).toEqual([outcome, outcome, outcome]);
  });

  test.each<[string, Preconditions, boolean]>([
    ['If-None-Match: * creates', { ifNoneMatch: '*' }, true],
    ['If-Match: * refuses', { ifMatch: '*' }, false],
    ['If-Match of a revision refuses', { ifMatch: [1] }, false],
  ])('%s where nothing is', async (_name, conditions, creates) => {
    const outcome = put('Role/acme/r', body({}), conditions).then(
      ({ created }) => created,
      () => false,
    );
    expect(await outcome).toBe(creates);
  });

  test('of two writers with the same If-Match one wins', async () => {
    await put('Role/acme/r', body({}));
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => put('Role/acme/r', body({}), { ifMatch: [1] })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
});

test('without a schema nothing can be written', async () => {
  directory = await openDirectory();
  await expect(put('Role/acme/r', body({}))).rejects.toMatchObject({ code: 'NOT_READY' });
});

test('after close writes are refused, and those accepted before are done', async () => {
  const accepted = put('Role/acme/r', body({}));
  await Promise.all([accepted, directory.service.close()]);
  await expect(put('Role/acme/s', body({}))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(directory.service.graph.size).toBe(1);
});
