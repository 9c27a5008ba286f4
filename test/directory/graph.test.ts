/** The graph: exact closure, dangling parents, refused cycles, shared ancestors and versions that stay. */
import { describe, expect, test } from 'vitest';
import { DirectoryGraph } from '../../src/directory/graph.ts';
import { MAX_ANCESTORS } from '../../src/directory/graph-editor.ts';
import { ancestors, edit, type Edits, key, tryEdit } from './graph-edits.ts';

const empty = DirectoryGraph.empty();

describe('ancestors', () => {
  test.each<[string, readonly Edits[], readonly string[] | undefined]>([
    ['none without parents', [{ 'User/u': [] }], []],
    ['include a parent that is no entity', [{ 'User/u': ['Team/t'] }], ['Team/t']],
    ['are transitive', [{ 'Team/t': ['Team/s'], 'User/u': ['Team/t'] }], ['Team/s', 'Team/t']],
    [
      'reach a member that came first',
      [{ 'User/u': ['Team/t'] }, { 'Team/t': ['Team/s'] }],
      ['Team/s', 'Team/t'],
    ],
    [
      'follow a group that moves',
      [{ 'Team/t': ['Team/s'], 'User/u': ['Team/t'] }, { 'Team/t': ['Team/r'] }],
      ['Team/r', 'Team/t'],
    ],
    [
      'end where a group is deleted',
      [{ 'Team/t': ['Team/s'], 'User/u': ['Team/t'] }, { 'Team/t': null }],
      ['Team/t'],
    ],
    [
      'come back with a group',
      [{ 'Team/t': ['Team/s'], 'User/u': ['Team/t'] }, { 'Team/t': null }, { 'Team/t': ['Team/q'] }],
      ['Team/q', 'Team/t'],
    ],
    [
      'count a diamond once',
      [{ 'Team/a': ['Team/d'], 'Team/b': ['Team/d'], 'User/u': ['Team/a', 'Team/b'] }],
      ['Team/a', 'Team/b', 'Team/d'],
    ],
    ['ignore a parent named twice', [{ 'User/u': ['Team/t', 'Team/t'] }], ['Team/t']],
    [
      'cross a chain of dangling groups',
      [{ 'User/u': ['Team/a'] }, { 'Team/b': ['Team/c'] }, { 'Team/a': ['Team/b'] }],
      ['Team/a', 'Team/b', 'Team/c'],
    ],
    ['are gone with the entity', [{ 'User/u': ['Team/t'] }, { 'User/u': null }], undefined],
  ])('%s', (_name, steps, expected) => {
    expect(ancestors(steps.reduce(edit, empty), 'User/u')).toEqual(expected);
  });

  test('are one object for all entities with the same parents, also when written later', () => {
    const first = edit(empty, { 'Team/t': ['Team/s'], 'User/a': ['Team/t', 'Role/r'] });
    const second = edit(first, { 'User/b': ['Role/r', 'Team/t'] });
    expect(second.get(key('User/a'))?.ancestors).toBe(second.get(key('User/b'))?.ancestors);
    const third = edit(second, { 'Team/t': ['Team/q'] });
    expect(third.get(key('User/a'))?.ancestors).toBe(third.get(key('User/b'))?.ancestors);
    expect(ancestors(third, 'User/b')).toEqual(['Role/r', 'Team/q', 'Team/t']);
  });
});

describe('a version', () => {
  test('never changes, whatever is written later', () => {
    const before = edit(empty, { 'Team/t': ['Team/s'], 'User/u': ['Team/t'] });
    const held = before.get(key('User/u'));
    const after = edit(before, { 'Team/t': [], 'User/u': null, 'User/v': ['Team/t'] });
    expect(before.get(key('User/u'))).toBe(held);
    expect(ancestors(before, 'User/u')).toEqual(['Team/s', 'Team/t']);
    expect([before.size, before.revision]).toEqual([2, 1]);
    expect([after.size, after.revision]).toEqual([2, 2]);
    expect([...(before.parts.members.get(key('Team/t'))?.from('') ?? [])]).toEqual([key('User/u')]);
    expect([...(after.parts.members.get(key('Team/t'))?.from('') ?? [])]).toEqual([key('User/v')]);
  });

  test('keeps the revision that wrote an entity when only its ancestors change', () => {
    const before = edit(empty, { 'User/u': ['Team/t'] });
    const after = edit(before, { 'Team/t': ['Team/s'] });
    expect(after.get(key('User/u'))?.revision).toBe(1);
  });
});

describe('the hierarchy', () => {
  test.each<[string, Edits, Edits, string]>([
    ['an entity in itself', {}, { 'Team/a': ['Team/a'] }, '`AI::Team::"a"` in `AI::Team::"a"`'],
    [
      'two groups in each other',
      { 'Team/a': ['Team/b'] },
      { 'Team/b': ['Team/a'] },
      '`AI::Team::"b"` in `AI::Team::"a"` in `AI::Team::"b"`',
    ],
    [
      'a longer way round',
      { 'Team/a': ['Team/b'], 'Team/b': ['Team/c'], 'User/u': ['Team/a'] },
      { 'Team/c': ['Team/d', 'Team/a'] },
      '`AI::Team::"c"` in `AI::Team::"a"` in `AI::Team::"b"` in `AI::Team::"c"`',
    ],
  ])('refuses %s and names the cycle', (_name, before, edits, cycle) => {
    expect(tryEdit(edit(empty, before), edits)).toMatchObject([
      { pointer: '/parents', message: `the parents form a cycle: ${cycle}` },
    ]);
  });

  test('may be turned round in one step, in any order of writes', () => {
    const before = edit(empty, { 'Team/a': ['Team/b'], 'Team/b': [] });
    const after = edit(before, { 'Team/b': ['Team/a'], 'Team/a': [] });
    expect(ancestors(after, 'Team/b')).toEqual(['Team/a']);
  });

  test(`refuses an entity with more than ${MAX_ANCESTORS} ancestors`, () => {
    const chain = (length: number): Edits =>
      Object.fromEntries(Array.from({ length }, (_, at) => [`Team/${at}`, [`Team/${at + 1}`]]));
    expect(ancestors(edit(empty, chain(MAX_ANCESTORS)), 'Team/0')).toHaveLength(MAX_ANCESTORS);
    expect(tryEdit(empty, chain(MAX_ANCESTORS + 1))).toMatchObject([
      { key: key('Team/0'), message: `\`${key('Team/0')}\` has more than ${MAX_ANCESTORS} ancestors` },
    ]);
  });

  test('of 20,000 groups in one chain is refused without exhausting the stack', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, at) => [`Team/${at}`, [`Team/${at + 1}`]]),
    );
    const problems = tryEdit(empty, chain);
    expect(problems).toContainEqual(expect.objectContaining({ pointer: '/parents' }));
  });
});
