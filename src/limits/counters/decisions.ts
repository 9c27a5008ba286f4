/**
 * The decisions that hold something, or held it not long ago, by their ids. Invariant: an id is found until it is
 * forgotten. Ids are UUIDs as a rule, and kept as four words; any other text is kept as it is.
 */
import { i32, largerF64, largerI32, largerU8, NONE, Numbers, u8 } from './columns.ts';

/** Something can still be settled. */
export const OPEN = 1;
/** It was settled. */
export const SETTLED = 2;

const FIRST_BUCKETS = 1_024;
/** Buckets are at most half full: a search looks at two of them on average. */
const BUCKETS_PER_DECISION = 2;

/** Decisions in the order in which they came in. */
class Chain {
  first = NONE;
  last = NONE;
  size = 0;
}

export class Decisions {
  readonly numbers = new Numbers(capacity => this.#grow(capacity));
  state = new Uint8Array(this.numbers.capacity);
  firstHold = new Int32Array(this.numbers.capacity);
  /** While something is live, when all of it has ended; afterwards, when it is forgotten; milliseconds. */
  until = new Float64Array(this.numbers.capacity);
  /** Those of which something may be live, and the others. */
  readonly live = new Chain();
  readonly past = new Chain();
  #isPast = new Uint8Array(this.numbers.capacity);
  #previous = new Int32Array(this.numbers.capacity);
  #next = new Int32Array(this.numbers.capacity);
  #word0 = new Int32Array(this.numbers.capacity);
  #word1 = new Int32Array(this.numbers.capacity);
  #word2 = new Int32Array(this.numbers.capacity);
  #word3 = new Int32Array(this.numbers.capacity);
  #buckets = new Int32Array(FIRST_BUCKETS);
  readonly #texts = new Map<string, number>();
  readonly #textOf = new Map<number, string>();
  /** The words of the UUID that was read last. */
  readonly #words = new Int32Array(4);
  /** The last id whose words were read, since a decision is looked for before it is added. */
  #lastId = '';

  find(id: string): number {
    if (!this.#isUuid(id)) return this.#texts.get(id) ?? NONE;
    return i32(this.#buckets, this.#search());
  }

  /** Adds a decision that is not there, without holds. @param until see the column */
  open(id: string, isPast: boolean, until: number): number {
    const decision = this.numbers.take();
    this.state[decision] = OPEN;
    this.firstHold[decision] = NONE;
    this.until[decision] = until;
    if (this.#isUuid(id)) {
      this.#word0[decision] = i32(this.#words, 0);
      this.#word1[decision] = i32(this.#words, 1);
      this.#word2[decision] = i32(this.#words, 2);
      this.#word3[decision] = i32(this.#words, 3);
      if (this.numbers.used * BUCKETS_PER_DECISION > this.#buckets.length) this.#spread(decision);
      this.#buckets[this.#search()] = decision;
    } else {
      this.#texts.set(id, decision);
      this.#textOf.set(decision, id);
    }
    this.#enter(isPast ? this.past : this.live, decision, isPast);
    return decision;
  }

  /** Forgets a decision whose holds were closed. */
  close(decision: number): void {
    this.#leave(decision);
    const text = this.#textOf.get(decision);
    if (text === undefined) this.#vacate(decision);
    else {
      this.#texts.delete(text);
      this.#textOf.delete(decision);
    }
    this.numbers.giveBack(decision);
  }

  /** Nothing of it is live any more. */
  retire(decision: number, until: number): void {
    this.until[decision] = until;
    this.#leave(decision);
    this.#enter(this.past, decision, true);
  }

  /** Puts a live decision behind the others. */
  requeue(decision: number): void {
    this.#leave(decision);
    this.#enter(this.live, decision, false);
  }

  isPast(decision: number): boolean {
    return u8(this.#isPast, decision) === 1;
  }

  nextOf(decision: number): number {
    return i32(this.#next, decision);
  }

  /** The id as text. */
  idOf(decision: number): string {
    const text = this.#textOf.get(decision);
    if (text !== undefined) return text;
    const hex = [this.#word0, this.#word1, this.#word2, this.#word3]
      .map(words => (i32(words, decision) >>> 0).toString(16).padStart(8, '0'))
      .join('');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** Whether an id is a UUID; then `#words` are its own. */
  #isUuid(id: string): boolean {
    if (id === this.#lastId) return id !== '';
    if (!readUuid(id, this.#words)) return false;
    this.#lastId = id;
    return true;
  }

  #enter(chain: Chain, decision: number, isPast: boolean): void {
    this.#isPast[decision] = isPast ? 1 : 0;
    this.#previous[decision] = chain.last;
    this.#next[decision] = NONE;
    if (chain.last === NONE) chain.first = decision;
    else this.#next[chain.last] = decision;
    chain.last = decision;
    chain.size += 1;
  }

  #leave(decision: number): void {
    const chain = this.isPast(decision) ? this.past : this.live;
    const previous = i32(this.#previous, decision);
    const next = i32(this.#next, decision);
    if (previous === NONE) chain.first = next;
    else this.#next[previous] = next;
    if (next === NONE) chain.last = previous;
    else this.#previous[next] = previous;
    chain.size -= 1;
  }

  /** The bucket of the UUID that was read last, or the empty one where it would be. */
  #search(): number {
    const words = this.#words;
    const mask = this.#buckets.length - 1;
    const [word0, word1, word2, word3] = [i32(words, 0), i32(words, 1), i32(words, 2), i32(words, 3)];
    let bucket = homeOf(word0, word1, word2, word3) & mask;
    for (;;) {
      const decision = i32(this.#buckets, bucket);
      if (
        decision === NONE ||
        (i32(this.#word3, decision) === word3 &&
          i32(this.#word2, decision) === word2 &&
          i32(this.#word1, decision) === word1 &&
          i32(this.#word0, decision) === word0)
      ) {
        return bucket;
      }
      bucket = (bucket + 1) & mask;
    }
  }

  /** Empties the bucket of a decision and moves up those behind it that would not be found any more. */
  #vacate(decision: number): void {
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    let hole = this.#homeOf(decision) & mask;
    while (i32(buckets, hole) !== decision) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; i32(buckets, at) !== NONE; at = (at + 1) & mask) {
      const home = this.#homeOf(i32(buckets, at)) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      buckets[hole] = i32(buckets, at);
      hole = at;
    }
    buckets[hole] = NONE;
  }

  /** Doubles the buckets. @param without is not in one yet */
  #spread(without: number): void {
    const former = this.#buckets;
    const buckets = new Int32Array(former.length * 2);
    const mask = buckets.length - 1;
    for (const decision of former) {
      if (decision === NONE || decision === without) continue;
      let bucket = this.#homeOf(decision) & mask;
      while (i32(buckets, bucket) !== NONE) bucket = (bucket + 1) & mask;
      buckets[bucket] = decision;
    }
    this.#buckets = buckets;
  }

  #homeOf(decision: number): number {
    return homeOf(
      i32(this.#word0, decision),
      i32(this.#word1, decision),
      i32(this.#word2, decision),
      i32(this.#word3, decision),
    );
  }

  #grow(capacity: number): void {
    this.state = largerU8(this.state, capacity);
    this.firstHold = largerI32(this.firstHold, capacity);
    this.until = largerF64(this.until, capacity);
    this.#isPast = largerU8(this.#isPast, capacity);
    this.#previous = largerI32(this.#previous, capacity);
    this.#next = largerI32(this.#next, capacity);
    this.#word0 = largerI32(this.#word0, capacity);
    this.#word1 = largerI32(this.#word1, capacity);
    this.#word2 = largerI32(this.#word2, capacity);
    this.#word3 = largerI32(this.#word3, capacity);
  }
}

/** Spreads words evenly (the finalizer of MurmurHash3). Ids are made by the service, so nobody can choose them. */
function homeOf(word0: number, word1: number, word2: number, word3: number): number {
  let mixed =
    word3 ^ Math.imul(word2, 0x85ebca6b) ^ Math.imul(word1, 0xc2b2ae35) ^ Math.imul(word0, 0x27d4eb2f);
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const UUID_LENGTH = 36;
const HYPHEN = 45;

/** Reads a UUID in its canonical form (RFC 9562 §4): small letters. False when the text is none; nothing is read then. */
export function readUuid(text: string, words: Int32Array): boolean {
  if (
    text.length !== UUID_LENGTH ||
    text.charCodeAt(8) !== HYPHEN ||
    text.charCodeAt(13) !== HYPHEN ||
    text.charCodeAt(18) !== HYPHEN ||
    text.charCodeAt(23) !== HYPHEN
  ) {
    return false;
  }
  const first = eightDigits(text, 0, 4);
  const second = eightDigits(text, 9, 14);
  const third = eightDigits(text, 19, 24);
  const fourth = eightDigits(text, 28, 32);
  if (first < 0 || second < 0 || third < 0 || fourth < 0) return false;
  words[0] = first;
  words[1] = second;
  words[2] = third;
  words[3] = fourth;
  return true;
}

/** Two runs of four hexadecimal digits as a number below 2^32; below 0 when one of them is none. */
function eightDigits(text: string, at: number, and: number): number {
  const high = fourDigits(text, at);
  const low = fourDigits(text, and);
  return (high | low) < 0 ? -1 : high * 65_536 + low;
}

function fourDigits(text: string, at: number): number {
  const first = digit(text.charCodeAt(at));
  const second = digit(text.charCodeAt(at + 1));
  const third = digit(text.charCodeAt(at + 2));
  const fourth = digit(text.charCodeAt(at + 3));
  return (first << 12) | (second << 8) | (third << 4) | fourth;
}

/** All bits are set of what is no digit, so that they are in whatever it is combined with. */
function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 && code <= 102 ? code - 87 : -1;
}
