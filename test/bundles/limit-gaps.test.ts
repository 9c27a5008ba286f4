/** What tenants rely on in the limits of the platform: refused at a push, a warning of a rollback. */
import { afterAll, describe, expect, test } from 'vitest';
import { ADMIN, failure, memoryDisk, permit, push, SHIPPED_SCHEMA, startPap, startWorker } from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

const BURST = { id: 'burst', kind: 'window', unit: 'requests', limit: 100, per: '60s', key: ['principal'] };
const LIMITED = `@id("p") @reason("r") @limits("SETS")
permit (principal in AI::Tenant::"acme", action in AI::Action::"Use", resource in AI::Tenant::"acme");`;

/** A bundle's files with limits.json as text, one member a line, and a permit that names limit sets. */
function files(limits?: object, sets?: string): Record<string, string> {
  return {
    'policies/p.cedar': sets === undefined ? permit('p', 'acme') : LIMITED.replace('SETS', sets),
    ...(limits === undefined ? {} : { 'limits.json': JSON.stringify(limits, null, 1) }),
  };
}

function platform(limits?: object): { layer: string; version: string; files: Record<string, string> } {
  const text = limits === undefined ? {} : { 'limits.json': JSON.stringify(limits, null, 1) };
  return { layer: 'platform', version: '1', files: text };
}

describe('a platform bundle that would take away what tenants rely on', () => {
  const rich = {
    limits: [BURST, { ...BURST, id: 'gold-rpm', sets: ['gold'] }],
    prices: { version: '1', default: { perRequest: 1 } },
  };
  const money = { limits: [{ ...BURST, unit: 'micro_usd' }] };

  test.each([
    ['a set', files({}, 'platform/gold'), { ...rich, limits: [BURST] }, 'names `platform/gold` in `@limits`'],
    [
      'a limit',
      files({ tighten: [{ limit: 'burst', to: 5 }] }),
      { ...rich, limits: [] },
      'lowers limit `burst`',
    ],
    ['prices', files(money), { limits: rich.limits }, 'would have no default price'],
  ])('%s is refused', async (_, tenant, poorer, message) => {
    const pap = await startPap(memoryDisk(), thread);
    await push(pap, platform(rich), { activate: true });
    await push(pap, { layer: 'tenant:acme', files: tenant }, { activate: true });
    const error = await failure(push(pap, platform(poorer), { dryRun: true }));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]?.message).toContain(message);
    expect(error.problems[0]?.file).toBe('tenant:acme/limits.json');
  });

  const gone: readonly (readonly [string, Record<string, string>, object, string])[] = [
    [
      'a set',
      files({}, 'platform/gold'),
      { ...rich, limits: [BURST] },
      'active policy `tenant:acme/p` names `platform/gold` in `@limits`, which is gone: what it permits is denied',
    ],
    [
      'a limit',
      files({ tighten: [{ limit: 'burst', to: 5 }] }),
      { ...rich, limits: [] },
      '`tighten` lowers limit `burst`, which is gone: nothing is counted for it',
    ],
    [
      'prices',
      files(money),
      { limits: rich.limits },
      'its limits in micro-dollars have no default price: calls of models that no list has are denied',
    ],
  ];

  test.each(gone)(
    '%s goes with a rollback of the platform, which warns',
    async (_, tenant, poorer, message) => {
      const pap = await startPap(memoryDisk(), thread);
      await push(pap, platform(poorer), { activate: true });
      await push(pap, platform(rich), { activate: true });
      await push(pap, { layer: 'tenant:acme', files: tenant }, { activate: true });
      await push(pap, { layer: 'tenant:globex', files: {} }, { activate: true });
      const { warnings } = await pap.service.rollback('platform', 'too many', ADMIN);
      const file = 'tenant:acme/limits.json';
      const hint =
        'activate a bundle of the platform that declares it, or one of layer `tenant:acme` without it';
      expect(warnings).toEqual([{ file, message, hint }]);
      const event = pap.events.at(-1);
      expect(event).toMatchObject({
        kind: 'bundle.rollback',
        details: { warnings: [message], warningCount: 1 },
      });
      const back = await pap.service.rollback('platform', 'they were needed', ADMIN);
      expect(back.warnings).toEqual([]);
      expect(pap.events.at(-1)?.details).not.toHaveProperty('warnings');
    },
  );

  test('a tenant that goes back to what the platform had is warned, and a store in doubt loses no warning', async () => {
    const pap = await startPap(memoryDisk(), thread);
    await push(pap, platform(rich), { activate: true });
    await push(pap, { layer: 'tenant:acme', files: files({}, 'platform/gold') }, { activate: true });
    await push(pap, { layer: 'tenant:acme', files: files() }, { activate: true });
    await push(pap, platform({ limits: [BURST] }), { activate: true });
    pap.store.fail('activate', 'after');
    const { warnings, kind } = await pap.service.rollback('tenant:acme', 'r', ADMIN);
    expect([kind, warnings.length]).toEqual(['rollback', 1]);
    expect(warnings[0]?.message).toContain('`platform/gold`');
    expect(pap.events.at(-1)?.details).toMatchObject({ warningCount: 1 });
  });

  test('a schema that comes back with the platform warns as well', async () => {
    const pap = await startPap(memoryDisk(), thread);
    const other = `${SHIPPED_SCHEMA}\n// another text\n`;
    const older = platform({ limits: [BURST] });
    await push(pap, { ...older, files: { ...older.files, 'schema.cedarschema': other } }, { activate: true });
    await push(pap, platform(rich), { activate: true });
    await push(pap, { layer: 'tenant:acme', files: files({}, 'platform/gold') }, { activate: true });
    expect((await pap.service.rollback('platform', 'r', ADMIN)).warnings).toHaveLength(1);
  });

  test('a hundred of many gaps are told, and how many more there are', async () => {
    const pap = await startPap(memoryDisk(), thread);
    const one = (at: number): string => LIMITED.replace('"p"', `"p${at}"`).replace('SETS', 'platform/gold');
    const policies = Array.from({ length: 120 }, (_, at) => one(at)).join('\n');
    await push(pap, platform({ limits: [BURST] }), { activate: true });
    await push(pap, platform(rich), { activate: true });
    await push(pap, { layer: 'tenant:acme', files: { 'policies/p.cedar': policies } }, { activate: true });
    const { warnings } = await pap.service.rollback('platform', 'r', ADMIN);
    expect([warnings.length, warnings.at(-1)?.message]).toEqual([101, 'and 20 more']);
    expect(pap.events.at(-1)?.details['warnings']).toHaveLength(10);
  });
});
