/**
 * A look-up table by one position of a scope. Invariant: whoever looks up an entity with its ancestors finds
 * every cell whose constraint the entity satisfies, perhaps others, and none twice.
 */
import { getOrAdd } from '../domain/get-or-add.ts';
import type { EntityUid } from '../domain/value.ts';
import type { ScopeConstraint } from './ast.ts';

/** Cells by constraint: `==` and `in` by uid, `is` by type, `is in` by uid too, so its type is not looked at. */
export class ScopeTable<Cell> {
  readonly #byUid = new Map<string, Cell>();
  readonly #byType = new Map<string, Cell>();
  #any: Cell | undefined;

  /** The cell of a constraint, made when it is the first of its kind. */
  cell(constraint: ScopeConstraint, make: () => Cell): Cell {
    switch (constraint.kind) {
      case 'any':
        this.#any ??= make();
        return this.#any;
      case 'is':
        return getOrAdd(this.#byType, constraint.entityType, make);
      default:
        return getOrAdd(this.#byUid, constraint.uid.key, make);
    }
  }

  /**
   * Adds the cells to `found`. A list and not a callback: this runs several times in each decision.
   * @param ancestors keys of the entity's ancestors; the entity itself may be among them
   */
  collect(uid: EntityUid, ancestors: ReadonlySet<string> | undefined, found: Cell[]): void {
    if (this.#any !== undefined) found.push(this.#any);
    if (this.#byType.size > 0) addIfPresent(this.#byType.get(uid.type), found);
    if (this.#byUid.size === 0) return;
    addIfPresent(this.#byUid.get(uid.key), found);
    if (ancestors === undefined) return;
    for (const key of ancestors) if (key !== uid.key) addIfPresent(this.#byUid.get(key), found);
  }
}

function addIfPresent<Cell>(cell: Cell | undefined, found: Cell[]): void {
  if (cell !== undefined) found.push(cell);
}
