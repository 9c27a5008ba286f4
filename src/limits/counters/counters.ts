/**
 * The counter of each live key, in columns. Invariant: what a counter is (its kind and span) never changes while its
 * key lives, and a number that is given out again has another generation, so that no hold finds a stranger's counter.
 */
import type { KeyAlias } from './key-alias.ts';
import { KeyIndex } from './key-index.ts';
import { f64, i32, largerF64, largerI32, largerU8, NONE, Numbers, u8 } from './columns.ts';
import { WordIndex, WORDS } from './word-index.ts';

/** What a counter does with what is charged to it. */
export const WINDOW = 1;
export const RATE = 2;
/** A quota of a calendar period. */
export const CALENDAR = 3;
/** A quota of a rolling period. */
export const ROLLING = 4;
export const LEASES = 5;

/** No key has the counter. */
const FREE = 0;
/** Whether the log is known to know which key a counter has. */
const UNBOUND = 1;
const BOUND = 2;
/** The log knows, and nobody else yet: the counter goes by its alias until its key is asked about. */
const RESTORED = 3;

/** What a counter begins as. */
export interface CounterShape {
  readonly kind: number;
  /** Window, period of a rate or of a rolling quota in milliseconds; below 0: see calendar.ts; 0 of leases. */
  readonly span: number;
}

