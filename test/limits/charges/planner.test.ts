/** Which limits a request is charged to, and with which numbers. */
import { describe, expect, it } from 'vitest';
import { FACTS, facts, layerOf, NOW, plannerWith, platformOf, WINDOW } from './planning-world.ts';

const planner = plannerWith();

describe('a limit is for the requests that its match describes', () => {
  const cases: readonly (readonly [string, object, boolean])[] = [
    ['nothing', {}, true],
    ['the operation', { operations: ['generate'] }, true],
    ['a group of operations', { operations: ['Inference'] }, true],
    ['another operation', { operations: ['embed'] }, false],
    ['the model', { models: ['acme/fraud@3'] }, true],
    ['the model that it is a version of', { models: ['acme/fraud'] }, true],
    ['another version', { models: ['acme/fraud@2'] }, false],
    ['a group of the model', { modelGroups: ['acme/risk'] }, true],
    ['another group', { modelGroups: ['acme/other'] }, false],
    ['the tenant', { tenants: ['acme'] }, true],
    ['another tenant', { tenants: ['globex'] }, false],
    ['the plan', { plans: ['enterprise'] }, true],
    ['the tier', { tiers: ['pro'] }, true],
    ['another tier', { tiers: ['free'] }, false],
    ['the principal', { principals: [{ type: 'User', id: 'acme/alice' }] }, true],
    ['another type with the id', { principals: [{ type: 'Service', id: 'acme/alice' }] }, false],
    ['the type of the principal', { principalTypes: ['User'] }, true],
    ['another type', { principalTypes: ['Service'] }, false],
    ['a team of the principal', { principalGroups: [{ type: 'Team', id: 'acme/fraud' }] }, true],
    ['another team', { principalGroups: [{ type: 'Team', id: 'acme/web' }] }, false],
    ['the network', { networks: ['192.0.2.0/24'] }, true],
    ['another network', { networks: ['198.51.100.0/24', '2001:db8::/32'] }, false],
    ['the key', { keys: ['key-1'] }, true],
    ['another key', { keys: ['key-2'] }, false],
    ['the gateway', { peps: ['gateway'] }, true],
    ['two members that hold', { tenants: ['acme'], tiers: ['pro'] }, true],
    ['two members of which one holds', { tenants: ['acme'], tiers: ['free'] }, false],
  ];

  it.each(cases)('%s', (_, match, expected) => {
    const charges = planner.plan(FACTS, [platformOf({ match })], NOW);
    expect(charges.length).toBe(expected ? 1 : 0);
  });

  it.each([
    ['a model', { models: ['acme/fraud'] }],
    ['a class', { classes: ['all'] }],
    ['a network', { networks: ['0.0.0.0/0', '::/0'] }],
    ['a key', { keys: ['key-1'] }],
    ['a tier', { tiers: ['pro'] }],
  ])('what is not known matches nothing: %s', (_, match) => {
    const unknown = facts({ model: undefined, address: undefined, key: undefined, tier: undefined });
    const layer = layerOf('platform', {
      modelClasses: [{ id: 'all', minRisk: 0 }],
      limits: [{ ...WINDOW, match }],
    });
    expect(planner.plan(FACTS, [layer], NOW)).toHaveLength(1);
    expect(planner.plan(unknown, [layer], NOW)).toHaveLength(0);
  });

  it('charges a limit once, however many of its names lead to it', () => {
    const layer = platformOf({
      match: { models: ['acme/fraud', 'acme/fraud@3'], modelGroups: ['acme/risk', 'acme/shared'] },
    });
    expect(planner.plan(FACTS, [layer], NOW)).toHaveLength(1);
  });

  it('plans the same again, also when two planners take turns over one layer', () => {
    const layer = platformOf({});
    const other = plannerWith();
    for (const one of [planner, other, planner, other]) {
      expect(one.plan(FACTS, [layer], NOW)).toHaveLength(1);
      expect(one.plan(FACTS, [layer], NOW)).toHaveLength(1);
    }
  });

  it('leaves out what is off, and marks what only watches', () => {
    const layer = platformOf({ id: 'a', mode: 'off' }, { id: 'b', mode: 'shadow' });
    expect(planner.plan(FACTS, [layer], NOW).map(({ rule }) => [rule.name, rule.mode])).toEqual([
      ['platform/b', 'shadow'],
    ]);
  });
});

