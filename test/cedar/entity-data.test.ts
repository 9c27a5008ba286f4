/** Directory entities against the schema: defaults, hierarchy, tags, and every problem at once. */
import { describe, expect, it } from 'vitest';
import {
  applyEntityDefaults,
  type EntityInput,
  MAX_TAGS,
  parseEntityData,
  recordToWireJson,
} from '../../src/cedar/entity-data.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';

const schema = schemaForTest();
const colours = schemaForTest('namespace AI { entity Colour enum ["red"]; entity Thing in [Colour]; }');

const USER: EntityInput = {
  type: 'AI::User',
  id: 'acme/alice',
  attributes: { actsFor: ['m1'], org: 'acme/fraud', tier: 'gold', clearance: 2 },
  parents: [{ type: 'Role', id: 'acme/data-scientist' }],
  tags: {},
};
const MODEL: EntityInput = {
  type: 'AI::Model',
  id: 'acme/m',
  attributes: { org: 'a', stage: 'dev', risk: 1, tiers: [], contextWindow: 1, maxOutputTokens: 1 },
  parents: [],
  tags: { family: 'x' },
};

function problemsOf(input: EntityInput, by = schema) {
  const result = parseEntityData(by, input);
  return result.ok
    ? []
    : result.problems.map(({ pointer, message, hint }) => `${pointer}: ${message}; ${hint}`);
}

describe('defaults', () => {
  it.each([
    ['the tenant of the id prefix', USER, { type: 'Tenant', id: 'acme' }],
    [
      'a tenant itself',
      { ...USER, type: 'AI::Tenant', id: 'acme', attributes: { plan: 'pro' } },
      { type: 'Tenant', id: 'acme' },
    ],
    ['nothing without a prefix', { ...USER, id: 'alice' }, undefined],
    ['what was given', { ...USER, attributes: { ...USER.attributes, tenant: 'globex' } }, 'globex'],
  ])('tenant is %s', (_, input, tenant) => {
    expect(applyEntityDefaults(schema, input).attributes['tenant']).toEqual(tenant);
  });

  it('sharedWith is nobody, where the schema has it', () => {
    expect(applyEntityDefaults(schema, MODEL).attributes['sharedWith']).toEqual([]);
    expect(applyEntityDefaults(schema, USER).attributes).not.toHaveProperty('sharedWith');
    expect(applyEntityDefaults(schema, { ...USER, type: 'AI::Role', attributes: {} }).attributes).toEqual({});
  });

  it('leave an input alone that needs none', () => {
    const complete = applyEntityDefaults(schema, USER);
    expect(applyEntityDefaults(schema, complete)).toBe(complete);
    const unknown = { ...USER, type: 'AI::Nothing' };
    expect(applyEntityDefaults(schema, unknown)).toBe(unknown);
  });
});

describe('an entity that fits', () => {
  it('gives its values, and those give the wire form back', () => {
    const input = applyEntityDefaults(schema, MODEL);
    const result = parseEntityData(schema, input);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    expect(result.data.uid.key).toBe('AI::Model::"acme/m"');
    expect(recordToWireJson(result.data.attributes)).toEqual(input.attributes);
    expect(recordToWireJson(result.data.tags)).toEqual({ family: 'x' });
  });

  it('has its parents fully qualified', () => {
    const result = parseEntityData(schema, applyEntityDefaults(schema, USER));
    expect(result.ok && result.data.parents.map(({ key }) => key)).toEqual([
      'AI::Role::"acme/data-scientist"',
    ]);
  });
});