export class Counters {
  readonly numbers = new Numbers(capacity => this.#grow(capacity));
  readonly index = new KeyIndex();
  /** Names of rules; a counter has the place of its own. */
  readonly names: string[] = [];
  kind = new Uint8Array(this.numbers.capacity);
  span = new Float64Array(this.numbers.capacity);
  /** The limit that was last charged under; of a rate its burst. */
  cap = new Float64Array(this.numbers.capacity);
  /** Committed; of a rate what has not flowed off, whole units. */
  used = new Float64Array(this.numbers.capacity);
  /** Held; of a rate what has not flowed off beside whole units, in units / span. */
  held = new Float64Array(this.numbers.capacity);
  /** Of a quota of the calendar the end of its period, of a rate when the two above were true; milliseconds. */
  mark = new Float64Array(this.numbers.capacity);
  /** Of a rate: units that flow off per span. */
  speed = new Float64Array(this.numbers.capacity);
  /** Of a rate: everything that was ever charged. */
  entered = new Float64Array(this.numbers.capacity);
  firstSegment = new Int32Array(this.numbers.capacity);
  lastSegment = new Int32Array(this.numbers.capacity);
  /** Live holds by their ends, soonest first. */
  firstHold = new Int32Array(this.numbers.capacity);
  lastHold = new Int32Array(this.numbers.capacity);
  /** Holds that a settlement can still find, live or not. */
  references = new Int32Array(this.numbers.capacity);
  generation = new Int32Array(this.numbers.capacity);
  name = new Int32Array(this.numbers.capacity);
  binding = new Uint8Array(this.numbers.capacity);
  readonly #keys: string[] = [''];
  /** Counters that go by their aliases. */
  readonly #restored = new WordIndex(this.numbers.capacity);
  readonly #alias = new Int32Array(WORDS);
  readonly #nameNumbers = new Map<string, number>();

  get live(): number {
    return this.index.size + this.#restored.size;
  }

  /** The counter that goes by an alias; NONE: no such counter, or one whose key is known. */
  findRestored(alias: Int32Array): number {
    return this.#restored.find(alias);
  }

  /** Whether a key has the counter. */
  isTaken(counter: number): boolean {
    return u8(this.binding, counter) !== FREE;
  }

  /** Whether it goes by this alias. */
  isRestoredAs(counter: number, alias: Int32Array): boolean {
    return this.#isRestored(counter) && this.#restored.has(counter, alias);
  }

  /** The key of a counter; empty when it is free, or goes by its alias. */
  keyOf(counter: number): string {
    return this.#keys[counter] ?? '';
  }

  nameOf(counter: number): string {
    return this.names[i32(this.name, counter)] ?? '';
  }

  /** A counter for a key that has none. The key is copied, so that it keeps nothing else alive, as a part of a body. */
  open(key: string, name: string, shape: CounterShape): number {
    const counter = this.numbers.take();
    this.#begin(counter, name, shape);
    this.binding[counter] = UNBOUND;
    this.#name(counter, key);
    return counter;
  }

  /** A counter as the log has it, which goes by an alias that no other has; its number may be one that was never given out. */
  restore(counter: number, alias: Int32Array, name: string, shape: CounterShape): void {
    this.numbers.reserve(counter + 1);
    this.numbers.end = Math.max(this.numbers.end, counter + 1);
    this.#begin(counter, name, shape);
    this.binding[counter] = RESTORED;
    this.#restored.add(counter, alias);
  }

  /** Takes the key from a counter, whose segments were given back. Its number stays taken. */
  unassign(counter: number): void {
    if (this.#isRestored(counter)) this.#restored.remove(counter);
    else this.index.delete(this.keyOf(counter));
    if (counter < this.#keys.length) this.#keys[counter] = '';
    this.binding[counter] = FREE;
    this.generation[counter] = (i32(this.generation, counter) + 1) | 0;
  }

  isBound(counter: number): boolean {
    return u8(this.binding, counter) > UNBOUND;
  }

  /** The log knows the key of a counter. */
  bind(counter: number): void {
    this.binding[counter] = BOUND;
  }

  /** The counter of a key, whatever it goes by. */
  claim(key: string, alias: KeyAlias): number {
    const known = this.index.get(key);
    if (known !== undefined) return known;
    if (this.#restored.size === 0) return NONE;
    alias(key, this.#alias);
    const counter = this.#restored.find(this.#alias);
    if (counter === NONE) return NONE;
    this.#restored.remove(counter);
    this.binding[counter] = BOUND;
    this.#name(counter, key);
    return counter;
  }

  /** Fills in what a counter is called in the log. */
  aliasOf(counter: number, alias: KeyAlias, words: Int32Array): void {
    if (this.#isRestored(counter)) this.#restored.read(counter, words);
    else alias(this.keyOf(counter), words);
  }

  #isRestored(counter: number): boolean {
    return u8(this.binding, counter) === RESTORED;
  }

  /** Whether nothing stands between a hold and its counter. */
  isSame(counter: number, generation: number): boolean {
    return i32(this.generation, counter) === generation && this.isTaken(counter);
  }

  /** Committed and held. Not of a rate. */
  total(counter: number): number {
    return f64(this.used, counter) + f64(this.held, counter);
  }

  #begin(counter: number, name: string, { kind, span }: CounterShape): void {
    this.kind[counter] = kind;
    this.span[counter] = span;
    this.name[counter] = this.#nameNumber(name);
    this.cap[counter] = 0;
    this.used[counter] = 0;
    this.held[counter] = 0;
    this.mark[counter] = 0;
    this.speed[counter] = 0;
    this.entered[counter] = 0;
    this.firstSegment[counter] = NONE;
    this.lastSegment[counter] = NONE;
    this.firstHold[counter] = NONE;
    this.lastHold[counter] = NONE;
    this.references[counter] = 0;
  }

  #name(counter: number, key: string): void {
    // without holes, since a list with many of them is slow
    while (this.#keys.length < counter) this.#keys.push('');
    const own = Buffer.from(key).toString();
    this.#keys[counter] = own;
    this.index.add(own, counter);
  }

  #nameNumber(name: string): number {
    const known = this.#nameNumbers.get(name);
    if (known !== undefined) return known;
    const number = this.names.length;
    this.names.push(name);
    this.#nameNumbers.set(name, number);
    return number;
  }

  #grow(capacity: number): void {
    this.kind = largerU8(this.kind, capacity);
    this.span = largerF64(this.span, capacity);
    this.cap = largerF64(this.cap, capacity);
    this.used = largerF64(this.used, capacity);
    this.held = largerF64(this.held, capacity);
    this.mark = largerF64(this.mark, capacity);
    this.speed = largerF64(this.speed, capacity);
    this.entered = largerF64(this.entered, capacity);
    this.firstSegment = largerI32(this.firstSegment, capacity);
    this.lastSegment = largerI32(this.lastSegment, capacity);
    this.firstHold = largerI32(this.firstHold, capacity);
    this.lastHold = largerI32(this.lastHold, capacity);
    this.references = largerI32(this.references, capacity);
    this.generation = largerI32(this.generation, capacity);
    this.name = largerI32(this.name, capacity);
    this.binding = largerU8(this.binding, capacity);
    this.#restored.grow(capacity);
  }
}
