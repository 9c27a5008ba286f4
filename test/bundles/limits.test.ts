/** limits.json in bundles: what is refused and where, what belongs to the digest, and what decides after activation. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LayerLimits } from '../../src/limits/planning.ts';
import { ADMIN, failure, memoryDisk, type Pap, permit, push, startPap, startWorker } from './pap.ts';

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

function hinted(hint: string | undefined): { readonly hint?: string } {
  return hint === undefined ? {} : { hint };
}

function activeLimits({ snapshots }: Pap, layer: 'platform' | 'tenant:acme'): LayerLimits | undefined {
  return snapshots.current?.layers.get(layer)?.limits;
}

test('what is tightened before the platform has limits is told the order of pushes', async () => {
  const pap = await startPap(memoryDisk(), thread);
  const tenant = {
    layer: 'tenant:acme',
    version: '1',
    files: files({ tighten: [{ limit: 'burst', to: 5 }] }),
  };
  const { problems } = await failure(push(pap, tenant));
  expect(problems.map(({ message }) => message)).toEqual(['the platform layer has no limit `burst`']);
  expect(problems[0]?.hint).toContain('before those of tenants');
});

describe('limits.json that is refused at push', () => {
  let pap: Pap;
  beforeAll(async () => {
    pap = await startPap(memoryDisk(), thread);
    const limits = [
      { ...BURST, byTier: { pro: 500 } },
      { ...BURST, id: 'gold-rpm', sets: ['gold'] },
    ];
    const modelClasses = [{ id: 'costly', minRisk: 3 }];
    await push(pap, platform({ limits, modelClasses }), { activate: true });
  });

  const one = (limit: object): object => ({ limits: [{ ...BURST, ...limit }] });
  const cases: readonly (readonly [string, object, string, string | undefined])[] = [
    ['an unknown key', one({ limt: 3 }), 'unknown key `limt`', 'did you mean `limit`?'],
    [
      'an unknown kind',
      one({ kind: 'windows' }),
      '`limits.0.kind`: must be one of `window`',
      'did you mean `window`?',
    ],
    [
      'an unknown unit',
      one({ unit: 'request' }),
      '`limits.0.unit`: must be one of `requests`',
      'did you mean `requests`?',
    ],
    ['a time that is none', one({ per: '1 minute' }), '`limits.0.per`: must be a time such as', undefined],
    ['a member of another kind', one({ period: 'day' }), 'unknown key `period`', undefined],
    [
      'a fraction',
      one({ limit: 1.5 }),
      '`limits.0.limit`: must be a whole number, not a fraction',
      undefined,
    ],
    ['a number that is not there', one({ kind: 'rate' }), '`limits.0.burst` is missing', undefined],
    [
      'a unit of what has none',
      { limits: [{ id: 'calls', kind: 'concurrency', unit: 'tokens', limit: 5, key: ['tenant'] }] },
      'unknown key `unit`',
      'it belongs elsewhere in the file: remove it here',
    ],
    [
      'an unknown operation',
      one({ match: { operations: ['generat'] } }),
      'there is no action `generat`',
      'did you mean `generate`?',
    ],
    [
      'an unknown class',
      { modelClasses: [{ id: 'high_value', minRisk: 3 }], ...one({ byClass: { high_valu: 20 } }) },
      'there is no class of models `high_valu`',
      'did you mean `high_value`?',
    ],
    [
      'a misspelt class in `match`',
      { modelClasses: [{ id: 'high_value', minRisk: 3 }], ...one({ match: { classes: ['high_valeu'] } }) },
      'there is no class of models `high_valeu`',
      'did you mean `high_value`?',
    ],
    [
      'a class of the platform',
      one({ match: { classes: ['costly'] } }),
      'there is no class of models `costly`',
      'declare it in `modelClasses`: those of the platform are for its own limits',
    ],
    [
      'an unknown type',
      one({ match: { principals: [{ type: 'Usr', id: 'acme/a' }] } }),
      'there is no entity type `Usr`',
      'did you mean `User`?',
    ],
    [
      'a network that is none',
      one({ match: { networks: ['10.0.0.0/40'] } }),
      'must be an address',
      undefined,
    ],
    [
      'two limits of one id',
      { limits: [BURST, BURST] },
      'two limits have the id `burst`',
      'keep one of them',
    ],
    [
      'a set that is also a limit',
      { limits: [{ ...BURST, sets: ['burst'] }] },
      'a limit has the id `burst`',
      'rename the set: `@limits` could mean both',
    ],
    [
      'an estimate of requests',
      one({ estimate: { policy: 'maximum' } }),
      'nothing is estimated',
      'remove `estimate`',
    ],
    [
      'a maximum of time',
      one({ unit: 'compute_ms', estimate: { policy: 'maximum' } }),
      'nobody knows the most time',
      undefined,
    ],
    [
      'a burst beyond the limit',
      one({ kind: 'rate', burst: 101 }),
      'a burst of 101 is more',
      'lower the burst, or raise the limit',
    ],
    [
      'a tightening that would widen',
      { tighten: [{ limit: 'burst', to: 500 }] },
      '500 would not tighten limit `burst`, which never gives more than 500',
      undefined,
    ],
    [
      'a tightening of nothing',
      { tighten: [{ limit: 'brust', to: 5 }] },
      'the platform layer has no limit `brust`',
      'did you mean `burst`?',
    ],
    [
      'penalties of a tenant',
      { penalties: { principal: {} } },
      'a bundle of layer `tenant:acme` may not declare `penalties`',
      'the platform layer does',
    ],
    [
      'a shared pool of a tenant',
      { limits: [{ id: 'p', kind: 'concurrency', limit: 5, key: [], fair: { weights: { acme: 1 } } }] },
      'may not divide a pool between tenants',
      undefined,
    ],
    [
      'money without prices',
      one({ unit: 'micro_usd' }),
      'a limit in micro-dollars needs a price for every model',
      undefined,
    ],
  ];

  test.each(cases)('%s', async (_, limits, message, hint) => {
    const error = await failure(push(pap, { layer: 'tenant:acme', files: files(limits) }, { dryRun: true }));
    expect(error.code).toBe('BUNDLE_INVALID');
    const found = error.problems.filter(problem => problem.message.includes(message));
    expect(found).toHaveLength(1);
    expect(found).toMatchObject([{ file: 'limits.json', ...hinted(hint) }]);
    expect(found[0]?.line).toBeGreaterThan(0);
    expect(found[0]?.column).toBeGreaterThan(0);
  });

  const step = { enterPercent: 85, leavePercent: 75 };
  test.each([
    [
      'an unknown action',
      { ...step, operations: ['generat'] },
      'there is no action `generat`',
      'operations/0',
    ],
    [
      'a group of actions',
      { ...step, operations: ['Inference'] },
      'there is no action `Inference`',
      'operations/0',
    ],
    [
      'a step that would flap',
      { ...step, leavePercent: 85, tiers: ['free'] },
      'must be below',
      'leavePercent',
    ],
  ])('shedding with %s', async (_, wrong, message, member) => {
    const bundle = platform({ shedding: { steps: [wrong] } });
    const error = await failure(push(pap, bundle, { dryRun: true }));
    const found = error.problems.filter(problem => problem.message.includes(message));
    expect(found).toMatchObject([{ file: 'limits.json', pointer: `/shedding/steps/0/${member}` }]);
  });

  test('says the line and the column of what is wrong', async () => {
    const text =
      '{\n "limits": [\n  {"id": "a", "kind": "window", "unit": "requests", "per": "1s", "key": [],\n   "limit": -1}\n ]\n}';
    const bundle = { layer: 'tenant:acme', files: { ...files(), 'limits.json': text } };
    const error = await failure(push(pap, bundle, { dryRun: true }));
    expect(error.problems).toMatchObject([
      { file: 'limits.json', line: 4, column: 13, pointer: '/limits/0/limit' },
    ]);
  });

  test.each([
    ['gold', '`@limits` names `gold`', 'the platform layer declares it: write `platform/gold`'],
    ['platform/gould', '`@limits` names `platform/gould`', 'did you mean `platform/gold`?'],
    ['own', '`@limits` names `own`', 'declare it in limits.json: as the id of a limit, or in `sets`'],
    ['Gold', 'the limit set `Gold` is malformed', undefined],
    ['platform/gold,', 'the limit set `` is malformed', undefined],
  ])('a permit that names %s', async (sets, message, hint) => {
    const bundle = { layer: 'tenant:acme', files: files({ limits: [{ ...BURST, sets: ['trial'] }] }, sets) };
    const error = await failure(push(pap, bundle, { dryRun: true }));
    expect(error.problems).toMatchObject([{ file: 'policies/p.cedar', line: 1, column: 1, ...hinted(hint) }]);
    expect(error.problems[0]?.message).toContain(message);
  });

  test('a forbid that names a set', async () => {
    const text = files({}, 'platform/gold')['policies/p.cedar']?.replace('permit (', 'forbid (') ?? '';
    const bundle = { layer: 'tenant:acme', files: { 'policies/p.cedar': text } };
    const error = await failure(push(pap, bundle, { dryRun: true }));
    expect(error.problems.map(({ message }) => message)).toEqual(['a forbid has `@limits`']);
  });

  test.each([
    ['platform/brust', 'did you mean `platform/burst`?'],
    ['tenant:acme/trail', 'did you mean `tenant:acme/trial`?'],
  ])('a test that expects not to be charged to %s, which is not there', async (name, hint) => {
    const request = {
      principal: { type: 'User', id: 'acme/nobody' },
      action: 'invoke',
      resource: { type: 'Model', id: 'acme/m' },
    };
    const expectation = { decision: 'deny', limits: { [name]: null, 'platform/burst': null } };
    const tests = JSON.stringify({ cases: [{ name: 'n', request, expect: expectation }] });
    const named = { ...files({ limits: [{ ...BURST, id: 'trial' }] }), 'tests/t.json': tests };
    const error = await failure(push(pap, { layer: 'tenant:acme', files: named }, { dryRun: true }));
    expect(error.code).toBe('BUNDLE_TESTS_FAILED');
    expect(error.problems).toMatchObject([{ file: 'tests/t.json', line: 1, hint }]);
  });

  test('passes sets and limits of both layers, and tightening below the highest number', async () => {
    const limits = { limits: [{ ...BURST, sets: ['trial'] }], tighten: [{ limit: 'burst', to: 499 }] };
    const named = files(limits, 'trial, burst, platform/gold, platform/burst');
    const result = await push(pap, { layer: 'tenant:acme', files: named }, { dryRun: true });
    expect(result.state).toBe('checked');
  });
});

describe('limits of an active bundle', () => {
  test('are part of the digest and of the archive', async () => {
    const pap = await startPap(memoryDisk(), thread);
    const digests = new Set<string>();
    for (const limit of [100, 101]) {
      const { digest } = await push(pap, platform({ limits: [{ ...BURST, limit }] }));
      digests.add(digest);
      const stored = await pap.service.get(digest, ADMIN);
      expect(stored.files['limits.json']).toContain(`"limit": ${limit}`);
      const again = await pap.service.push(
        { form: 'tar', body: stored.archive, dryRun: false, activate: false },
        ADMIN,
      );
      expect(again.digest).toBe(digest);
    }
    expect(digests.size).toBe(2);
  });

  test('decide from the activation on, and those before after a rollback and a restart', async () => {
    const disk = memoryDisk();
    const pap = await startPap(disk, thread);
    const limitOf = (one: Pap): unknown => activeLimits(one, 'platform')?.file.limits[0]?.limit;
    await push(pap, platform({ limits: [{ ...BURST, limit: 1 }] }), { activate: true });
    expect(limitOf(pap)).toBe(1);
    await push(pap, platform({ limits: [{ ...BURST, limit: 2 }] }), { activate: true });
    expect(limitOf(pap)).toBe(2);
    await pap.service.rollback('platform', 'too many', ADMIN);
    expect(limitOf(pap)).toBe(1);
    expect(limitOf(await startPap(disk, thread))).toBe(1);
    await push(pap, platform(), { activate: true });
    expect(activeLimits(pap, 'platform')).toBeUndefined();
  });

  test('arrive complete when there are many, with their overrides', async () => {
    const pap = await startPap(memoryDisk(), thread);
    const overrides = Array.from({ length: 150 }, (_, at) => ({
      principals: [{ type: 'User', id: `acme/u${at}` }],
      limit: at,
      until: '2027-01-01T00:00:00Z',
      reason: 'r',
    }));
    const limits = Array.from({ length: 300 }, (_, at) => ({
      ...BURST,
      id: `l${at}`,
      overrides: at % 10 === 0 ? overrides : [],
    }));
    await push(pap, platform({ limits }), { activate: true });
    const active = activeLimits(pap, 'platform')?.file.limits;
    expect(active?.map(({ id }) => id)).toEqual(limits.map(({ id }) => id));
    expect(active?.[10]?.overrides).toHaveLength(150);
  });
});
