/**
 * From names of 128 bits, four words each, to the numbers of their records: ids of decisions, and aliases of keys.
 * Invariant: a name is found until it is removed, and no two records have the same. Whoever could choose names could
 * make it slow, so they come from the service alone: UUIDs that it made, and keyed digests.
 */
import { i32, largerI32, NONE } from './columns.ts';

/** Words of a name. */
export const WORDS = 4;
const FIRST_BUCKETS = 1_024;
/** Numbers of a bucket. */
const BUCKET = 2;
/** Buckets are at most half full: a search looks at two of them on average. */
const BUCKETS_PER_NAME = 2;

export class WordIndex {
  /** The names of the records, four words after another. */
  #names: Int32Array<ArrayBuffer>;
  /** Of each bucket its record, or NONE, and the hash of its name, so that few names have to be looked at. */
  #buckets = new Int32Array(FIRST_BUCKETS * BUCKET);
  #mask = FIRST_BUCKETS - 1;
  #size = 0;

  /** @param capacity one more than the highest number of a record */
  constructor(capacity: number) {
    this.#names = new Int32Array(capacity * WORDS);
  }

  get size(): number {
    return this.#size;
  }

  /** The record with a name, or NONE. */
  find(name: Int32Array): number {
    return i32(this.#buckets, this.#search(name, hashOf(name)) * BUCKET);
  }

  /** Names a record that has no name; no other may have it. */
  add(record: number, name: Int32Array): void {
    this.#size += 1;
    if (this.#size * BUCKETS_PER_NAME > this.#mask) this.#spread();
    const at = record * WORDS;
    for (let word = 0; word < WORDS; word++) this.#names[at + word] = i32(name, word);
    const hash = hashOf(name);
    this.#put(this.#buckets, this.#search(name, hash), record, hash);
  }

  /** Takes its name from a record. */
  remove(record: number): void {
    this.#size -= 1;
    const buckets = this.#buckets;
    const mask = this.#mask;
    let hole = this.#hashOf(record) & mask;
    while (i32(buckets, hole * BUCKET) !== record) hole = (hole + 1) & mask;
    // those behind it that would not be found any more move up
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const other = i32(buckets, at * BUCKET);
      if (other === NONE) break;
      const hash = i32(buckets, at * BUCKET + 1);
      if (((at - hash) & mask) < ((at - hole) & mask)) continue;
      this.#put(buckets, hole, other, hash);
      hole = at;
    }
    buckets[hole * BUCKET] = NONE;
  }

  /** Reads the name of a record. */
  read(record: number, name: Int32Array): void {
    const at = record * WORDS;
    for (let word = 0; word < WORDS; word++) name[word] = i32(this.#names, at + word);
  }

  has(record: number, name: Int32Array): boolean {
    const at = record * WORDS;
    const names = this.#names;
    return (
      i32(names, at) === i32(name, 0) &&
      i32(names, at + 1) === i32(name, 1) &&
      i32(names, at + 2) === i32(name, 2) &&
      i32(names, at + 3) === i32(name, 3)
    );
  }

  grow(capacity: number): void {
    this.#names = largerI32(this.#names, capacity * WORDS);
  }

  /** The bucket of a name, or the empty one where it would be. */
  #search(name: Int32Array, hash: number): number {
    const buckets = this.#buckets;
    const mask = this.#mask;
    let bucket = hash & mask;
    for (;;) {
      const record = i32(buckets, bucket * BUCKET);
      if (record === NONE) return bucket;
      if (i32(buckets, bucket * BUCKET + 1) === hash && this.has(record, name)) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }

  #put(buckets: Int32Array, bucket: number, record: number, hash: number): void {
    buckets[bucket * BUCKET] = record;
    buckets[bucket * BUCKET + 1] = hash;
  }

  /** Doubles the buckets. */
  #spread(): void {
    const former = this.#buckets;
    const buckets = new Int32Array(former.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < former.length; at += BUCKET) {
      const record = i32(former, at);
      if (record === NONE) continue;
      const hash = i32(former, at + 1);
      let bucket = hash & this.#mask;
      while (i32(buckets, bucket * BUCKET) !== NONE) bucket = (bucket + 1) & this.#mask;
      this.#put(buckets, bucket, record, hash);
    }
    this.#buckets = buckets;
  }

  #hashOf(record: number): number {
    const at = record * WORDS;
    const names = this.#names;
    return mix(i32(names, at), i32(names, at + 1), i32(names, at + 2), i32(names, at + 3));
  }
}

function hashOf(name: Int32Array): number {
  return mix(i32(name, 0), i32(name, 1), i32(name, 2), i32(name, 3));
}

/** Spreads words evenly (the finalizer of MurmurHash3). */
function mix(word0: number, word1: number, word2: number, word3: number): number {
  let mixed =
    word3 ^ Math.imul(word2, 0x85ebca6b) ^ Math.imul(word1, 0xc2b2ae35) ^ Math.imul(word0, 0x27d4eb2f);
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
