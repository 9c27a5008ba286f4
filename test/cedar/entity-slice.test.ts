/** The slice of entities for the oracle: everything within three steps, and nothing of the rest. */
import { describe, expect, it } from 'vitest';
import { collectEntities } from '../../src/cedar/entity-slice.ts';
import { EMPTY_RECORD, makeSet } from '../../src/cedar/equality.ts';
import { type Entity, EntityUid, RecordValue, type Value } from '../../src/domain/value.ts';

const uid = (id: string): EntityUid => new EntityUid('A', id);

function record(members: Readonly<Record<string, Value>>): RecordValue {
  return new RecordValue(new Map(Object.entries(members)));
}

/** Entities by id with the values that they hold; tags have the id `<id>#`. */
function store(values: Readonly<Record<string, Value>>): ReadonlyMap<string, Entity> {
  return new Map(
    Object.entries(values).map(([id, value]) => {
      const isTag = id.endsWith('#');
      const held = record({ value });
      const entity: Entity = {
        uid: uid(id.replace('#', '')),
        attributes: isTag ? EMPTY_RECORD : held,
        tags: isTag ? held : EMPTY_RECORD,
        ancestors: new Set(['A::"group"']),
      };
      return [entity.uid.key, entity];
    }),
  );
}

function collected(
  entities: ReadonlyMap<string, Entity>,
  context: RecordValue = EMPTY_RECORD,
): readonly string[] {
  const action = new EntityUid('Action', 'read');
  const request = { principal: uid('p'), action, resource: uid('r'), context, entities };
  return collectEntities(request)
    .map(entity => entity.uid.id)
    .sort();
}

describe('the slice holds', () => {
  it.each<[string, Readonly<Record<string, Value>>, RecordValue, readonly string[]]>([
    ['principal and resource', { p: 1, r: 1, x: 1 }, EMPTY_RECORD, ['p', 'r']],
    ['those that exist', { r: uid('gone') }, EMPTY_RECORD, ['r']],
    [
      'entities of the context',
      { a: 1, b: 1, c: 1 },
      record({ a: uid('a'), b: record({ b: makeSet([uid('b')]) }) }),
      ['a', 'b'],
    ],
    ['what attributes refer to', { p: uid('a'), a: 1, b: 1 }, EMPTY_RECORD, ['a', 'p']],
    [
      'what sets and records refer to',
      { p: makeSet([record({ x: uid('a') })]), a: 1 },
      EMPTY_RECORD,
      ['a', 'p'],
    ],
    ['what tags refer to', { 'p#': uid('a'), a: 1 }, EMPTY_RECORD, ['a', 'p']],
    [
      'three steps and no fourth',
      { p: uid('a'), a: uid('b'), b: uid('c'), c: uid('d'), d: 1 },
      EMPTY_RECORD,
      ['a', 'b', 'p'],
    ],
    [
      'each entity once, also in cycles',
      { p: makeSet([uid('p'), uid('r')]), r: uid('p') },
      EMPTY_RECORD,
      ['p', 'r'],
    ],
    ['no groups: they are in their members', { p: 1, group: 1 }, EMPTY_RECORD, ['p']],
  ])('%s', (_, values, context, ids) => {
    expect(collected(store(values), context)).toEqual(ids);
  });

  it('no actions, even if the store has some', () => {
    const action = new EntityUid('N::Action', 'read');
    const entity: Entity = {
      uid: action,
      attributes: EMPTY_RECORD,
      tags: EMPTY_RECORD,
      ancestors: new Set(),
    };
    expect(collected(new Map([[action.key, entity]]), record({ action }))).toEqual([]);
  });
});
