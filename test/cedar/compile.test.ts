/** Compiled policies: scopes beside Cedar's own answers, groups of actions, annotations. */
import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from 'vitest';
import { authorize } from '../../src/cedar/authorize.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { EvaluationError } from '../../src/cedar/evaluation-error.ts';
import { LinearIndex, PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import type { CompiledPolicy, PolicyIndex } from '../../src/cedar/types.ts';
import { type Entity, EntityUid, RecordValue } from '../../src/domain/value.ts';
import { CEDAR_WORLD, parsePolicy, worldRequest } from './small-world.ts';

function compile(
  text: string,
  id = 'p',
  actions: Parameters<typeof compilePolicy>[0]['actions'] = new Map(),
): CompiledPolicy {
  return compilePolicy({ id, policy: parsePolicy(text), actions });
}

function indexed(
  policies: readonly CompiledPolicy[],
  actions: ConstructorParameters<typeof PolicyIndexBuilder>[0],
): PolicyIndex {
  const builder = new PolicyIndexBuilder(actions);
  for (const policy of policies) builder.add(policy);
  return builder.build();
}

/** Scopes and whether they match: alice, of the team in the org, views the beach. */
const SCOPES: readonly (readonly [string, boolean])[] = [
  ['principal, action, resource', true],
  ['principal == User::"alice", action, resource', true],
  ['principal == User::"bob", action, resource', false],
  ['principal == Team::"alice", action, resource', false],
  ['principal in User::"alice", action, resource', true],
  ['principal in Team::"team", action, resource', true],
  ['principal in Org::"org", action, resource', true],
  ['principal in Team::"other", action, resource', false],
  ['principal is User, action, resource', true],
  ['principal is Team, action, resource', false],
  ['principal is NS::User, action, resource', false],
  ['principal is User in Org::"org", action, resource', true],
  ['principal is User in User::"alice", action, resource', true],
  ['principal is Team in Org::"org", action, resource', false],
  ['principal is User in Team::"other", action, resource', false],
  ['principal, action == Action::"view", resource', true],
  ['principal, action == Action::"read", resource', false],
  ['principal, action in Action::"view", resource', true],
  ['principal, action in Action::"read", resource', true],
  ['principal, action in Action::"write", resource', false],
  ['principal, action in [Action::"write", Action::"read"], resource', true],
  ['principal, action in [Action::"read", Action::"view", Action::"view"], resource', true],
  ['principal, action in [], resource', false],
  // The photo does not exist: it has a uid and a type and is in itself.
  ['principal, action, resource == Photo::"beach"', true],
  ['principal, action, resource in Photo::"beach"', true],
  ['principal, action, resource in Album::"summer"', false],
  ['principal, action, resource is Photo', true],
  ['principal, action, resource is Photo in Album::"summer"', false],
  [
    'principal is User in Team::"team", action in [Action::"read"], resource is Photo in Photo::"beach"',
    true,
  ],
];

describe('a scope', () => {
  it.each(SCOPES)('of (%s) matches: %s', (scope, expected) => {
    const policy = compile(`permit(${scope});`);
    expect(policy.matchesScope(worldRequest())).toBe(expected);
    for (const index of [indexed([policy], new Map()), new LinearIndex([policy])]) {
      expect(authorize([index], worldRequest()).decision).toBe(expected ? 'allow' : 'deny');
    }
  });

  it('matches as in Cedar', () => {
    const policies = SCOPES.map(([scope], i) => [`p${i}`, `permit(${scope});`] as const);
    const answer = isAuthorized({
      ...CEDAR_WORLD,
      policies: { staticPolicies: Object.fromEntries(policies) },
    });
    const matching = answer.type === 'success' ? answer.response.diagnostics.reason : [];
    expect(SCOPES.map(([scope], i) => [scope, matching.includes(`p${i}`)])).toEqual(SCOPES);
  });
});

describe('groups of actions', () => {
  const view = new EntityUid('Action', 'view');
  const group = (id: string): string => new EntityUid('Action', id).key;
  const actions = new Map([
    [view.key, { ancestors: new Set([group('declared')]) }],
    [group('declared'), { ancestors: new Set<string>() }],
  ]);

  it.each([
    ['permit(principal, action in Action::"declared", resource);', 'allow'],
    ['permit(principal, action in [Action::"other", Action::"declared"], resource);', 'allow'],
    ['permit(principal, action, resource) when { action in Action::"declared" };', 'allow'],
    ['permit(principal, action, resource) when { action in [Action::"declared"] };', 'allow'],
    ['permit(principal, action, resource) when { action is Action in Action::"declared" };', 'allow'],
    // The world's own action entity says "read", but the schema knows better.
    ['permit(principal, action in Action::"read", resource);', 'deny'],
    ['permit(principal, action, resource) when { action in Action::"read" };', 'deny'],
  ])('of a declared action come from the schema: %s', (text, decision) => {
    const policy = compile(text, 'p', actions);
    for (const index of [indexed([policy], actions), new LinearIndex([policy])]) {
      expect(authorize([index], worldRequest()).decision).toBe(decision);
    }
  });

  it('of an undeclared action come from its entity', () => {
    const policy = compile('permit(principal, action in Action::"read", resource);');
    const undeclared = new Map([[group('declared'), { ancestors: new Set<string>() }]]);
    expect(authorize([indexed([policy], undeclared)], worldRequest()).decision).toBe('allow');
  });
});

describe('a compiled policy', () => {
  it('carries id, effect, annotations, reason, obligations and level', () => {
    const text =
      '@id("x") @reason("because") @obligation("log_full, notify ,") forbid(principal in Team::"t", action, resource);';
    expect(compile(text, 'tenant:acme/x')).toMatchObject({
      id: 'tenant:acme/x',
      effect: 'forbid',
      reason: 'because',
      obligations: ['log_full', 'notify'],
      level: 1,
    });
  });

  it('has no reason and no obligations when it states none', () => {
    expect(compile('permit(principal, action, resource);')).toMatchObject({
      reason: '',
      obligations: [],
      level: 0,
    });
  });

  it.each([
    ['', true],
    ['when { true } when { true }', true],
    ['when { true } when { false }', false],
    ['when { true } unless { false }', true],
    ['when { true } unless { true }', false],
    // Conditions are evaluated in their order until one fails.
    ['when { false } when { resource.owner }', false],
    ['unless { true } when { resource.owner }', false],
  ])('holds when all its conditions do: %s', (conditions, expected) => {
    const policy = compile(`permit(principal, action, resource) ${conditions};`);
    expect(policy.evaluateConditions(worldRequest())).toBe(expected);
  });

  it.each(['when { 1 }', 'unless { 1 }', 'when { true } unless { resource.owner }'])(
    'errs: %s',
    conditions => {
      const policy = compile(`permit(principal, action, resource) ${conditions};`);
      expect(() => policy.evaluateConditions(worldRequest())).toThrow(EvaluationError);
    },
  );

  it('cannot be changed by what an entity source lists as its own ancestor', () => {
    const alice = new EntityUid('User', 'alice');
    const self: Entity = {
      uid: alice,
      attributes: new RecordValue(new Map()),
      tags: new RecordValue(new Map()),
      ancestors: new Set([alice.key]),
    };
    const policy = compile('permit(principal == User::"alice", action, resource);');
    const request = { ...worldRequest(), entities: new Map([[alice.key, self]]) };
    expect(authorize([indexed([policy], new Map())], request).determining).toHaveLength(1);
  });
});
