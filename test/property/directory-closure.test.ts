/** Properties of the directory in memory: its closure and its indexes equal naive ones after any edits. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryGraph } from '../../src/directory/graph.ts';
import { listEntities } from '../../src/directory/listing.ts';
import { KeyList, Owner } from '../../src/directory/key-list.ts';
import { PersistentMap } from '../../src/directory/persistent-map.ts';
import { ancestors, type Edits, key, ref, tryEdit } from '../directory/graph-edits.ts';

const node = fc.integer({ min: 0, max: 11 }).map(n => (n < 8 ? `Team/${n}` : `User/t/${n}`));
const edits = fc.dictionary(node, fc.option(fc.uniqueArray(node, { maxLength: 3 }), { freq: 4 }), {
  maxKeys: 6,
});

/** Direct parents of every live entity. */
type Model = ReadonlyMap<string, readonly string[]>;

function applyNaively(model: Model, changes: Edits): Model {
  const next = new Map(model);
  for (const [name, parents] of Object.entries(changes)) {
    if (parents === null) next.delete(name);
    else next.set(name, parents);
  }
  return next;
}

function naiveAncestors(model: Model, name: string): Set<string> {
  const found = new Set<string>();
  const open = [...(model.get(name) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!found.has(next)) {
      found.add(next);
      open.push(...(model.get(next) ?? []));
    }
  }
  return found;
}

test('after any edits the closure, the members and the size equal naive ones, and cycles are found exactly', () => {
  fc.assert(
    fc.property(fc.array(edits, { maxLength: 12 }), steps => {
      let graph = DirectoryGraph.empty();
      let model: Model = new Map();
      for (const changes of steps) {
        const nextModel = applyNaively(model, changes);
        const cyclic = [...nextModel.keys()].some(name => naiveAncestors(nextModel, name).has(name));
        const next = tryEdit(graph, changes);
        expect(!('revision' in next)).toBe(cyclic);
        if (!('revision' in next)) continue;
        [graph, model] = [next, nextModel];
        expect(graph.size).toBe(model.size);
        for (const name of model.keys()) {
          expect(ancestors(graph, name)).toEqual([...naiveAncestors(model, name)].sort());
        }
      }
      for (const parent of [...model.values()].flat()) {
        const members = [...model]
          .filter(([, parents]) => parents.includes(parent))
          .map(([name]) => key(name));
        const listed = listEntities(graph, { parent: ref(parent), limit: 1000 }, undefined).items;
        expect(listed.map(({ uid }) => uid.key)).toEqual(members.sort());
      }
    }),
    { numRuns: 300 },
  );
});

test('a version that is held answers the same after later edits', () => {
  fc.assert(
    fc.property(edits, edits, (first, second) => {
      const before = tryEdit(DirectoryGraph.empty(), first);
      fc.pre('revision' in before);
      if (!('revision' in before)) return;
      const read = () => Object.keys({ ...first, ...second }).map(name => ancestors(before, name));
      const held = read();
      tryEdit(before, second);
      expect(read()).toEqual(held);
    }),
    { numRuns: 200 },
  );
});

const command = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 2_000 }).map(String));

test('a key list equals a sorted set, in every version', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 1_500, size: 'max' }), fc.nat(40), (commands, every) => {
      let list = KeyList.of('x', new Owner());
      const model = new Set(['x']);
      const held: [KeyList, readonly string[]][] = [];
      let owner = new Owner();
      commands.forEach(([add, name], at) => {
        if (at % (every + 1) === 0) {
          held.push([list, [...model].sort()]);
          owner = new Owner();
        }
        list = add ? list.with(name, owner) : list.without(name, owner);
        if (add) model.add(name);
        else model.delete(name);
      });
      held.push([list, [...model].sort()]);
      for (const [version, keys] of held) {
        expect([...version.from('')]).toEqual(keys);
        expect(version.size).toBe(keys.length);
        expect([...version.from('15')]).toEqual(keys.filter(name => name >= '15'));
      }
    }),
    { numRuns: 30 },
  );
});

test('a persistent map equals a map, in every version', () => {
  fc.assert(
    fc.property(fc.array(fc.array(command, { maxLength: 30 }), { maxLength: 8 }), versions => {
      let map = PersistentMap.empty<number>();
      const model = new Map<string, number>();
      const held: [PersistentMap<number>, ReadonlyMap<string, number>][] = [];
      versions.forEach((commands, at) => {
        const editor = map.edit();
        for (const [add, name] of commands) {
          if (add) editor.set(name, at);
          else editor.delete(name);
          if (add) model.set(name, at);
          else model.delete(name);
        }
        map = editor.finish();
        held.push([map, new Map(model)]);
      });
      for (const [version, expected] of held) {
        expect(new Map(version.entries())).toEqual(expected);
        expect(version.size).toBe(expected.size);
      }
    }),
    { numRuns: 100 },
  );
});
