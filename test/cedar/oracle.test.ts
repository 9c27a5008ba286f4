/** The oracle: what it answers, what it refuses to answer, and that its memory stays bounded. */
import { describe, expect, it } from 'vitest';
import { EMPTY_RECORD } from '../../src/cedar/equality.ts';
import {
  compareAnswers,
  MAX_REGISTERED_POLICIES,
  Oracle,
  type OracleLayer,
  POLICY_SET_SLOTS,
} from '../../src/cedar/oracle.ts';
import { SlotPool } from '../../src/cedar/slot-pool.ts';
import type { CompiledPolicy, EvaluationRequest } from '../../src/cedar/types.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';

const SCHEMA = {
  digest: 'sha256:one',
  text: 'entity User in [Group] = { level: Long }; entity Group; action read in [all] appliesTo { principal: [User], resource: [User], context: { x?: Long } }; action all;',
};
const alice = new EntityUid('User', 'alice');
const group = new EntityUid('Group', 'g');

function record(members: Readonly<Record<string, Value>>): RecordValue {
  return new RecordValue(new Map(Object.entries(members)));
}

function request(parts: Partial<EvaluationRequest> = {}): EvaluationRequest {
  const entity: Entity = {
    uid: alice,
    attributes: record({ level: 3 }),
    tags: EMPTY_RECORD,
    ancestors: new Set([group.key]),
  };
  return {
    principal: alice,
    action: new EntityUid('Action', 'read'),
    resource: alice,
    context: EMPTY_RECORD,
    entities: new Map([[alice.key, entity]]),
    ...parts,
  };
}

function layer(digest: string, policies: Record<string, string>): OracleLayer {
  return { digest, policies };
}

const PERMIT = layer('permits', {
  'tenant:a/b': 'permit(principal in Group::"g", action in Action::"all", resource);',
  'tenant:a/a': 'permit(principal, action, resource) when { principal.level == 3 };',
  'tenant:a/c': 'permit(principal, action, resource) when { context.x > 1 };',
});
const FORBID = layer('forbids', {
  'platform/f': 'forbid(principal, action, resource) when { context has x && context.x > 5 };',
});

describe('the oracle answers', () => {
  const oracle = new Oracle(new CedarWasm());
  const ask = (layers: readonly OracleLayer[], parts: Partial<EvaluationRequest> = {}, schema = SCHEMA) =>
    oracle.authorize({ layers, schema, request: request(parts) });

  it('with ids in order, over the union of the layers, groups of actions included', () => {
    expect(ask([FORBID, PERMIT])).toEqual({
      ok: true,
      decision: 'allow',
      determining: ['tenant:a/a', 'tenant:a/b'],
      erroring: ['tenant:a/c'],
    });
    expect(ask([FORBID, PERMIT], { context: record({ x: 9 }) })).toMatchObject({
      decision: 'deny',
      determining: ['platform/f'],
    });
    expect(ask([FORBID])).toEqual({ ok: true, decision: 'deny', determining: [], erroring: [] });
    expect(ask([])).toEqual({ ok: true, decision: 'deny', determining: [], erroring: [] });
  });

  it('with integers exact to 64 bits', () => {
    const exact = layer('exact', {
      p: 'permit(principal, action, resource) when { context.x == 9007199254740991 * 1024 + 1023 };',
    });
    expect(ask([exact], { context: record({ x: 2n ** 63n - 1n }) })).toMatchObject({ decision: 'allow' });
    expect(ask([exact], { context: record({ x: 2n ** 63n - 2n }) })).toMatchObject({ decision: 'deny' });
  });

  it.each<[string, readonly OracleLayer[], Partial<EvaluationRequest>, string]>([
    [
      'an action that the schema lacks',
      [PERMIT],
      { action: new EntityUid('Action', 'nope') },
      'does not exist',
    ],
    ['a principal of a wrong type', [PERMIT], { principal: group }, 'principal type'],
    ['a context that does not conform', [PERMIT], { context: record({ x: 'one' }) }, 'not valid'],
    ['a context with an undeclared key', [PERMIT], { context: record({ y: 1 }) }, 'y'],
    [
      'layers that share a policy id',
      [PERMIT, layer('other', { 'tenant:a/b': 'permit(principal, action, resource);' })],
      {},
      'two layers have a policy `tenant:a/b`',
    ],
    ['a layer that does not parse', [layer('bad', { p: 'permit(' })], {}, 'unexpected end of input'],
  ])('%s is a failure', (_, layers, parts, message) => {
    const answer = ask(layers, parts);
    expect(answer.ok).toBe(false);
    expect(!answer.ok && answer.failure).toContain(message);
  });

  it('a failure does not stay: the next question is answered', () => {
    ask([layer('bad', { p: 'permit(' })]);
    expect(ask([PERMIT])).toMatchObject({ ok: true, decision: 'allow' });
  });

  it('an allow without a determining policy is a failure', () => {
    // The `unknown` function is refused in bundles and in data; this is what stands behind both.
    const open = layer('open', {
      p: 'permit(principal, action, resource);',
      f: 'forbid(principal, action, resource) when { unknown("x") };',
    });
    expect(ask([open])).toEqual({ ok: false, failure: 'cedar-wasm allowed without a determining policy' });
  });

  it('each question with its own schema', () => {
    const other = {
      digest: 'sha256:two',
      text: 'entity User; action read appliesTo { principal: [User], resource: [User] };',
    };
    const all = layer('all', { p: 'permit(principal, action, resource);' });
    expect(ask([all], { entities: new Map() }, other)).toMatchObject({ decision: 'allow' });
    expect(ask([all])).toMatchObject({ decision: 'allow' });
    expect(ask([all], {}, other)).toMatchObject({ ok: false });
    expect(ask([all], {}, { digest: 'sha256:three', text: 'entity ;' })).toMatchObject({ ok: false });
  });
});

