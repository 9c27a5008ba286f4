/**
 * A map from strings with cheap versions: an edit copies only the shards that it touches. Invariant: a
 * `PersistentMap` never changes, whatever happens to later versions.
 */

/** Shards of one map: with 100,000 keys a small write copies about a hundred entries, a fork 1,024 pointers. */
const SHARDS = 1_024;

type Shard<V> = ReadonlyMap<string, V> | undefined;

/** One version of the map. */
export class PersistentMap<V> {
  readonly size: number;
  private readonly shards: readonly Shard<V>[];

  private constructor(shards: readonly Shard<V>[], size: number) {
    this.shards = shards;
    this.size = size;
  }

  static empty<V>(): PersistentMap<V> {
    return new PersistentMap<V>(Array.from({ length: SHARDS }), 0);
  }

  get(key: string): V | undefined {
    return this.shards[shardOf(key)]?.get(key);
  }

  /** All entries, in no particular order. */
  *entries(): IterableIterator<[string, V]> {
    for (const shard of this.shards) if (shard !== undefined) yield* shard;
  }

  /** Starts the next version; this one stays as it is. */
  edit(): MapEditor<V> {
    return new MapEditor<V>(this.shards, this.size, (shards, size) => new PersistentMap<V>(shards, size));
  }
}

/** The next version in the making. */
export class MapEditor<V> {
  private readonly shards: Shard<V>[];
  /** Shards that belong to this editor alone, so that it may change them in place. */
  private readonly owned = new Map<number, Map<string, V>>();
  private readonly build: (shards: readonly Shard<V>[], size: number) => PersistentMap<V>;
  private count: number;

  constructor(
    shards: readonly Shard<V>[],
    size: number,
    build: (shards: readonly Shard<V>[], size: number) => PersistentMap<V>,
  ) {
    this.shards = shards.slice();
    this.count = size;
    this.build = build;
  }

  get size(): number {
    return this.count;
  }

  get(key: string): V | undefined {
    return this.shards[shardOf(key)]?.get(key);
  }

  set(key: string, value: V): void {
    const shard = this.own(shardOf(key));
    const before = shard.size;
    shard.set(key, value);
    this.count += shard.size - before;
  }

  delete(key: string): void {
    const at = shardOf(key);
    if (this.shards[at]?.has(key) !== true) return;
    this.own(at).delete(key);
    this.count -= 1;
  }

  /** The new version. The editor must not be used afterwards. */
  finish(): PersistentMap<V> {
    return this.build(this.shards, this.count);
  }

  private own(at: number): Map<string, V> {
    const mine = this.owned.get(at);
    if (mine !== undefined) return mine;
    const copy = new Map(this.shards[at]);
    this.owned.set(at, copy);
    this.shards[at] = copy;
    return copy;
  }
}

/** FNV-1a, 32 bits. Chosen collisions only make copies larger: the shards are ordinary maps. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