describe('the number of a limit', () => {
  const CLASSES = [
    { id: 'high_value', minRisk: 3 },
    { id: 'risky', modelGroups: ['acme/risk'] },
    { id: 'other', models: ['acme/other'] },
  ];
  const alice = { principals: [{ type: 'User', id: 'acme/alice' }] };
  const until = { until: '2026-12-01T00:00:00Z', reason: 'a test' };
  const cases: readonly (readonly [string, object, number, string])[] = [
    ['is the base', {}, 100, 'base 100'],
    ['follows the tier', { byTier: { pro: 200, free: 10 } }, 200, 'base 100 x tier pro 200%'],
    [
      'follows tier and plan',
      { byTier: { pro: 200 }, byPlan: { enterprise: 300 } },
      600,
      'base 100 x tier pro 200% x plan enterprise 300%',
    ],
    ['ignores tiers of others', { byTier: { free: 10 } }, 100, 'base 100'],
    [
      'takes the tightest class',
      { byClass: { risky: 50, high_value: 20, other: 1 } },
      20,
      'base 100 x class high_value 20%',
    ],
    ['rounds down', { limit: 7, byClass: { risky: 50 } }, 3, 'base 7 x class risky 50%'],
    ['never rounds to nothing', { limit: 1, byClass: { risky: 1 } }, 1, 'base 1 x class risky 1%'],
    ['is nothing where that is meant', { byTier: { pro: 0 } }, 0, 'base 100 x tier pro 0%'],
    [
      'is overridden until a day, tier and plan included',
      { byTier: { pro: 10 }, overrides: [{ ...alice, ...until, limit: 900 }] },
      900,
      'override 900 until 2026-12-01T00:00:00.000Z',
    ],
    [
      'is tighter for a class in spite of an override',
      { byClass: { high_value: 20 }, overrides: [{ ...alice, ...until, limit: 900 }] },
      180,
      'override 900 until 2026-12-01T00:00:00.000Z x class high_value 20%',
    ],
    [
      'can be overridden by a part',
      { byTier: { pro: 50 }, overrides: [{ tenants: ['acme'], ...until, percent: 300 }] },
      150,
      'base 100 x tier pro 50% x override 300% until 2026-12-01T00:00:00.000Z',
    ],
    [
      'takes the override of the principal before that of model and tenant',
      {
        overrides: [
          { tenants: ['acme'], ...until, limit: 1 },
          { models: ['acme/fraud'], ...until, limit: 2 },
          { ...alice, ...until, limit: 3 },
        ],
      },
      3,
      'override 3 until 2026-12-01T00:00:00.000Z',
    ],
    [
      'takes an override whose every part holds',
      {
        overrides: [
          { ...alice, tenants: ['globex'], ...until, limit: 1 },
          { ...alice, models: ['acme/other'], ...until, limit: 2 },
          { ...alice, models: ['acme/fraud'], tenants: ['acme'], ...until, limit: 3 },
        ],
      },
      3,
      'override 3 until 2026-12-01T00:00:00.000Z',
    ],
  ];

  it.each(cases)('%s', (_, written, limit, source) => {
    const layer = layerOf('platform', { modelClasses: CLASSES, limits: [{ ...WINDOW, ...written }] });
    expect(planner.plan(FACTS, [layer], NOW)[0]?.rule).toMatchObject({ limit, source });
  });

  it('is the base again from the end of the override on', () => {
    const layer = platformOf({ overrides: [{ ...alice, ...until, limit: 900 }] });
    const end = Date.UTC(2026, 11, 1);
    expect(planner.plan(FACTS, [layer], end - 1)[0]?.rule.limit).toBe(900);
    expect(planner.plan(FACTS, [layer], end)[0]?.rule.limit).toBe(100);
  });

  it('is one object for all requests for which it is the same', () => {
    const layer = platformOf({ byTier: { pro: 200 } });
    const [first] = planner.plan(FACTS, [layer], NOW);
    const [second] = planner.plan(facts({ operation: 'embed' }), [layer], NOW + 1);
    expect(second?.rule).toBe(first?.rule);
  });

  it('scales the burst of a rate with it', () => {
    const layer = platformOf({ kind: 'rate', burst: 10, byTier: { pro: 25 } });
    expect(planner.plan(FACTS, [layer], NOW)[0]?.rule).toMatchObject({ limit: 25, burst: 2 });
  });
});

