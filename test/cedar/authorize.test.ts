/** Decisions over several policies and sets, with the index and without, beside Cedar's own answers. */
import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorize, nearMisses } from '../../src/cedar/authorize.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import type { ActionGroups } from '../../src/cedar/operators.ts';
import { LinearIndex, PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import { printExpression } from '../../src/cedar/print.ts';
import type { CompiledPolicy, PolicyIndex } from '../../src/cedar/types.ts';
import { conditions } from './arbitrary-expressions.ts';
import { CEDAR_WORLD, parsePolicy, worldRequest } from './small-world.ts';

/** Action::"view" as the world has it, declared. */
const DECLARED: ActionGroups = new Map([['Action::"view"', { ancestors: new Set(['Action::"read"']) }]]);
const UNDECLARED: ActionGroups = new Map();

function compile(policies: Readonly<Record<string, string>>, actions = UNDECLARED): CompiledPolicy[] {
  return Object.entries(policies).map(([id, text]) =>
    compilePolicy({ id, policy: parsePolicy(text), actions }),
  );
}

function indexed(policies: readonly CompiledPolicy[], actions = UNDECLARED): PolicyIndex {
  const builder = new PolicyIndexBuilder(actions);
  for (const policy of policies) builder.add(policy);
  return builder.build();
}

const ids = (policies: readonly CompiledPolicy[]): string[] => policies.map(policy => policy.id);

/** Our answer in the words of Cedar's. */
function decide(indexes: readonly PolicyIndex[]): unknown {
  const { decision, determining, erroring } = authorize(indexes, worldRequest());
  return { decision, reason: ids(determining), errors: ids(erroring) };
}

function cedarDecides(policies: Readonly<Record<string, string>>): unknown {
  const answer = isAuthorized({ ...CEDAR_WORLD, policies: { staticPolicies: { ...policies } } });
  if (answer.type !== 'success') throw new Error(answer.errors.map(error => error.message).join('; '));
  const { decision, diagnostics } = answer.response;
  return {
    decision,
    reason: diagnostics.reason.sort(),
    errors: diagnostics.errors.map(e => e.policyId).sort(),
  };
}

const PERMIT = 'permit(principal, action, resource)';
const FORBID = 'forbid(principal, action, resource)';

describe('authorize()', () => {
  it.each<[string, Record<string, string>, object]>([
    ['denies without policies', {}, { decision: 'deny', reason: [], errors: [] }],
    [
      'allows by a permit',
      { p: `${PERMIT};`, q: `${PERMIT} when { false };` },
      { decision: 'allow', reason: ['p'], errors: [] },
    ],
    [
      'names all satisfied permits, sorted',
      { p2: `${PERMIT};`, p10: `${PERMIT};`, a: `${PERMIT};` },
      { decision: 'allow', reason: ['a', 'p10', 'p2'], errors: [] },
    ],
    [
      'denies by a forbid whatever is permitted',
      { p: `${PERMIT};`, f: `${FORBID};`, g: `${FORBID} when { false };` },
      { decision: 'deny', reason: ['f'], errors: [] },
    ],
    [
      'skips an erring forbid, as Cedar does, and names it',
      { p: `${PERMIT};`, f: `${FORBID} when { resource.owner == 1 };` },
      { decision: 'allow', reason: ['p'], errors: ['f'] },
    ],
    [
      'skips an erring permit and names it',
      { p: `${PERMIT} when { 1 };`, q: `${PERMIT} unless { resource.owner == 1 };` },
      { decision: 'deny', reason: [], errors: ['p', 'q'] },
    ],
    [
      'does not name a policy whose conditions would err but whose scope does not match',
      { p: 'permit(principal == User::"bob", action, resource) when { resource.owner };', q: `${PERMIT};` },
      { decision: 'allow', reason: ['q'], errors: [] },
    ],
  ])('%s', (_name, policies, expected) => {
    const compiled = compile(policies);
    expect(decide([indexed(compiled)])).toEqual(expected);
    expect(decide([new LinearIndex(compiled)])).toEqual(expected);
    expect(cedarDecides(policies)).toEqual(expected);
  });

  it('decides over several sets as over their union', () => {
    const [platform, tenant] = [
      compile({ f: `${FORBID};`, e: `${PERMIT} when { 1 };` }),
      compile({ p: `${PERMIT};` }),
    ];
    expect(decide([indexed(platform), indexed(tenant)])).toEqual({
      decision: 'deny',
      reason: ['f'],
      errors: ['e'],
    });
    expect(decide([indexed(tenant)])).toEqual({ decision: 'allow', reason: ['p'], errors: [] });
  });

  it('gives satisfied permits even when a forbid decides', () => {
    const answer = authorize([indexed(compile({ p: `${PERMIT};`, f: `${FORBID};` }))], worldRequest());
    expect([ids(answer.satisfiedPermits), ids(answer.satisfiedForbids)]).toEqual([['p'], ['f']]);
  });

  it('lets a bug pass through instead of taking it for an erring policy', () => {
    const request = worldRequest();
    const get = (): never => {
      throw new SyntaxError('a bug');
    };
    const broken = { ...request, entities: { get } };
    const policy = compile({ p: `${PERMIT} when { principal.age == 1 };` });
    expect(() => authorize([indexed(policy)], broken)).toThrow(SyntaxError);
  });
});

describe('nearMisses()', () => {
  it('are the permits whose scope matches and whose conditions fail or err', () => {
    const policies = compile({
      satisfied: `${PERMIT};`,
      z: `${PERMIT} when { false };`,
      erring: `${PERMIT} when { resource.owner };`,
      elsewhere: 'permit(principal == User::"bob", action, resource) when { false };',
      forbid: `${FORBID} when { false };`,
    });
    for (const index of [indexed(policies), new LinearIndex(policies)]) {
      expect(ids(nearMisses([index], worldRequest()))).toEqual(['erring', 'z']);
    }
  });
});

const uid = fc.constantFrom('User::"alice"', 'User::"bob"', 'Team::"team"', 'Org::"org"', 'Photo::"beach"');
const position = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(name),
    uid.map(id => `${name} == ${id}`),
    uid.map(id => `${name} in ${id}`),
    fc.constantFrom('User', 'Photo', 'Team').map(type => `${name} is ${type}`),
    fc.tuple(fc.constantFrom('User', 'Photo'), uid).map(([type, id]) => `${name} is ${type} in ${id}`),
  );
