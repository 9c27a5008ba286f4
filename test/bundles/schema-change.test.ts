/** A platform schema change is refused when it does not fit what is active, and applied as one when it does. */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ADMIN,
  deciding,
  failure,
  memoryDisk,
  type Pap,
  permit,
  push,
  SHIPPED_SCHEMA,
  startPap,
  startWorker,
} from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

/** Adds an optional attribute: everything that fits the shipped schema fits this one. */
const WIDER = SHIPPED_SCHEMA.replace('clearance: Long,', 'clearance: Long,\n    badge?: String,');
/** Takes away an attribute that policies and entities use. */
const NARROWER = SHIPPED_SCHEMA.replace('    tier: String,\n', '');
const GOLD = permit('gold', 'acme', ' when { principal.tier == "gold" }');
const USER = {
  attributes: { actsFor: [], org: '', tier: 'gold', clearance: 1 },
  parents: [],
  tags: {},
  status: 'active',
} as const;
const TENANT = { attributes: { plan: 'p' }, parents: [], tags: {}, status: 'active' } as const;

function platform(schema: string, version: string) {
  return { layer: 'platform', version, files: { 'schema.cedarschema': schema } };
}

let pap: Pap;
let digests: { readonly platform: string; readonly acme: string; readonly globex: string };

beforeEach(async () => {
  pap = await startPap(memoryDisk(), thread);
  const one = await push(pap, platform(SHIPPED_SCHEMA, '1'), { activate: true });
  const two = await push(
    pap,
    { layer: 'tenant:acme', files: { 'policies/a.cedar': GOLD } },
    { activate: true },
  );
  const three = await push(
    pap,
    { layer: 'tenant:globex', files: { 'policies/a.cedar': permit('g', 'globex') } },
    { activate: true },
  );
  digests = { platform: one.digest, acme: two.digest, globex: three.digest };
  await pap.directory.put({ type: 'Tenant', id: 'acme' }, { ...TENANT, parents: [] }, ADMIN);
  await pap.directory.put(
    { type: 'User', id: 'acme/alice' },
    { ...USER, parents: [], attributes: { ...USER.attributes, actsFor: [] } },
    ADMIN,
  );
});

function expectUnchanged(): void {
  expect(deciding(pap)).toEqual({
    platform: digests.platform,
    'tenant:acme': digests.acme,
    'tenant:globex': digests.globex,
  });
  expect(pap.snapshots.current?.schema.text).toBe(SHIPPED_SCHEMA);
}

async function expectWritable(): Promise<void> {
  const revision = pap.directory.graph.revision;
  await pap.directory.put({ type: 'Tenant', id: 'late' }, { ...TENANT, parents: [] }, ADMIN);
  expect(pap.snapshots.current?.directory.revision).toBe(revision + 1);
}

