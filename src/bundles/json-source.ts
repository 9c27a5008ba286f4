/**
 * Strict JSON (RFC 8259) with the place of every value, for files whose errors name line and column.
 * Invariant: accepts nothing that JSON.parse refuses, and refuses what JSON.parse would silently change:
 * duplicate keys, integers beyond 2^53 and numbers that overflow.
 */
import type { Problem } from '../domain/errors.ts';
import type { JsonValue } from '../domain/json.ts';
import { printable } from './paths.ts';

/** Deepest nesting: entity data is at most a few levels deep, and the parser is recursive. */
export const MAX_JSON_DEPTH = 64;

/** Most values of one document: each costs about a hundred bytes while places can be asked for. */
export const MAX_JSON_VALUES = 500_000;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** A parsed document that can say where each value stands. */
export interface JsonSource {
  readonly value: JsonValue;
  /** Place of the value at an RFC 6901 pointer; of its nearest ancestor when there is none. */
  locate(pointer: string): Position;
  /** Place of a member's key. */
  locateKey(pointer: string): Position;
}

/** 1-based; the column counts UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A syntax error; becomes a Problem before it leaves this file. */
class JsonSyntaxError extends Error {
  readonly offset: number;
  readonly hint: string | undefined;
  constructor(offset: number, message: string, hint?: string) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

/** The document, or the first thing that is wrong with it. */
export function parseJsonSource(text: string, file: string): JsonSource | Problem {
  const parser = new Parser(text);
  try {
    const value = parser.document();
    return {
      value,
      locate: pointer => positionAt(text, nearestOffset(parser.values, pointer)),
      locateKey: pointer =>
        positionAt(text, parser.keys.get(pointer) ?? nearestOffset(parser.values, pointer)),
    };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const place = { file, ...positionAt(text, error.offset), message: error.message };
    return error.hint === undefined ? place : { ...place, hint: error.hint };
  }
}

/** Distinguishes a parsed document from the problem that stands in its place. */
export function isSource(result: JsonSource | Problem): result is JsonSource {
  return 'locate' in result;
}

/** Line and column of an offset into a text. */
function positionAt(text: string, offset: number): Position {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}

/** One step of an RFC 6901 pointer. */
export function pointerStep(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function nearestOffset(values: ReadonlyMap<string, number>, pointer: string): number {
  let current = pointer;
  for (;;) {
    const offset = values.get(current);
    if (offset !== undefined) return offset;
    if (current === '') return 0;
    current = current.slice(0, current.lastIndexOf('/'));
  }
}

class Parser {
  readonly values = new Map<string, number>();
  readonly keys = new Map<string, number>();
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value('', 0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail(`unexpected ${this.#here()} after the document`);
    return value;
  }

  #value(pointer: string, depth: number): JsonValue {
    this.#space();
    if (this.values.size >= MAX_JSON_VALUES)
      this.#fail(`more than ${MAX_JSON_VALUES} values`, 'split the file');
    this.values.set(pointer, this.#at);
    const character = this.#text[this.#at];
    if (depth >= MAX_JSON_DEPTH && (character === '{' || character === '[')) {
      this.#fail(`nested deeper than ${MAX_JSON_DEPTH} levels`);
    }
    switch (character) {
      case '{':
        return this.#object(pointer, depth);
      case '[':
        return this.#array(pointer, depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(pointer: string, depth: number): JsonValue {
    const entries: [string, JsonValue][] = [];
    const seen = new Set<string>();
    this.#at++;
    this.#space();
    if (this.#skip('}')) return {};
    for (;;) {
      this.#space();
      const keyAt = this.#at;
      if (this.#text[keyAt] !== '"') this.#fail(`expected a key in double quotes, found ${this.#here()}`);
      const key = this.#string();
      if (seen.has(key)) this.#failAt(keyAt, `duplicate key \`${printable(key)}\``, 'keep one of the two');
      if (key === '__proto__') this.#failAt(keyAt, 'the key `__proto__` is not allowed');
      seen.add(key);
      const member = `${pointer}${pointerStep(key)}`;
      this.keys.set(member, keyAt);
      this.#space();
      if (!this.#skip(':')) this.#fail(`expected \`:\` after the key, found ${this.#here()}`);
      entries.push([key, this.#value(member, depth + 1)]);
      this.#space();
      if (this.#skip('}')) return Object.fromEntries(entries);
      this.#comma('}');
    }
  }

  #array(pointer: string, depth: number): JsonValue {
    const items: JsonValue[] = [];
    this.#at++;
    this.#space();
    if (this.#skip(']')) return items;
    for (;;) {
      items.push(this.#value(`${pointer}/${items.length}`, depth + 1));
      this.#space();
      if (this.#skip(']')) return items;
      this.#comma(']');
    }
  }

  #comma(close: string): void {
    const at = this.#at;
    if (!this.#skip(',')) this.#fail(`expected \`,\` or \`${close}\`, found ${this.#here()}`);
    this.#space();
    if (this.#text[this.#at] === close) this.#failAt(at, 'trailing comma', 'remove the comma');
  }

  #string(): string {
    const start = this.#at;
    let result = '';
    this.#at++;
    for (;;) {
      result += this.#plain();
      const character = this.#text[this.#at];
      if (character === '"') {
        this.#at++;
        if (!result.isWellFormed())
          this.#failAt(start, 'half a surrogate pair in a string', 'it is no character');
        return result;
      }
      if (character === undefined) this.#failAt(start, 'the string has no end');
      if (character !== '\\')
        this.#fail('a control character in a string', 'write it as an escape, such as `\\n`');
      result += this.#escape();
    }
  }

  /** A loop and not a regular expression, whose backtracking stack a string of megabytes would exhaust. */
  #plain(): string {
    const start = this.#at;
    for (let code = this.#text.charCodeAt(start); code >= 0x20 && code !== 0x22 && code !== 0x5c; ) {
      code = this.#text.charCodeAt(++this.#at);
    }
    return this.#text.slice(start, this.#at);
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? '';
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const digits = this.#text.slice(this.#at + 2, this.#at + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail('an escape that JSON does not know');
    this.#at += 6;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #number(): number {
    const start = this.#at;
    const digits = this.#match(NUMBER);
    if (digits === '') this.#fail(`expected a value, found ${this.#here()}`);
    const value = Number(digits);
    if (!Number.isFinite(value)) this.#failAt(start, 'the number is too large');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      this.#failAt(
        start,
        'the integer is beyond ±(2^53 - 1)',
        'such a number cannot be exchanged exactly in JSON',
      );
    }
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail(`expected a value, found ${this.#here()}`);
    this.#at += word.length;
    return value;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #here(): string {
    const character = this.#text.codePointAt(this.#at);
    return character === undefined ? 'the end' : `\`${printable(String.fromCodePoint(character))}\``;
  }

  #fail(message: string, hint?: string): never {
    throw new JsonSyntaxError(this.#at, message, hint);
  }

  #failAt(offset: number, message: string, hint?: string): never {
    throw new JsonSyntaxError(offset, message, hint);
  }
}
