/**
 * The decisions that hold something, or held it not long ago, by their ids. Invariant: an id is found until it is
 * forgotten. Ids are UUIDs as a rule, and kept as four words; any other text is kept as it is.
 */
import { i32, largerF64, largerI32, largerU8, NONE, Numbers, u8 } from './columns.ts';
import { type DecisionId, readUuid } from './decision-id.ts';
import { WordIndex, WORDS } from './word-index.ts';

/** Something can still be settled. */
export const OPEN = 1;
/** It was settled. */
export const SETTLED = 2;

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
  readonly #index = new WordIndex(this.numbers.capacity);
  readonly #texts = new Map<string, number>();
  readonly #textOf = new Map<number, string>();
  readonly #words = new Int32Array(WORDS);
  /** The last id whose words were read, since a decision is looked for before it is added. */
  #lastId = '';

  find(id: string): number {
    return this.#isUuid(id) ? this.#index.find(this.#words) : (this.#texts.get(id) ?? NONE);
  }

  /** As `find`, by an id out of a journal or a snapshot. */
  findRead({ text, words }: DecisionId): number {
    return text === undefined ? this.#index.find(words) : (this.#texts.get(text) ?? NONE);
  }

  /**
   * Adds a decision that is not there, without holds.
   * @param until see the column
   * @throws Error for an empty id
   */
  open(id: string, isPast: boolean, until: number): number {
    return this.#isUuid(id)
      ? this.#open(undefined, this.#words, isPast, until)
      : this.#open(id, this.#words, isPast, until);
  }

  /** As `open`, by an id out of a journal or a snapshot. */
  openRead({ text, words }: DecisionId, isPast: boolean, until: number): number {
    return this.#open(text, words, isPast, until);
  }

  /** Forgets a decision whose holds were closed. */
  close(decision: number): void {
    this.#leave(decision);
    const text = this.#textOf.get(decision);
    if (text === undefined) this.#index.remove(decision);
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

  /** Fills in the id of a decision. */
  nameOf(decision: number, id: DecisionId): void {
    id.text = this.#textOf.get(decision);
    if (id.text === undefined) this.#index.read(decision, id.words);
  }

  #open(text: string | undefined, words: Int32Array, isPast: boolean, until: number): number {
    if (text === '') throw new Error('a decision has no id');
    const decision = this.numbers.take();
    this.state[decision] = OPEN;
    this.firstHold[decision] = NONE;
    this.until[decision] = until;
    if (text === undefined) this.#index.add(decision, words);
    else {
      this.#texts.set(text, decision);
      this.#textOf.set(decision, text);
    }
    this.#enter(isPast ? this.past : this.live, decision, isPast);
    return decision;
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

  #grow(capacity: number): void {
    this.state = largerU8(this.state, capacity);
    this.firstHold = largerI32(this.firstHold, capacity);
    this.until = largerF64(this.until, capacity);
    this.#isPast = largerU8(this.#isPast, capacity);
    this.#previous = largerI32(this.#previous, capacity);
    this.#next = largerI32(this.#next, capacity);
    this.#index.grow(capacity);
  }
}