describe('a schema that breaks what is active', () => {
  test('is refused at push, listing policies of every layer and entities', async () => {
    const error = await failure(push(pap, platform(NARROWER, '2')));
    expect(error.code).toBe('SCHEMA_BREAKS_ACTIVE');
    const messages = error.problems
      .map(({ file, line, message }) => `${file}:${line}: ${message}`)
      .join('\n');
    expect(messages).toContain('tenant:acme/policies/a.cedar:2');
    expect(messages).toContain('tier');
    expect(messages).toContain('AI::User::"acme/alice"');
    expect(messages).not.toContain('tenant:globex/');
    expectUnchanged();
    expect((await pap.service.list({ layer: 'platform', limit: 9 }, ADMIN)).items).toHaveLength(1);
    expect(pap.events.at(-1)).toMatchObject({
      kind: 'bundle.reject',
      details: { code: 'SCHEMA_BREAKS_ACTIVE' },
    });
    expect(JSON.stringify(pap.events)).not.toContain('acme/alice');
    await expectWritable();
  });

  test('is refused at activation, when it fitted at push and no longer does', async () => {
    const fresh = await startPap(memoryDisk(), thread);
    const staged = await push(fresh, platform(NARROWER, '2'));
    await push(fresh, platform(SHIPPED_SCHEMA, '1'), { activate: true });
    const acme = await push(
      fresh,
      { layer: 'tenant:acme', files: { 'policies/a.cedar': GOLD } },
      { activate: true },
    );
    await fresh.directory.put({ type: 'Tenant', id: 'acme' }, { ...TENANT, parents: [] }, ADMIN);
    const body = { ...USER, parents: [], attributes: { ...USER.attributes, actsFor: [] } };
    await fresh.directory.put({ type: 'User', id: 'acme/alice' }, body, ADMIN);
    const before = deciding(fresh);
    const error = await failure(fresh.service.activate(staged.digest, { reason: 'r' }, ADMIN));
    expect(error.code).toBe('SCHEMA_BREAKS_ACTIVE');
    expect(JSON.stringify(error.problems)).toMatch(
      /tenant:acme\/policies\/a\.cedar.*AI::User::\\"acme\/alice/,
    );
    expect(deciding(fresh)).toEqual(before);
    expect(before).toMatchObject({ 'tenant:acme': acme.digest });
  });

  test('has its own problems reported first', async () => {
    const error = await failure(
      push(pap, {
        ...platform(NARROWER, '2'),
        files: { 'schema.cedarschema': NARROWER, 'policies/a.cedar': 'permit (' },
      }),
    );
    expect(error.code).toBe('BUNDLE_INVALID');
  });

  const unusable: readonly (readonly [string, string, string])[] = [
    ['does not parse', 'namespace AI { entity', 'schema.cedarschema'],
    ['lacks what decisions are planned with', 'namespace AI { entity User; }', 'does not declare'],
  ];
  test.each(unusable)('is refused when it %s', async (_, schema, text) => {
    const error = await failure(push(pap, platform(schema, '2')));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(JSON.stringify(error.problems)).toContain(text);
    expectUnchanged();
  });
});

describe('a schema that fits', () => {
  test('becomes active together with all layers and the directory', async () => {
    const { digest } = await push(pap, platform(WIDER, '2'), { activate: true });
    expect(deciding(pap)).toMatchObject({ platform: digest, 'tenant:acme': digests.acme });
    expect(pap.snapshots.current?.schema.text).toBe(WIDER);
    expect(pap.snapshots.current?.layers.get('tenant:acme')?.index.size).toBe(1);
    const body = { ...USER, parents: [], attributes: { ...USER.attributes, actsFor: [], badge: 'b' } };
    await pap.directory.put({ type: 'User', id: 'acme/bob' }, body, ADMIN);
    expect(pap.snapshots.current?.directory.get('AI::User::"acme/bob"')).toBeDefined();
    await pap.service.rollback('platform', 'r', ADMIN).catch(() => undefined);
    // bob uses what only the wider schema declares, so it cannot be taken away
    expect(deciding(pap)).toMatchObject({ platform: digest });
    await expectWritable();
  });

  test('can be rolled back, and tenants are checked by the schema that is active', async () => {
    await push(pap, platform(WIDER, '2'), { activate: true });
    const badge = permit('badge', 'acme', ' when { principal has badge }');
    const staged = await push(pap, {
      layer: 'tenant:acme',
      version: '2',
      files: { 'policies/a.cedar': badge },
    });
    await pap.service.rollback('platform', 'r', ADMIN);
    expectUnchanged();
    const error = await failure(pap.service.activate(staged.digest, { reason: 'r' }, ADMIN));
    expect(error.code).toBe('BUNDLE_INVALID');
    expectUnchanged();
  });

  test('keeps the old one when the store fails, and directory writes go on', async () => {
    const { digest } = await push(pap, platform(WIDER, '2'));
    pap.store.fail('activate', 'before');
    expect((await failure(pap.service.activate(digest, { reason: 'r' }, ADMIN))).code).toBe(
      'STORE_UNAVAILABLE',
    );
    expectUnchanged();
    await expectWritable();
  });

  test('is applied when the store recorded it and failed then', async () => {
    const { digest } = await push(pap, platform(WIDER, '2'));
    pap.store.fail('activate', 'after');
    expect(await pap.service.activate(digest, { reason: 'r' }, ADMIN)).toMatchObject({ digest });
    expect(pap.snapshots.current?.schema.text).toBe(WIDER);
    await expectWritable();
  });
});
