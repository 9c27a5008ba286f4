/**
 * The counter of each live key, in columns. Invariant: what a counter is (its kind and span) never changes while its
 * key lives, and a number that is given out again has another generation, so that no hold finds a stranger's counter.
 */
import type { KeyAlias } from './key-alias.ts';
import { KeyIndex } from './key-index.ts';
import { f64, i32, largerF64, largerI32, largerU8, NONE, Numbers, u8 } from './columns.ts';

/** What a counter does with what is charged to it. */
export const WINDOW = 1;
export const RATE = 2;
/** A quota of a calendar period. */
export const CALENDAR = 3;
/** A quota of a rolling period. */
export const ROLLING = 4;
export const LEASES = 5;

/** Whether the log is known to know which key a counter has. */
const UNBOUND = 0;
const BOUND = 1;
/** The log knows, and nobody else yet: the counter goes by its alias until its key is asked about. */
const RESTORED = 2;

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
  #restored = 0;
  readonly #nameNumbers = new Map<string, number>();

  get live(): number {
    return this.index.size;
  }

  /** By the key, or by the alias, that it goes by. */
  find(key: string): number {
    return this.index.get(key) ?? NONE;
  }

  /** The key of a counter, or its alias; empty when it is free. */
  keyOf(counter: number): string {
    return this.#keys[counter] ?? '';
  }

  nameOf(counter: number): string {
    return this.names[i32(this.name, counter)] ?? '';
  }

  /** A counter for a key that has none. The key is copied, so that it keeps nothing else alive, as a part of a body. */
  open(key: string, name: string, shape: CounterShape): number {
    const counter = this.numbers.take();
    this.assign(counter, Buffer.from(key).toString(), name, shape);
    return counter;
  }

  /** Makes a number that is taken the counter of a key that has none. */
  assign(counter: number, key: string, name: string, { kind, span }: CounterShape): void {
    this.#keys[counter] = key;
    this.index.add(key, counter);
    this.kind[counter] = kind;
    this.span[counter] = span;
    this.name[counter] = this.#nameNumber(name);
    this.binding[counter] = UNBOUND;
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

  /** Takes the key from a counter, whose segments were given back. Its number stays taken. */
  unassign(counter: number): void {
    this.index.delete(this.keyOf(counter));
    if (this.#isRestored(counter)) this.#restored -= 1;
    this.#keys[counter] = '';
    this.binding[counter] = UNBOUND;
    this.generation[counter] = (i32(this.generation, counter) + 1) | 0;
  }

  isBound(counter: number): boolean {
    return u8(this.binding, counter) !== UNBOUND;
  }

  /** The log knows the key of a counter. */
  bind(counter: number): void {
    this.binding[counter] = BOUND;
  }

  /** A counter as the log has it: its key is an alias. */
  assignRestored(counter: number, alias: string, name: string, shape: CounterShape): void {
    this.numbers.reserve(counter + 1);
    this.numbers.end = Math.max(this.numbers.end, counter + 1);
    this.assign(counter, alias, name, shape);
    this.binding[counter] = RESTORED;
    this.#restored += 1;
  }

  /** The counter of a key, whatever name it goes by. */
  claim(key: string, alias: KeyAlias): number {
    const known = this.index.get(key);
    if (known !== undefined && !this.#isRestored(known)) return known;
    if (this.#restored === 0) return NONE;
    const text = alias(key);
    const counter = this.index.get(text);
    if (counter === undefined || !this.#isRestored(counter)) return NONE;
    this.index.delete(text);
    this.#keys[counter] = Buffer.from(key).toString();
    this.index.add(this.keyOf(counter), counter);
    this.binding[counter] = BOUND;
    this.#restored -= 1;
    return counter;
  }

  /** What a counter is called in the log. */
  aliasOf(counter: number, alias: KeyAlias): string {
    return this.#isRestored(counter) ? this.keyOf(counter) : alias(this.keyOf(counter));
  }

  #isRestored(counter: number): boolean {
    return u8(this.binding, counter) === RESTORED;
  }

  /** Whether nothing stands between a hold and its counter. */
  isSame(counter: number, generation: number): boolean {
    return i32(this.generation, counter) === generation && this.keyOf(counter) !== '';
  }

  /** Committed and held. Not of a rate. */
  total(counter: number): number {
    return f64(this.used, counter) + f64(this.held, counter);
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
  }
}
