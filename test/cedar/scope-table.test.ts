/** A look-up finds what a walk over all constraints finds, and nothing twice. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ScopeConstraint } from '../../src/cedar/ast.ts';
import { ScopeTable } from '../../src/cedar/scope-table.ts';
import { EntityUid } from '../../src/domain/value.ts';

const TYPES = ['A', 'B', 'C'];
const IDS = ['x', 'y', 'z'];
const UIDS = TYPES.flatMap(type => IDS.map(id => new EntityUid(type, id)));
/** One with an entity that asks among its own ancestors. */
const SETS: readonly ReadonlySet<string>[] = [[], [0], [1, 4], [0, 3, 8]].map(
  members => new Set(members.map(member => UIDS[member]?.key ?? '')),
);

const uid = fc.constantFrom(...UIDS);
const constraint: fc.Arbitrary<ScopeConstraint> = fc.oneof(
  fc.constant({ kind: 'any' as const }),
  fc.constantFrom(...TYPES).map(entityType => ({ kind: 'is' as const, entityType })),
  uid.map(one => ({ kind: 'equal' as const, uid: one })),
  uid.map(one => ({ kind: 'in' as const, uid: one })),
);
const question = fc.record({ uid, ancestors: fc.constantFrom(undefined, ...SETS) });

function found(
  table: ScopeTable<string>,
  asked: EntityUid,
  ancestors: ReadonlySet<string> | undefined,
): readonly string[] {
  const cells: string[] = [];
  table.collect(asked, ancestors, cells);
  return cells.toSorted();
}

function tableOf(constraints: readonly ScopeConstraint[]): ScopeTable<string> {
  const table = new ScopeTable<string>();
  for (const one of constraints) table.cell(one, () => nameOf(one));
  return table;
}

function nameOf(one: ScopeConstraint): string {
  if (one.kind === 'any') return 'any';
  return one.kind === 'is' ? `is ${one.entityType}` : `uid ${one.uid.key}`;
}

function isMet(one: ScopeConstraint, asked: EntityUid, ancestors: ReadonlySet<string> | undefined): boolean {
  if (one.kind === 'any') return true;
  if (one.kind === 'is') return one.entityType === asked.type;
  return one.uid.key === asked.key || ancestors?.has(one.uid.key) === true;
}

test('each look-up finds the cells of the constraints that hold, none twice', () => {
  fc.assert(
    fc.property(
      fc.array(constraint, { maxLength: 8 }),
      fc.array(question, { maxLength: 20 }),
      (constraints, questions) => {
        const table = tableOf(constraints);
        for (const { uid: asked, ancestors } of questions) {
          const wanted = constraints.filter(one => isMet(one, asked, ancestors)).map(nameOf);
          expect(found(table, asked, ancestors)).toEqual([...new Set(wanted)].toSorted());
        }
      },
    ),
  );
});