describe('the oracle keeps', () => {
  it('answering after a trap', () => {
    const wasm = new CedarWasm();
    const oracle = new Oracle(wasm);
    const ask = () => oracle.authorize({ layers: [PERMIT], schema: SCHEMA, request: request() });
    const before = ask();
    const hostile = layer('hostile', {
      p: `permit(principal, action, resource) when { ${'('.repeat(2_000)}true${')'.repeat(2_000)} };`,
    });
    expect(oracle.authorize({ layers: [hostile], schema: SCHEMA, request: request() })).toMatchObject({
      ok: false,
    });
    expect(wasm.traps).toBe(1);
    expect(ask()).toEqual(before);
  });

  it('the right policies when there are more layers than slots', () => {
    const oracle = new Oracle(new CedarWasm());
    const layers = Array.from({ length: POLICY_SET_SLOTS + 10 }, (_, i) =>
      layer(`l${i}`, { [`p${i}`]: 'permit(principal, action, resource);' }),
    );
    for (const round of [0, 1]) {
      for (const [i, one] of layers.entries()) {
        const answer = oracle.authorize({ layers: [one], schema: SCHEMA, request: request() });
        expect([round, answer]).toEqual([
          round,
          { ok: true, decision: 'allow', determining: [`p${i}`], erroring: [] },
        ]);
      }
    }
  });
});

describe('a pool of slots', () => {
  function pool(slots: number, weight: number) {
    const held = new Map<string, string>();
    const made = new SlotPool({ prefix: 's', slots, weight, empty: name => void held.set(name, '') });
    const take = (key: string, size = 1) => {
      const slot = made.take(key, size, name => void held.set(name, key));
      return 'name' in slot ? [slot.name, held.get(slot.name)] : slot;
    };
    return { made, held, take };
  }

  it('reuses names, the least recently used first', () => {
    const { take, held } = pool(2, 100);
    expect([take('a'), take('b'), take('a'), take('c'), take('b')]).toEqual([
      ['s0', 'a'],
      ['s1', 'b'],
      ['s0', 'a'],
      ['s1', 'c'],
      ['s0', 'b'],
    ]);
    expect(held.size).toBe(2);
  });

  it('empties names when the weight is reached, and holds what is too heavy alone', () => {
    const { take, held } = pool(10, 100);
    take('a', 60);
    take('b', 60);
    expect([...held.values()]).toEqual(['b']);
    take('c', MAX_REGISTERED_POLICIES);
    expect([...held.values()]).toEqual(['c']);
    take('d', 1);
    expect([...held.values()]).toEqual(['d']);
  });

  it('does not remember what could not be filled', () => {
    const { made } = pool(2, 100);
    expect(made.take('a', 1, () => 'broken')).toEqual({ failure: 'broken' });
    expect(made.take('a', 1, () => undefined)).toEqual({ name: 's0' });
  });
});

describe('answers are compared by', () => {
  const compiled = (id: string): CompiledPolicy => ({
    id,
    effect: 'permit',
    annotations: new Map(),
    scope: { principal: { kind: 'any' }, action: { kind: 'any' }, resource: { kind: 'any' } },
    reason: '',
    obligations: [],
    limitSets: [],
    level: 0,
    matchesScope: () => true,
    evaluateConditions: () => true,
    explain: () => [],
    outlook: { outcomes: () => 1, clauses: () => [] },
  });
  const ours = {
    decision: 'allow',
    determining: [compiled('a'), compiled('b')],
    erroring: [compiled('c')],
  } as const;
  const theirs = { ok: true, decision: 'allow', determining: ['a', 'b'], erroring: ['c'] } as const;
  it.each([
    ['equality', theirs, true],
    ['decision', { ...theirs, decision: 'deny' } as const, false],
    ['determining policies', { ...theirs, determining: ['a'] }, false],
    ['which policies determine', { ...theirs, determining: ['a', 'x'] }, false],
    ['erring policies', { ...theirs, erroring: [] }, false],
    ['whether there is an answer', { ok: false, failure: 'no' } as const, false],
  ])('%s', (_, oracle, same) => {
    expect(compareAnswers(ours, oracle)).toBe(same);
  });
});
