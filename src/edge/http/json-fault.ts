/**
 * The slow path of JSON parsing: finds the first fault of a text that the fast path refused, with its place.
 * Invariant: linear in the text; it only explains a refusal, it never turns one into an acceptance.
 */
import type { Problem } from '../../domain/errors.ts';

/** An escape that stands for an ASCII character (json-members.ts says what is wrong with it in a key). */
const ASCII_ESCAPE = /\\(?:["\\/bfnrt]|u00[0-7])/;

/** A fault at an offset of the text. */
interface Fault {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

class FaultFound extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super(fault.message);
    this.fault = fault;
  }
}

/** The first syntax error, duplicate key or `__proto__` key; undefined when there is none. */
export function findJsonFault(text: string, maxDepth: number): Problem | undefined {
  try {
    new Scanner(text, maxDepth).document();
    return undefined;
  } catch (error) {
    if (!(error instanceof FaultFound)) throw error;
    const { offset, message, hint } = error.fault;
    return { ...placeOf(text, offset), message, ...(hint === undefined ? {} : { hint }) };
  }
}

/** Line and column of an offset, both 1-based. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let next = text.indexOf('\n'); next !== -1 && next < offset; next = text.indexOf('\n', lineStart)) {
    line += 1;
    lineStart = next + 1;
  }
  return { line, column: offset - lineStart + 1 };
}

/** A recursive descent over RFC 8259; the depth cap bounds the recursion. */
class Scanner {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  document(): void {
    if (this.#text.charCodeAt(0) === 0xfeff)
      this.#fail('the text begins with a byte order mark', 'send it without');
    this.#space();
    if (this.#at === this.#text.length) this.#fail('the body is empty', 'send a JSON object');
    this.#value(1);
    this.#space();
    if (this.#at < this.#text.length) this.#fail(`unexpected ${this.#found()} after the end of the value`);
  }

  #value(depth: number): void {
    const character = this.#text[this.#at];
    if ((character === '{' || character === '[') && depth > this.#maxDepth) {
      this.#fail(`the nesting is deeper than ${this.#maxDepth}`);
    }
    if (character === '{') this.#object(depth);
    else if (character === '[') this.#array(depth);
    else if (character === '"') this.#string();
    else this.#scalar();
  }

  #object(depth: number): void {
    const keys = new Set<string>();
    this.#at += 1;
    this.#space();
    if (this.#take('}')) return;
    for (;;) {
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail(`expected a key in double quotes, found ${this.#found()}`);
      const key = this.#string();
      const written = this.#text.slice(start, this.#at);
      if (keys.has(key))
        this.#failAt(start, `the key \`${shown(key)}\` occurs twice in one object`, 'keep one of them');
      if (key === '__proto__') this.#failAt(start, 'the key `__proto__` is not allowed', 'remove it');
      if (ASCII_ESCAPE.test(written)) {
        this.#failAt(
          start,
          'the key is written with an escape for an ASCII character',
          'write the character itself',
        );
      }
      keys.add(key);
      this.#space();
      if (!this.#take(':')) this.#fail(`expected \`:\` after a key, found ${this.#found()}`);
      this.#space();
      this.#value(depth + 1);
      this.#space();
      if (this.#take('}')) return;
      if (!this.#take(',')) this.#fail(`expected \`,\` or \`}\`, found ${this.#found()}`);
      this.#space();
    }
  }

  #array(depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#take(']')) return;
    for (;;) {
      this.#value(depth + 1);
      this.#space();
      if (this.#take(']')) return;
      if (!this.#take(',')) this.#fail(`expected \`,\` or \`]\`, found ${this.#found()}`);
      this.#space();
    }
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) this.#failAt(start, 'the string that begins here does not end');
      if (character < ' ') this.#fail('a control character stands in a string', 'escape it, such as `\\n`');
      this.#at += 1;
      if (character === '"') break;
      if (character === '\\') this.#escape();
    }
    const value: unknown = JSON.parse(this.#text.slice(start, this.#at));
    const text = String(value);
    if (!text.isWellFormed()) this.#failAt(start, 'the string holds half of a surrogate pair');
    return text;
  }

  #escape(): void {
    const start = this.#at - 1;
    const escape = /^(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/.exec(this.#text.slice(this.#at, this.#at + 5));
    if (escape === null) this.#failAt(start, 'there is no such escape sequence');
    this.#at += escape[0].length;
  }

  #scalar(): void {
    const start = this.#at;
    while (this.#at < this.#text.length && !' \t\n\r,:]}[{"'.includes(this.#text.charAt(this.#at)))
      this.#at += 1;
    const token = this.#text.slice(start, this.#at);
    if (/^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(token)) return;
    this.#at = start;
    this.#fail(token === '' ? `unexpected ${this.#found()}` : `unexpected \`${shown(token)}\``);
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at += 1;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #found(): string {
    const character = this.#text[this.#at];
    return character === undefined ? 'the end of the text' : `\`${shown(character)}\``;
  }

  #fail(message: string, hint?: string): never {
    this.#failAt(this.#at, message, hint);
  }

  #failAt(offset: number, message: string, hint?: string): never {
    throw new FaultFound({ offset, message, ...(hint === undefined ? {} : { hint }) });
  }
}

/** At most this much of what a client sent is repeated to it. */
const MAX_SHOWN = 40;

/** User input for a message: one line, short, printable. */
export function shown(text: string): string {
  const printable = text.slice(0, MAX_SHOWN).replace(/[^\x20-\x7e]|`/g, '?');
  return text.length > MAX_SHOWN ? `${printable}…` : printable;
}
