/** The policy decoder: what it reads, and that it refuses all the rest. */
import { templateToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from 'vitest';
import { decodePolicy, decodeTemplate, linkTemplate } from '../../src/cedar/est.ts';
import { UnsupportedPolicyError } from '../../src/cedar/est-shape.ts';
import { EntityUid } from '../../src/domain/value.ts';
import { parseCondition, parsePolicy } from './small-world.ts';

const ANY = { op: 'All' };
const POLICY = { effect: 'permit', principal: ANY, action: ANY, resource: ANY, conditions: [] };

/** A policy with this JSON expression as its only condition. */
function withBody(body: unknown): unknown {
  return { ...POLICY, conditions: [{ kind: 'when', body }] };
}

const TRUE = { Value: true };
const USER = { type: 'User', id: 'a' };

describe('decodePolicy()', () => {
  it('reads effect, annotations, scope and conditions', () => {
    const policy = parsePolicy(
      '@id("x") @flag forbid(principal is User in Team::"t", action in [Action::"a", Action::"b"], resource == Photo::"p") when { true } unless { false };',
    );
    expect(policy).toEqual({
      effect: 'forbid',
      annotations: new Map([
        ['flag', ''],
        ['id', 'x'],
      ]),
      scope: {
        principal: { kind: 'isIn', entityType: 'User', uid: new EntityUid('Team', 't') },
        action: { kind: 'in', uids: [new EntityUid('Action', 'a'), new EntityUid('Action', 'b')] },
        resource: { kind: 'equal', uid: new EntityUid('Photo', 'p') },
      },
      conditions: [
        { kind: 'when', body: { kind: 'boolean', value: true } },
        { kind: 'unless', body: { kind: 'boolean', value: false } },
      ],
    });
  });

  it('keeps attributes, fields and annotations named like parts of every object', () => {
    const policy = parseCondition('{"__proto__": 1, constructor: 2}.toString == context.__proto__');
    expect(policy.conditions[0]?.body).toMatchObject({
      left: { name: 'toString', target: { fields: [{ name: '__proto__' }, { name: 'constructor' }] } },
      right: { name: '__proto__' },
    });
    expect(parsePolicy('@__proto__("x") permit(principal, action, resource);').annotations).toEqual(
      new Map([['__proto__', 'x']]),
    );
  });

  it.each([
    ['no object', null],
    ['an array', []],
    ['a text', 'permit(principal, action, resource);'],
    ['an unknown key', { ...POLICY, extra: 1 }],
    ['a missing key', { ...POLICY, conditions: undefined }],
    ['an unknown effect', { ...POLICY, effect: 'allow' }],
    ['an annotation that is no string', { ...POLICY, annotations: { id: 1 } }],
    ['a condition of an unknown kind', { ...POLICY, conditions: [{ kind: 'if', body: TRUE }] }],
    ['a condition with an unknown key', { ...POLICY, conditions: [{ kind: 'when', body: TRUE, x: 1 }] }],
    ['conditions that are no array', { ...POLICY, conditions: { kind: 'when', body: TRUE } }],
    ['an unknown scope operator', { ...POLICY, principal: { op: '!=', entity: USER } }],
    ['a scope with an unknown key', { ...POLICY, principal: { op: 'All', entity: USER } }],
    ['a scope without its entity', { ...POLICY, principal: { op: '==' } }],
    ['an entity with an unknown key', { ...POLICY, principal: { op: '==', entity: { ...USER, x: 1 } } }],
    ['an entity without an id', { ...POLICY, resource: { op: 'in', entity: { type: 'User' } } }],
    ['an action that `is` a type', { ...POLICY, action: { op: 'is', entity_type: 'Action' } }],
    [
      'an action with entity and entities',
      { ...POLICY, action: { op: 'in', entity: USER, entities: [USER] } },
    ],
    ['a slot without a value', { ...POLICY, principal: { op: '==', slot: '?principal' } }],
    ["another position's slot", { ...POLICY, principal: { op: '==', slot: '?resource' } }],
    ['a slot beside an entity', { ...POLICY, principal: { op: '==', slot: '?principal', entity: USER } }],
  ])('refuses %s', (_name, est) => {
    expect(() => decodePolicy(est)).toThrow(UnsupportedPolicyError);
  });

  it.each([
    ['an unknown operator', { xor: { left: TRUE, right: TRUE } }],
    ['an operator of Object.prototype', { toString: [TRUE] }],
    ['`unknown`', { unknown: [{ Value: 'x' }] }],
    ['a slot', { Slot: '?principal' }],
    ['two keys in one expression', { ...TRUE, Var: 'context' }],
    ['no key in an expression', {}],
    ['an unknown variable', { Var: 'subject' }],
    ['an operand too few', { '==': { left: TRUE } }],
    ['an operand too many', { '==': { left: TRUE, right: TRUE, third: TRUE } }],
    ['an unknown key of `!`', { '!': { arg: TRUE, x: 1 } }],
    ['an attribute that is no string', { '.': { left: { Var: 'context' }, attr: 1 } }],
    ['an empty path', { has: { left: { Var: 'context' }, attr: [] } }],
    ['a pattern element of an unknown kind', { like: { left: TRUE, pattern: ['Any'] } }],
    ['a pattern that is a text', { like: { left: TRUE, pattern: 'a*' } }],
    ['an unknown key of `is`', { is: { left: TRUE, entity_type: 'User', or: TRUE } }],
    ['`if` without `then`', { 'if-then-else': { if: TRUE, else: TRUE } }],
    ['operands that are no array', { ip: { Value: '1.2.3.4' } }],
    ['null', { Value: null }],
    ['a literal set', { Value: [1] }],
    ['a literal record', { Value: { a: 1 } }],
    ['a literal extension call', { Value: { __extn: { fn: 'unknown', arg: 'x' } } }],
    ['a literal expression', { Value: { __expr: 'true' } }],
    ['an entity with an unknown key', { Value: { __entity: { ...USER, x: 1 } } }],
    ['a fraction', { Value: 1.5 }],
    ['an integer that lost digits', { Value: 2 ** 53 }],
    ['a negative integer that lost digits', { Value: -(2 ** 63) }],
  ])('refuses %s', (_name, body) => {
    expect(() => decodePolicy(withBody(body))).toThrow(UnsupportedPolicyError);
  });

  it('refuses what nests deeper or is larger than the limits', () => {
    const nested = (levels: number): unknown => (levels === 1 ? TRUE : { '!': { arg: nested(levels - 1) } });
    const wide = (nodes: number): unknown => ({ Set: Array.from({ length: nodes - 1 }, () => TRUE) });
    expect(() => decodePolicy(withBody(nested(64)))).not.toThrow();
    expect(() => decodePolicy(withBody(nested(65)))).toThrow('nests deeper than 64');
    expect(() => decodePolicy(withBody(nested(5000)))).toThrow('nests deeper than 64');
    expect(() => decodePolicy(withBody(wide(500)))).not.toThrow();
    expect(() => decodePolicy(withBody(wide(501)))).toThrow('too many expressions');
  });

  it('counts the expressions of all conditions together', () => {
    const condition = { kind: 'when', body: { Set: Array.from({ length: 299 }, () => TRUE) } };
    expect(() => decodePolicy({ ...POLICY, conditions: [condition, condition] })).toThrow(
      'too many expressions',
    );
  });
});

describe('linkTemplate()', () => {
  function template(text: string): ReturnType<typeof decodeTemplate> {
    const answer = templateToJson(text);
    if (answer.type !== 'success') throw new Error(answer.errors.map(error => error.message).join('; '));
    return decodeTemplate(answer.json);
  }
  const alice = new EntityUid('User', 'alice');
  const album = new EntityUid('Album', 'x');

  it.each([
    ['principal == ?principal', { principal: alice }, { principal: { kind: 'equal', uid: alice } }],
    ['principal in ?principal', { principal: alice }, { principal: { kind: 'in', uid: alice } }],
    [
      'principal is User in ?principal',
      { principal: alice },
      { principal: { kind: 'isIn', entityType: 'User', uid: alice } },
    ],
  ])('fills %s', (scope, values, expected) => {
    const linked = linkTemplate(template(`permit(${scope}, action, resource);`), values);
    expect(linked.scope).toMatchObject(expected);
  });

  it('fills both slots and keeps the rest', () => {
    const text = '@id("t") forbid(principal == ?principal, action, resource in ?resource) when { true };';
    const linked = linkTemplate(template(text), { principal: alice, resource: album });
    expect(linked).toEqual(
      parsePolicy(
        '@id("t") forbid(principal == User::"alice", action, resource in Album::"x") when { true };',
      ),
    );
  });

  it('refuses a missing value and one too many', () => {
    const one = template('permit(principal == ?principal, action, resource);');
    expect(() => linkTemplate(one, {})).toThrow('no value for the slot `?principal`');
    expect(() => linkTemplate(one, { principal: alice, resource: album })).toThrow(
      'the policy has no slot `?resource`',
    );
  });
});
