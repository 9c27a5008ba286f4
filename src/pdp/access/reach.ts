/**
 * Which principals, or which models, a permit can speak of at all when the other side is fixed. Invariant: an entity
 * that is told to be out of reach is in the scope of no permit, so that no context could let it through.
 */
import type { ScopeConstraint } from '../../cedar/ast.ts';
import type { ActionDefinition } from '../../cedar/schema.ts';
import { ScopeTable } from '../../cedar/scope-table.ts';
import type { CompiledPolicy } from '../../cedar/types.ts';
import type { Entity, EntityUid } from '../../domain/value.ts';
import type { CompiledLayer } from '../snapshot.ts';

type Table = ScopeTable<true>;

export class Reach {
  readonly #fixed: Entity;
  readonly #varying: 'principal' | 'resource';
  /** Made when they are first asked for: of most tenants no model is looked at. */
  readonly #tables = new Map<readonly CompiledLayer[], Map<ActionDefinition, Table>>();

  /** @param varying the side of the pairs that `includes` is asked about */
  constructor(fixed: Entity, varying: 'principal' | 'resource') {
    this.#fixed = fixed;
    this.#varying = varying;
  }

  /** Whether a permit of these layers may speak of the entity for this action. */
  includes(layers: readonly CompiledLayer[], action: ActionDefinition, entity: Entity): boolean {
    const found: true[] = [];
    this.#table(layers, action).collect(entity.uid, entity.ancestors, found);
    return found.length > 0;
  }

  #table(layers: readonly CompiledLayer[], action: ActionDefinition): Table {
    let tables = this.#tables.get(layers);
    if (tables === undefined) this.#tables.set(layers, (tables = new Map<ActionDefinition, Table>()));
    let table = tables.get(action);
    if (table === undefined) tables.set(action, (table = this.#build(layers, action)));
    return table;
  }

  #build(layers: readonly CompiledLayer[], action: ActionDefinition): Table {
    const table: Table = new ScopeTable();
    const isPrincipalFixed = this.#varying === 'resource';
    for (const { index } of layers) {
      for (const { effect, scope } of index.policies) {
        if (effect !== 'permit' || !speaksOf(scope.action, action)) continue;
        const [fixed, varying] = isPrincipalFixed
          ? [scope.principal, scope.resource]
          : [scope.resource, scope.principal];
        if (contains(fixed, this.#fixed)) table.cell(varying, () => true);
      }
    }
    return table;
  }
}

function speaksOf(
  constraint: CompiledPolicy['scope']['action'],
  { uid, ancestors }: ActionDefinition,
): boolean {
  const isOrIsIn = ({ key }: EntityUid): boolean => key === uid.key || ancestors.has(key);
  switch (constraint.kind) {
    case 'any':
      return true;
    case 'equal':
      return constraint.uid.key === uid.key;
    default:
      return constraint.uids.some(isOrIsIn);
  }
}

function contains(constraint: ScopeConstraint, { uid, ancestors }: Entity): boolean {
  switch (constraint.kind) {
    case 'any':
      return true;
    case 'equal':
      return constraint.uid.key === uid.key;
    case 'is':
      return constraint.entityType === uid.type;
    case 'in':
      return constraint.uid.key === uid.key || ancestors.has(constraint.uid.key);
    default:
      return (
        constraint.entityType === uid.type &&
        (constraint.uid.key === uid.key || ancestors.has(constraint.uid.key))
      );
  }
}
