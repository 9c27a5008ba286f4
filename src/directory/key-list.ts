/**
 * A sorted set of strings with cheap versions, for listings and for the children of a group. Invariant: a
 * list changes only through the editor (`owner`) that made it; every other holder sees it unchanged.
 */

/** Most keys of one leaf: the copying of a small write, and few enough leaves for a million keys. */
const LEAF_KEYS = 256;

/** Identity of an editor: whatever carries it may be changed in place by that editor. */
export class Owner {
  /** Gives the class a shape of its own. */
  readonly kind = 'owner';
}

interface Leaf {
  readonly owner: Owner;
  readonly keys: string[];
}

/** One version of a sorted set. Keys are compared by UTF-16 code unit, which for ids is byte order. */
export class KeyList {
  private readonly owner: Owner;
  private readonly leaves: Leaf[];
  private count: number;

  private constructor(owner: Owner, leaves: Leaf[], count: number) {
    this.owner = owner;
    this.leaves = leaves;
    this.count = count;
  }

  static of(key: string, owner: Owner): KeyList {
    return new KeyList(owner, [{ owner, keys: [key] }], 1);
  }

  get size(): number {
    return this.count;
  }

  /** The keys from `lower` (inclusive) on, in order. */
  *from(lower: string): IterableIterator<string> {
    let leafAt = this.leafFor(lower);
    let at = position(this.leaves[leafAt]?.keys ?? [], lower);
    for (; leafAt < this.leaves.length; leafAt += 1, at = 0) {
      const keys = this.leaves[leafAt]?.keys ?? [];
      for (; at < keys.length; at += 1) {
        const key = keys[at];
        if (key !== undefined) yield key;
      }
    }
  }

  /** The list with `key`; in place when `owner` made this list. */
  with(key: string, owner: Owner): KeyList {
    const leafAt = this.leafFor(key);
    const at = position(this.leaves[leafAt]?.keys ?? [], key);
    if (this.leaves[leafAt]?.keys[at] === key) return this;
    const list = this.ownedBy(owner);
    const keys = list.ownLeaf(leafAt, owner);
    keys.splice(at, 0, key);
    list.count += 1;
    if (keys.length > LEAF_KEYS) {
      const upper = keys.splice(keys.length >>> 1);
      list.leaves.splice(leafAt + 1, 0, { owner, keys: upper });
    }
    return list;
  }

  /** The list without `key`; in place when `owner` made this list. */
  without(key: string, owner: Owner): KeyList {
    const leafAt = this.leafFor(key);
    const at = position(this.leaves[leafAt]?.keys ?? [], key);
    if (this.leaves[leafAt]?.keys[at] !== key) return this;
    const list = this.ownedBy(owner);
    const keys = list.ownLeaf(leafAt, owner);
    keys.splice(at, 1);
    list.count -= 1;
    list.mergeSmall(leafAt, owner);
    return list;
  }

  /** Keeps the number of leaves in proportion to the keys: a leaf that is nearly empty joins its successor. */
  private mergeSmall(leafAt: number, owner: Owner): void {
    const keys = this.leaves[leafAt]?.keys ?? [];
    const next = this.leaves[leafAt + 1]?.keys;
    if (keys.length === 0) {
      this.leaves.splice(leafAt, 1);
    } else if (next !== undefined && keys.length + next.length <= LEAF_KEYS / 2) {
      this.leaves.splice(leafAt, 2, { owner, keys: [...keys, ...next] });
    }
  }

  private ownedBy(owner: Owner): KeyList {
    return this.owner === owner ? this : new KeyList(owner, this.leaves.slice(), this.count);
  }

  private ownLeaf(at: number, owner: Owner): string[] {
    const leaf = this.leaves[at];
    if (leaf?.owner === owner) return leaf.keys;
    const keys = leaf === undefined ? [] : leaf.keys.slice();
    this.leaves[at] = { owner, keys };
    return keys;
  }

  /** The leaf in which `key` is or belongs: the last one whose first key is not greater. */
  private leafFor(key: string): number {
    let low = 0;
    let high = this.leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const first = this.leaves[middle]?.keys[0];
      if (first !== undefined && first <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Index of the first key that is not smaller. */
function position(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = keys[middle];
    if (found !== undefined && found < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