describe('an entity is refused', () => {
  it.each<[string, EntityInput, string]>([
    [
      'of an unknown type',
      { ...USER, type: 'AI::Usr' },
      '/type: the schema has no entity type `Usr`; did you mean `User`?',
    ],
    ['with a malformed id', { ...USER, id: 'a b' }, '/id: the id must be'],
    [
      'with a misspelt attribute',
      { ...USER, attributes: { ...USER.attributes, clearence: 1 } },
      '/attributes/clearence: unknown attribute `clearence`; did you mean `clearance`?',
    ],
    [
      'without a required attribute',
      { ...USER, attributes: {} },
      '/attributes/org: the attribute `org` is missing',
    ],
    [
      'with a parent of a wrong type',
      { ...USER, parents: [{ type: 'Model', id: 'x' }] },
      '/parents/0/type: `User` cannot be a member of `Model`; a parent must be of type `Team`, `Role`, `Tenant`',
    ],
    ['with a misspelt parent', { ...USER, parents: [{ type: 'Rolle', id: 'x' }] }, 'did you mean `Role`?'],
    [
      'with a parent of a malformed id',
      { ...USER, parents: [{ type: 'Role', id: 'a\n' }] },
      '/parents/0/id: the id `a·` is malformed',
    ],
    [
      'as its own parent',
      { ...MODEL, parents: [{ type: 'Model', id: 'acme/m' }] },
      '/parents/0: an entity cannot be its own parent',
    ],
    [
      'with tags that the type lacks',
      { ...USER, tags: { a: 'b' } },
      '/tags: entities of this type have no tags',
    ],
    [
      'with a tag of a wrong type',
      { ...MODEL, tags: { 'a/b': 1 } },
      '/tags/a~1b: this must be a string, not `1`',
    ],
    [
      'with an escape for a tag',
      { ...MODEL, tags: { a: { __extn: { fn: 'unknown', arg: 'x' } } } },
      '/tags/a/__extn: `__extn` is not accepted',
    ],
    [
      'with too many tags',
      { ...MODEL, tags: Object.fromEntries(Array.from({ length: MAX_TAGS + 1 }, (_, i) => [`t${i}`, ''])) },
      '/tags: there are 257 tags',
    ],
    ['with a tag of a hostile name', { ...MODEL, tags: { '\ud800': '' } }, 'must be well-formed'],
  ])('%s', (_, input, problem) => {
    expect(problemsOf(applyEntityDefaults(schema, input)).join('\n')).toContain(problem);
  });

  it.each<[string, Partial<EntityInput>, string]>([
    [
      'by its id',
      { type: 'AI::Colour', id: 'rd' },
      '/id: the type `Colour` has no entity `rd`; did you mean `red`?',
    ],
    [
      'by its parent',
      { type: 'AI::Thing', id: 'x', parents: [{ type: 'Colour', id: 'blue' }] },
      '/parents/0/id: the type `Colour` has no entity `blue`; one of `red`',
    ],
  ])('outside an enumeration, %s', (_, input, problem) => {
    expect(
      problemsOf({ attributes: {}, parents: [], tags: {}, type: '', id: '', ...input }, colours),
    ).toEqual([problem]);
  });

  it('with all its problems in one answer', () => {
    const pointers = problemsOf({
      ...USER,
      id: '',
      attributes: { org: 1 },
      parents: [{ type: 'X', id: 'x' }],
      tags: { a: 1 },
    }).map(problem => problem.slice(0, problem.indexOf(':')));
    expect(pointers).toEqual([
      '/id',
      '/attributes/actsFor',
      '/attributes/clearance',
      '/attributes/org',
      '/attributes/tenant',
      '/attributes/tier',
      '/tags',
      '/parents/0/type',
    ]);
  });
});

describe('a group of another namespace', () => {
  const strange = schemaForTest(
    'namespace Corp { entity Team; entity Dept; } namespace AI { entity Team; entity User in [Team, Corp::Team, Corp::Dept]; }',
  );
  const member = (type: string): EntityInput => ({
    type: 'AI::User',
    id: 'acme/alice',
    attributes: {},
    parents: [{ type, id: 'acme/fraud' }],
    tags: {},
  });

  it('cannot be told apart by its short name, so nobody becomes a member of it', () => {
    expect(problemsOf(member('Dept'), strange)).toEqual([
      '/parents/0/type: `User` cannot be a member of `Dept`; a parent must be of type `Team`',
    ]);
  });

  it('does not stand for the group of the own namespace that has the same name', () => {
    const result = parseEntityData(strange, member('Team'));
    expect(result.ok && result.data.parents.map(({ key }) => key)).toEqual(['AI::Team::"acme/fraud"']);
  });
});