describe('tenants tighten and never widen', () => {
  const platform = platformOf({ id: 'burst' });
  const tightened = (...tighten: readonly object[]) =>
    planner.plan(FACTS, [platform, layerOf('tenant:acme', { tighten })], NOW);

  it.each([
    ['a lower number holds', [{ limit: 'burst', to: 60 }], 60, 'base 100, tightened to 60 by tenant:acme'],
    ['a higher number does not', [{ limit: 'burst', to: 600 }], 100, 'base 100'],
    ['one for others does not', [{ limit: 'burst', to: 1, match: { tiers: ['free'] } }], 100, 'base 100'],
    [
      'the lowest holds',
      [
        { limit: 'burst', to: 60 },
        { limit: 'burst', to: 20 },
        { limit: 'burst', to: 40 },
      ],
      20,
      'base 100, tightened to 60 by tenant:acme, tightened to 20 by tenant:acme',
    ],
  ])('%s', (_, tighten, limit, source) => {
    expect(tightened(...tighten)).toMatchObject([{ rule: { name: 'platform/burst', limit, source } }]);
  });

  it('counts under the same key, tightened or not', () => {
    const [loose] = planner.plan(FACTS, [platform], NOW);
    expect(tightened({ limit: 'burst', to: 1 })[0]?.key).toBe(loose?.key);
  });

  it("charges the tenant's own limits beside those of the platform, apart even under one id", () => {
    const own = layerOf('tenant:acme', { limits: [{ ...WINDOW, id: 'burst', limit: 1_000 }] });
    const charges = planner.plan(FACTS, [platform, own], NOW);
    expect(charges.map(({ rule }) => [rule.name, rule.limit])).toEqual([
      ['platform/burst', 100],
      ['tenant:acme/burst', 1_000],
    ]);
    expect(new Set(charges.map(({ key }) => key)).size).toBe(2);
  });
});

describe('limit sets', () => {
  const platform = platformOf(
    { id: 'always' },
    { id: 'gold-rpm', sets: ['gold'] },
    { id: 'alone', sets: [] },
  );
  const own = layerOf('tenant:acme', { limits: [{ ...WINDOW, id: 'own', sets: ['gold'] }] });
  const named = (...limitSets: readonly string[]) =>
    planner.plan(facts({ limitSets }), [platform, own], NOW).map(({ rule }) => rule.name);

  it.each([
    [[], ['platform/always']],
    [['platform/gold'], ['platform/always', 'platform/gold-rpm']],
    [['platform/alone'], ['platform/always', 'platform/alone']],
    [['tenant:acme/gold'], ['platform/always', 'tenant:acme/own']],
    [['platform/always'], ['platform/always']],
    [
      ['platform/gold', 'tenant:acme/gold', 'platform/gold'],
      ['platform/always', 'platform/gold-rpm', 'tenant:acme/own'],
    ],
  ])('of permits that name %j', (sets, expected) => {
    expect(named(...sets)).toEqual(expected);
  });

  it('deny where no layer declares what a permit names, also without any layer', () => {
    for (const layers of [[platform, own], []]) {
      const charges = planner.plan(facts({ limitSets: ['tenant:globex/gold'] }), layers, NOW);
      expect(charges.at(-1)?.rule).toMatchObject({ limit: 0, mode: 'enforce', name: 'tenant:globex/gold' });
    }
  });
});