const action = fc.constantFrom(
  'action',
  'action == Action::"view"',
  'action == Action::"edit"',
  'action in Action::"read"',
  'action in Action::"write"',
  'action in [Action::"view", Action::"read", Action::"write"]',
);
const policyText = fc
  .tuple(
    fc.constantFrom('permit', 'permit', 'forbid'),
    position('principal'),
    action,
    position('resource'),
    fc.array(fc.tuple(fc.constantFrom('when', 'unless'), conditions(2)), { maxLength: 2 }),
  )
  .map(([effect, principal, act, resource, bodies]) => {
    const texts = bodies.map(([kind, body]) => `${kind} { ${printExpression(body)} }`);
    return `${effect}(${principal}, ${act}, ${resource}) ${texts.join(' ')};`;
  });

describe('generated policy sets', () => {
  it('are decided alike with the index, without it and by Cedar', () => {
    fc.assert(
      fc.property(fc.array(policyText, { maxLength: 30 }), texts => {
        const policies = Object.fromEntries(texts.map((text, i) => [`p${i}`, text]));
        const cedars = cedarDecides(policies);
        for (const actions of [DECLARED, UNDECLARED]) {
          const compiled = compile(policies, actions);
          expect(decide([new LinearIndex(compiled)])).toEqual(cedars);
          expect(decide([indexed(compiled, actions)])).toEqual(cedars);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('are searched without visiting a policy twice or one that names neither the entity nor its ancestors', () => {
    fc.assert(
      fc.property(fc.array(policyText, { maxLength: 30 }), texts => {
        for (const actions of [DECLARED, UNDECLARED]) {
          const compiled = compile(Object.fromEntries(texts.map((text, i) => [`p${i}`, text])), actions);
          const visited: CompiledPolicy[] = [];
          indexed(compiled, actions).candidates(worldRequest(), policy => visited.push(policy));
          const matching = compiled.filter(policy => policy.matchesScope(worldRequest()));
          expect(new Set(visited).size).toBe(visited.length);
          expect(matching.filter(policy => !visited.includes(policy))).toEqual([]);
          // `== E` and `is T in E` are filed under E alone, like `in E`.
          const superfluous = visited.filter(policy => !matching.includes(policy));
          const named = superfluous.flatMap(({ scope }) =>
            [scope.principal, scope.resource].map(c => c.kind),
          );
          expect(named.length === 0 || named.includes('equal') || named.includes('isIn')).toBe(true);
        }
      }),
    );
  });
});

describe('PolicyIndexBuilder', () => {
  it('refuses two policies with one id', () => {
    const [policy] = compile({ p: `${PERMIT};` });
    const builder = new PolicyIndexBuilder(UNDECLARED);
    const add = (): void => {
      if (policy !== undefined) builder.add(policy);
    };
    add();
    expect(add).toThrow('two policies have the id `p`');
  });

  it('keeps the policies in the order in which they were added', () => {
    const policies = compile({ b: `${PERMIT};`, a: `${FORBID};` });
    expect(indexed(policies)).toMatchObject({ size: 2, policies });
  });
});
