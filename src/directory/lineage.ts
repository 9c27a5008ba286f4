/**
 * Parents with everything above them, shared by all entities that have the same parents. Invariant: a lineage
 * is immutable and stands for exactly the lineages of its parents that it was made from.
 */
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import { EntityUid } from '../domain/value.ts';

/** Most lineages kept for sharing; forgetting one costs memory, never correctness. */
const MAX_SHARED = 65_536;

/** The uid of a reference as it stands on the wire. */
export function uidOf(ref: EntityRef): EntityUid {
  return new EntityUid(`${NAMESPACE}::${ref.type}`, ref.id);
}

/** The reference of a uid, without the namespace. */
export function refOf(uid: EntityUid): EntityRef {
  return { type: shortType(uid.type), id: uid.id };
}

/** `AI::User` → `User`. */
function shortType(type: string): string {
  return type.startsWith(`${NAMESPACE}::`) ? type.slice(NAMESPACE.length + 2) : type;
}

/** A set of direct parents: sorted by key, without duplicates. */
export interface ParentSet {
  /** The keys of the parents joined by spaces, which no key contains. */
  readonly key: string;
  readonly uids: readonly EntityUid[];
}

/** A parent set and its transitive closure. */
export interface Lineage {
  readonly parents: ParentSet;
  /** Lineage of each parent when this was made; undefined for a parent that is not an entity. */
  readonly sources: readonly (Lineage | undefined)[];
  readonly ancestors: ReadonlySet<string>;
}

/** Makes lineages and hands out the same object for the same content. */
export class LineagePool {
  /** By the references as they were written: most entities repeat those of another one word for word. */
  readonly #written = new Map<string, ParentSet>();
  readonly #parentSets = new Map<string, ParentSet>();
  readonly #lineages = new Map<string, Lineage>();

  parentSet(refs: readonly EntityRef[]): ParentSet {
    let text = '';
    for (const { type, id } of refs) text += `${type} ${id} `;
    const known = this.#written.get(text);
    if (known !== undefined) return known;
    const uids = refs.map(uidOf).sort((a, b) => (a.key < b.key ? -1 : 1));
    const distinct = uids.filter((uid, at) => uid.key !== uids[at - 1]?.key);
    const key = distinct.map(uid => uid.key).join(' ');
    const parents = this.#parentSets.get(key) ?? { key, uids: distinct };
    remember(this.#parentSets, key, parents);
    remember(this.#written, text, parents);
    return parents;
  }

  /** Some lineage of `parents`, to stand in until `lineage` can be called; its ancestors may be wrong. */
  standIn(parents: ParentSet): Lineage {
    return this.#lineages.get(parents.key) ?? { parents, sources: [], ancestors: new Set() };
  }

  /** The lineage of `parents`, given the lineage of each of them in the same order. */
  lineage(parents: ParentSet, sources: readonly (Lineage | undefined)[]): Lineage {
    const known = this.#lineages.get(parents.key);
    if (known !== undefined && known.sources.every((source, at) => source === sources[at])) return known;
    const ancestors = new Set<string>();
    parents.uids.forEach((uid, at) => {
      ancestors.add(uid.key);
      for (const key of sources[at]?.ancestors ?? []) ancestors.add(key);
    });
    const lineage = { parents, sources: sources.slice(), ancestors };
    remember(this.#lineages, parents.key, lineage);
    return lineage;
  }
}

function remember<V>(pool: Map<string, V>, key: string, value: V): void {
  if (pool.size >= MAX_SHARED) pool.clear();
  pool.set(key, value);
}
