/**
 * Names of actions, and of groups of them, in the schema that is active. Invariant: what passes here is a name that a
 * request of now can be of; nothing is promised of a schema that comes later.
 */
import { AppError, type Problem } from '../domain/errors.ts';
import { NAMESPACE } from '../domain/names.ts';
import { nearest } from '../domain/spelling.ts';
import type { SnapshotHolder } from './snapshot.ts';

/** Most names in one hint: an answer may have a hundred of them. */
const MAX_SHOWN = 50;
const ACTION = `${NAMESPACE}::Action::"`;

export class ActionNames {
  readonly #snapshots: Pick<SnapshotHolder, 'current'>;

  constructor(snapshots: Pick<SnapshotHolder, 'current'>) {
    this.#snapshots = snapshots;
  }

  /** One problem for each name that is neither an action nor a group of some. @throws AppError NOT_READY */
  objectTo(names: readonly { readonly name: string; readonly pointer: string }[]): Problem[] {
    if (names.length === 0) return [];
    const known = this.#known();
    const shown = [...known].sort().slice(0, MAX_SHOWN).join(', ');
    return names.flatMap(({ name, pointer }) => {
      if (known.has(name)) return [];
      const near = nearest(name, known);
      const hint = near === undefined ? `there are ${shown}` : `did you mean \`${near}\`?`;
      return [{ pointer, message: `there is no action and no group of actions \`${name}\``, hint }];
    });
  }

  #known(): ReadonlySet<string> {
    const { current } = this.#snapshots;
    if (current === undefined) throw new AppError('NOT_READY', 'the active bundles are not loaded yet');
    const known = new Set<string>();
    for (const [id, { definition }] of current.planner.actions) {
      known.add(id);
      for (const key of definition.ancestors) {
        if (key.startsWith(ACTION)) known.add(key.slice(ACTION.length, -1));
      }
    }
    return known;
  }
}
