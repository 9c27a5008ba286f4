/** A new schema: every entity is tried, nothing changes before it is adopted, writes wait meanwhile. */
import { describe, expect, test } from 'vitest';
import {
  ADMIN,
  adopt,
  body,
  openDirectory,
  shippedParser,
  type TestDirectory,
  user,
} from './directory-fixture.ts';
import { key, ref } from './graph-edits.ts';

const parser = shippedParser();
const withoutTier = shippedParser(text => text.replace('    tier: String,\n', ''));
const withDecimals = shippedParser(text =>
  text.replace('    org: String,               // slash path', '    org: ipaddr, //'),
);

async function filled(users = 3): Promise<TestDirectory> {
  const directory = await openDirectory(parser);
  for (let n = 0; n < users; n += 1)
    await directory.service.put(ref(`User/acme/u${n}`), user({ parents: ['Team/acme/t'] }), ADMIN);
  await directory.service.put(ref('Team/acme/t'), body({ parents: ['Team/acme/top'] }), ADMIN);
  return directory;
}

describe('a schema that does not fit', () => {
  test('is refused with the entities that it breaks, and changes nothing', async () => {
    const { service, published } = await filled();
    const before = service.graph;
    const change = await service.prepareSchema(withoutTier);
    expect(change.graph).toBeUndefined();
    expect([...change.problems].map(({ message }) => message).sort()).toEqual(
      [0, 1, 2].map(n => `\`AI::User::"acme/u${n}"\`: unknown attribute \`tier\``),
    );
    expect(service.graph).toBe(before);
    expect(published).toHaveLength(4);
    await service.put(ref('User/acme/new'), user(), ADMIN);
  });

  test('lists at most 100 problems', async () => {
    const { service } = await filled(150);
    expect((await service.prepareSchema(withoutTier)).problems).toHaveLength(100);
  });
});

describe('a schema that fits', () => {
  test('reads the same JSON by its own types, at the same revision', async () => {
    const directory = await openDirectory(parser);
    await directory.service.put(ref('User/acme/u'), user({ attributes: { org: '10.0.0.0/8' } }), ADMIN);
    const valueOf = () => directory.service.graph.get(key('User/acme/u'))?.attributes.entries.get('org');
    expect(valueOf()).toBe('10.0.0.0/8');
    await adopt(directory.service, withDecimals);
    expect(valueOf()).toMatchObject({ version: 4, prefix: 8 });
    expect(directory.service.graph.revision).toBe(1);
    expect(directory.service.get(ref('User/acme/u'), ADMIN).attributes['org']).toBe('10.0.0.0/8');
  });

  test('keeps ancestors, revisions and times', async () => {
    const { service } = await filled();
    const before = service.get(ref('User/acme/u1'), ADMIN);
    await adopt(service, parser);
    expect(service.get(ref('User/acme/u1'), ADMIN)).toEqual(before);
    expect(service.graph.get(key('User/acme/u1'))?.ancestors).toEqual(
      new Set([key('Team/acme/t'), key('Team/acme/top')]),
    );
  });

  test('is not visible before it is adopted, and writes wait until then', async () => {
    const { service } = await filled();
    const before = service.graph;
    const change = await service.prepareSchema(parser);
    if (change.graph === undefined) throw new Error('the schema fits');
    const order: string[] = [];
    const write = service.put(ref('User/acme/new'), user(), ADMIN).then(() => order.push('written'));
    await new Promise(resolve => setImmediate(resolve));
    expect(service.graph).toBe(before);
    order.push('adopted');
    change.adopt();
    expect(service.graph).toBe(change.graph);
    await write;
    expect(order).toEqual(['adopted', 'written']);
    expect(service.graph.size).toBe(5);
  });

  test('leaves everything as it was when it is abandoned', async () => {
    const { service } = await filled();
    const before = service.graph;
    const change = await service.prepareSchema(parser);
    if (change.graph === undefined) throw new Error('the schema fits');
    change.abandon();
    expect(service.graph).toBe(before);
    await service.put(ref('User/acme/new'), user(), ADMIN);
  });
});

test('the first schema loads what the store holds', async () => {
  const { state, announced } = await filled();
  await state.outbox.acknowledge(announced.map(({ id }) => id));
  const second = await openDirectory(undefined, { store: () => state.directory });
  expect(second.service.graph.size).toBe(0);
  await adopt(second.service, parser);
  expect([second.service.graph.size, second.service.graph.revision]).toEqual([4, 4]);
  expect((await second.service.put(ref('User/acme/new'), user(), ADMIN)).record.revision).toBe(5);
});
