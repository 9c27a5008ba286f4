/** Callers that are limited to tenants: a foreign entity is a missing one, and nothing foreign is written. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { EntityBody } from '../../src/domain/entity.ts';
import { AppError } from '../../src/domain/errors.ts';
import {
  ACME,
  ADMIN,
  body,
  openDirectory,
  shippedParser,
  type TestDirectory,
  tenant,
  user,
} from './directory-fixture.ts';
import { ref } from './graph-edits.ts';

const parser = shippedParser();
let directory: TestDirectory;

beforeEach(async () => {
  directory = await openDirectory(parser);
  const globexOwned = user({ attributes: { tenant: 'globex' } });
  const entities: readonly [string, EntityBody][] = [
    ['Tenant/acme', tenant()],
    ['Tenant/globex', tenant()],
    ['User/acme/alice', user()],
    ['User/globex/bob', user({ parents: ['Team/globex/t'] })],
    ['User/acme/lent', globexOwned],
    ['User/carol', user({ attributes: { tenant: 'acme' } })],
    ['Role/auditor', body({})],
    ['Team/globex/t', body({})],
    ['Team/acme/t', body({})],
  ];
  for (const [name, state] of entities) await directory.service.put(ref(name), state, ADMIN);
});

describe('a caller limited to acme', () => {
  test.each(['Tenant/acme', 'User/acme/alice', 'User/carol', 'Team/acme/t'])('reads %s', name => {
    expect(directory.service.get(ref(name), ACME).ref).toEqual(ref(name));
  });

  test.each(['Tenant/globex', 'User/globex/bob', 'User/acme/lent', 'Role/auditor', 'Team/globex/t'])(
    'cannot tell %s from a missing entity by get, patch or delete',
    async name => {
      const target = ref(name);
      const outcomes = async (): Promise<readonly string[]> =>
        Promise.all([
          failure(async () => directory.service.get(target, ACME)),
          failure(() => directory.service.patch(target, {}, ACME)),
          failure(() => directory.service.patch(target, {}, ACME, { ifMatch: [1] })),
          failure(() => directory.service.delete(target, ACME)),
        ]);
      const whilePresent = await outcomes();
      await directory.service.delete(target, ADMIN);
      expect(await outcomes()).toEqual(whilePresent);
      expect(whilePresent[0]).toBe(`NOT_FOUND there is no \`${target.type}\` \`${target.id}\``);
    },
  );

  test.each<[string, string, EntityBody]>([
    ['a foreign id', 'User/globex/bob', user()],
    ['a foreign id that is free', 'User/globex/new', user()],
    ['an id without a tenant', 'User/dave', user({ attributes: { tenant: 'acme' } })],
    ['a foreign tenant attribute', 'User/acme/new', user({ attributes: { tenant: 'globex' } })],
    ['another tenant', 'Tenant/globex', tenant()],
    ['a new tenant', 'Tenant/acme2', tenant()],
    ['a foreign parent', 'User/acme/new', user({ parents: ['Team/globex/t'] })],
    ['a foreign parent that is free', 'User/acme/new', user({ parents: ['Team/globex/none'] })],
    ['a parent without a tenant', 'User/acme/new', user({ parents: ['Role/auditor'] })],
    ['a foreign tenant as parent', 'Team/acme/new', body({ parents: ['Tenant/globex'] })],
    ['an id that holds a foreign entity', 'User/acme/lent', user()],
  ])('cannot write %s', async (_name, name, state) => {
    const { revision } = directory.service.graph;
    await expect(directory.service.put(ref(name), state, ACME)).rejects.toMatchObject({
      code: 'TENANT_NOT_ALLOWED',
    });
    expect(directory.service.graph.revision).toBe(revision);
  });

  test('gets the same answer for a foreign id whether it is taken or free, whatever it expects', async () => {
    for (const conditions of [{}, { ifMatch: [4] }, { ifNoneMatch: '*' as const }]) {
      const answers = await Promise.all(
        ['bob', 'new'].map(async id => {
          const text = await failure(() =>
            directory.service.put(ref(`User/globex/${id}`), user(), ACME, conditions),
          );
          return text.replace(id, '…');
        }),
      );
      expect(answers[0]).toBe(answers[1]);
    }
  });

  test('writes its own entities', async () => {
    const written = user({ parents: ['Team/acme/t', 'Team/acme/free'] });
    expect((await directory.service.put(ref('User/acme/new'), written, ACME)).created).toBe(true);
    expect(
      (await directory.service.patch(ref('Tenant/acme'), { attributes: { plan: 'x' } }, ACME)).attributes[
        'plan'
      ],
    ).toBe('x');
    await directory.service.delete(ref('User/acme/alice'), ACME);
  });

  test('keeps a parent that an unlimited caller gave', async () => {
    const parents = ['Role/auditor'];
    await directory.service.put(ref('User/acme/alice'), user({ parents }), ADMIN);
    const record = await directory.service.patch(ref('User/acme/alice'), { attributes: { tier: 'x' } }, ACME);
    expect(record.parents).toEqual(parents.map(ref));
    const replaced = await directory.service.put(ref('User/acme/alice'), user({ parents }), ACME);
    expect(replaced.record.parents).toEqual(parents.map(ref));
  });

  test('lists its own entities alone, with and without filters', () => {
    const list = (filter: object) =>
      directory.service
        .list({ limit: 100, ...filter }, ACME)
        .items.map(item => `${item.ref.type}/${item.ref.id}`);
    expect(list({})).toEqual(['Team/acme/t', 'Tenant/acme', 'User/acme/alice', 'User/carol']);
    expect(list({ types: ['User'] })).toEqual(['User/acme/alice', 'User/carol']);
    expect(list({ tenant: 'globex' })).toEqual([]);
    expect(list({ parent: ref('Team/globex/t') })).toEqual([]);
    expect(list({ prefix: 'globex/' })).toEqual([]);
  });
});

async function failure(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof AppError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no failure';
}
