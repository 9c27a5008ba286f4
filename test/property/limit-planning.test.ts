/**
 * Planning against an exact reference: whatever is declared and asked, the index finds what a search through all limits
 * finds, and keys are equal exactly when the values of all dimensions are.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMIT_DIMENSIONS, type LimitDimension, type LimitMatch } from '../../src/domain/limit-definition.ts';
import type { LimitFacts } from '../../src/domain/limit-facts.ts';
import { EntityUid } from '../../src/domain/value.ts';
import { facts, layerOf, MODEL, NOW, plannerWith, WINDOW } from '../limits/charges/planning-world.ts';

/** Few values each, so that matches and collisions are frequent; some that only a careless encoding confuses. */
const ID = fc.constantFrom('a', 'b', 'ab', '1:a', 'a1:b', '}', '{x}', '"');
const SAFE_ID = fc.constantFrom('a', 'b', 'ab', '1:a', 'a1:b', '}', '{x}');
const OPERATION = fc.constantFrom('generate', 'embed', 'deploy');
const TYPE = fc.constantFrom('User', 'Service');
const REF = fc.record({ type: TYPE, id: SAFE_ID });

const anyFacts: fc.Arbitrary<LimitFacts> = fc
  .record({
    principal: fc.tuple(TYPE, ID).map(([type, id]) => new EntityUid(`AI::${type}`, id)),
    groups: fc.uniqueArray(SAFE_ID, { maxLength: 3 }),
    tier: fc.option(fc.constantFrom('pro', 'free'), { nil: undefined }),
    tenant: SAFE_ID,
    plan: fc.option(fc.constantFrom('basic', 'enterprise'), { nil: undefined }),
    model: fc.option(fc.tuple(SAFE_ID, fc.constantFrom('', '2'), fc.uniqueArray(SAFE_ID, { maxLength: 3 })), {
      nil: undefined,
    }),
    operation: OPERATION,
    address: fc.option(fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', 'x'), { nil: undefined }),
    key: fc.option(SAFE_ID, { nil: undefined }),
    pep: SAFE_ID,
  })
  .map(({ groups, model, ...rest }) =>
    facts({
      ...rest,
      principalAncestors: new Set(groups.map(id => `AI::Team::"${id}"`)),
      model: model === undefined ? undefined : modelOf(...model),
    }),
  );

function modelOf(id: string, version: string, groups: readonly string[]): LimitFacts['model'] {
  const uid = new EntityUid('AI::Model', version === '' ? id : `${id}@${version}`);
  const base = version === '' ? [] : [`AI::Model::"${id}"`];
  const ancestors = new Set([...base, ...groups.map(group => `AI::ModelGroup::"${group}"`)]);
  return { ...MODEL, uid, ancestors, version };
}

const anyMatch = fc.record(
  {
    operations: fc.uniqueArray(fc.constantFrom('generate', 'embed', 'deploy', 'Inference'), { minLength: 1 }),
    models: fc.uniqueArray(SAFE_ID, { minLength: 1, maxLength: 3 }),
    modelGroups: fc.uniqueArray(SAFE_ID, { minLength: 1, maxLength: 3 }),
    tenants: fc.uniqueArray(SAFE_ID, { minLength: 1, maxLength: 3 }),
    tiers: fc.uniqueArray(fc.constantFrom('pro', 'free'), { minLength: 1 }),
    principals: fc.array(REF, { minLength: 1, maxLength: 3 }),
    principalTypes: fc.uniqueArray(TYPE, { minLength: 1 }),
    principalGroups: fc.array(
      SAFE_ID.map(id => ({ type: 'Team', id })),
      { minLength: 1, maxLength: 3 },
    ),
    keys: fc.uniqueArray(SAFE_ID, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: [] },
);

/** The same question as the index answers, one member after the other. */
function isFor(match: Partial<LimitMatch>, asked: LimitFacts): boolean {
  const { principal, model, operation } = asked;
  const group = operation === 'deploy' ? [operation] : [operation, 'Inference'];
  const modelKeys = model === undefined ? [] : [model.uid.key, ...model.ancestors];
  return (
    (match.operations?.some(name => group.includes(name)) ?? true) &&
    (match.models?.some(id => modelKeys.includes(`AI::Model::"${id}"`)) ?? true) &&
    (match.modelGroups?.some(id => modelKeys.includes(`AI::ModelGroup::"${id}"`)) ?? true) &&
    (match.tenants?.includes(asked.tenant) ?? true) &&
    (match.tiers?.some(tier => tier === asked.tier) ?? true) &&
    (match.principals?.some(({ type, id }) => principal.key === `AI::${type}::"${id}"`) ?? true) &&
    (match.principalTypes?.some(type => principal.type === `AI::${type}`) ?? true) &&
    (match.principalGroups?.some(({ id }) => asked.principalAncestors.has(`AI::Team::"${id}"`)) ?? true) &&
    (match.keys?.some(id => id === asked.key) ?? true)
  );
}

test('the index finds every limit that matches, once, and no other', () => {
  const cases = fc.tuple(
    fc.array(anyMatch, { maxLength: 12 }),
    fc.array(anyFacts, { minLength: 1, maxLength: 4 }),
  );
  fc.assert(
    fc.property(cases, ([matches, questions]) => {
      const limits = matches.map((match, at) => ({ ...WINDOW, id: `l${at}`, key: [], match }));
      const layer = layerOf('platform', { limits });
      const planner = plannerWith();
      for (const asked of questions) {
        const expected = limits.filter(({ match }) => isFor(match, asked)).map(({ id }) => `platform/${id}`);
        const planned = planner.plan(asked, [layer], NOW).map(({ rule }) => rule.name);
        expect(planned.toSorted()).toEqual(expected.toSorted());
      }
    }),
    { numRuns: 300 },
  );
});

/** What a dimension tells apart, as text that cannot be confused. */
const VALUE: Readonly<
  Record<Exclude<LimitDimension, 'model_group' | 'address'>, (asked: LimitFacts) => unknown>
> = {
  principal: ({ principal }) => [principal.type, principal.id],
  key: ({ key }) => key,
  tenant: ({ tenant }) => tenant,
  model: ({ model }) => model?.uid.id.replace(/@2$/, ''),
  operation: ({ operation }) => operation,
  pep: ({ pep }) => pep,
};

test('two requests are counted together exactly when all their values are equal', () => {
  const dimensions = LIMIT_DIMENSIONS.filter(one => one !== 'model_group' && one !== 'address');
  const cases = fc.tuple(fc.subarray(dimensions), anyFacts, anyFacts);
  fc.assert(
    fc.property(cases, ([key, one, other]) => {
      const layer = layerOf('platform', { limits: [{ ...WINDOW, key }] });
      const planner = plannerWith();
      const keyOf = (asked: LimitFacts) => planner.plan(asked, [layer], NOW).map(charge => charge.key);
      const valuesOf = (asked: LimitFacts) => key.map(dimension => VALUE[dimension](asked));
      const isWhole = (asked: LimitFacts) => valuesOf(asked).every(value => value !== undefined);
      expect(keyOf(one).length).toBe(isWhole(one) ? 1 : 0);
      fc.pre(isWhole(one) && isWhole(other));
      const isSame = JSON.stringify(valuesOf(one)) === JSON.stringify(valuesOf(other));
      expect(keyOf(one)[0] === keyOf(other)[0]).toBe(isSame);
      // remembered keys are the same as those that are made
      expect(keyOf(one)).toEqual(
        plannerWith()
          .plan(one, [layer], NOW)
          .map(charge => charge.key),
      );
    }),
    { numRuns: 500 },
  );
});

test('a tenant never gets more than the platform gives, whatever it declares', () => {
  const number = fc.integer({ min: 0, max: 500 });
  const percents = fc.dictionary(fc.constantFrom('pro', 'free'), fc.integer({ min: 0, max: 400 }));
  const cases = fc.tuple(number, percents, fc.array(fc.tuple(number, anyMatch), { maxLength: 4 }), anyFacts);
  fc.assert(
    fc.property(cases, ([limit, byTier, tighten, asked]) => {
      const platform = layerOf('platform', { limits: [{ ...WINDOW, limit, byTier }] });
      const tenant = layerOf('tenant:a', {
        tighten: tighten.map(([to, match]) => ({ limit: 'one', to, match })),
        limits: [{ ...WINDOW, limit: 1_000_000 }],
      });
      const [alone] = plannerWith().plan(asked, [platform], NOW);
      const beside = plannerWith().plan(asked, [platform, tenant], NOW);
      const ours = beside.find(({ rule }) => rule.name === 'platform/one');
      expect(ours?.key).toBe(alone?.key);
      const expected = tighten.filter(([, match]) => isFor(match, asked)).map(([to]) => to);
      expect(ours?.rule.limit).toBe(Math.min(alone?.rule.limit ?? 0, ...expected));
      expect(beside).toHaveLength(2);
    }),
    { numRuns: 300 },
  );
});
