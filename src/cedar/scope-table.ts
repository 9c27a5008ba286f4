/**
 * A look-up table by one position of a scope. Invariant: whoever looks up an entity with its ancestors finds
 * every cell whose constraint the entity satisfies, perhaps others, and none twice.
 */
import { getOrAdd } from '../domain/get-or-add.ts';
import type { EntityUid } from '../domain/value.ts';
import type { ScopeConstraint } from './ast.ts';

/** Most sets of ancestors, and most types, whose cells one table remembers, at some hundred bytes. */
const MAX_REMEMBERED = 4_096;

/** What entities of one type with the same ancestors find, apart from cells of their own. */
interface Remembered<Cell> {
  readonly type: string;
  readonly cells: readonly Cell[];
}

/** Cells by constraint: `==` and `in` by uid, `is` by type, `is in` by uid too, so its type is not looked at. */
export class ScopeTable<Cell> {
  readonly #byUid = new Map<string, Cell>();
  readonly #byType = new Map<string, Cell>();
  /** Types of the uids that have cells. */
  readonly #uidTypes = new Set<string>();
  readonly #byAncestors = new Map<ReadonlySet<string>, Remembered<Cell>>();
  /** The same where no uid has a cell, so that ancestors make no difference. */
  readonly #ofType = new Map<string, readonly Cell[]>();
  #any: Cell | undefined;

  /** The cell of a constraint, made when it is the first of its kind. */
  cell(constraint: ScopeConstraint, make: () => Cell): Cell {
    this.#byAncestors.clear();
    this.#ofType.clear();
    switch (constraint.kind) {
      case 'any':
        this.#any ??= make();
        return this.#any;
      case 'is':
        return getOrAdd(this.#byType, constraint.entityType, make);
      default:
        this.#uidTypes.add(constraint.uid.type);
        return getOrAdd(this.#byUid, constraint.uid.key, make);
    }
  }

  /**
   * The cells, in no particular order. This runs several times in each decision, and entities with the same parents
   * share one set of ancestors: what those find is remembered.
   * @param ancestors keys of the entity's ancestors, a set that never changes; the entity itself may be among them
   */
  cellsOf(uid: EntityUid, ancestors: ReadonlySet<string> = NO_ANCESTORS): readonly Cell[] {
    const { type, key } = uid;
    if (this.#byUid.size === 0) return this.#cellsOfType(type);
    const shared = this.#cellsOfAncestors(type, ancestors);
    const own = this.#uidTypes.has(type) ? this.#byUid.get(key) : undefined;
    return own === undefined || ancestors.has(key) ? shared : [...shared, own];
  }

  #cellsOfType(type: string): readonly Cell[] {
    const known = this.#ofType.get(type);
    if (known !== undefined) return known;
    const cells: Cell[] = [];
    addIfPresent(this.#any, cells);
    addIfPresent(this.#byType.get(type), cells);
    remember(this.#ofType, type, cells);
    return cells;
  }

  /** Cells of whoever is of the type and has the ancestors, but for one of its own. */
  #cellsOfAncestors(type: string, ancestors: ReadonlySet<string>): readonly Cell[] {
    const known = this.#byAncestors.get(ancestors);
    if (known?.type === type) return known.cells;
    const cells = [...this.#cellsOfType(type)];
    for (const key of ancestors) addIfPresent(this.#byUid.get(key), cells);
    remember(this.#byAncestors, ancestors, { type, cells });
    return cells;
  }

  /**
   * Adds the cells to `found`, and remembers nothing.
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

const NO_ANCESTORS: ReadonlySet<string> = new Set();

function addIfPresent<Cell>(cell: Cell | undefined, found: Cell[]): void {
  if (cell !== undefined) found.push(cell);
}

/** Forgetting costs time, never a cell: it is found again. */
function remember<K, V>(known: Map<K, V>, key: K, value: V): void {
  if (known.size >= MAX_REMEMBERED) known.clear();
  known.set(key, value);
}
