/**
 * The slow look at a JSON body that the fast path would not take: what its first fault is. Invariant: linear in
 * the text, and a text that a longer one could still complete is told from one that nothing can repair.
 */
import { shown } from '../http/json-fault.ts';

/** What is wrong with a text. */
export type BodyFault =
  | { readonly kind: 'ends' }
  | { readonly kind: 'duplicate'; readonly key: string; readonly message: string }
  | { readonly kind: 'malformed'; readonly message: string };

/** Whether readers treat a key differently: `__proto__`, and control characters, at which C strings end. */
export function isTreacherousKey(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return key === '__proto__' || /[\u0000-\u001f\u007f]/.test(key);
}

/** The first fault; undefined when there is none. */
export function findBodyFault(text: string, maxDepth: number): BodyFault | undefined {
  try {
    new BodyScanner(text, maxDepth).document();
    return undefined;
  } catch (error) {
    if (error instanceof FaultFound) return error.fault;
    throw error;
  }
}

class FaultFound extends Error {
  readonly fault: BodyFault;
  constructor(fault: BodyFault) {
    super(fault.kind);
    this.fault = fault;
  }
}

/** A recursive descent over RFC 8259; the cap on depth bounds the recursion. */
class BodyScanner {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  document(): void {
    if (this.#text.charCodeAt(0) === 0xfeff) this.#malformed('it begins with a byte order mark');
    this.#value(1);
    this.#space();
    if (this.#at < this.#text.length) this.#malformed('something follows the end of the value');
  }

  #value(depth: number): void {
    const character = this.#next();
    if (character === '{' || character === '[') {
      if (depth > this.#maxDepth) this.#malformed(`it nests deeper than ${this.#maxDepth}`);
      this.#at += 1;
      if (character === '{') this.#members(depth);
      else this.#items(depth);
    } else if (character === '"') this.#string();
    else this.#scalar();
  }

  #members(depth: number): void {
    const keys = new Set<string>();
    if (this.#take('}')) return;
    do {
      if (this.#next() !== '"') this.#malformed('a key is missing');
      const key = this.#string();
      if (isTreacherousKey(key)) this.#malformed(`it has the key \`${shown(key)}\``);
      if (keys.has(key)) {
        const message = `it has the key \`${shown(key)}\` twice in one object`;
        throw new FaultFound({ kind: 'duplicate', key, message });
      }
      keys.add(key);
      if (!this.#take(':')) this.#malformed('a colon is missing');
      this.#value(depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) this.#malformed('an object is not closed');
  }

  #items(depth: number): void {
    if (this.#take(']')) return;
    do this.#value(depth + 1);
    while (this.#take(','));
    if (!this.#take(']')) this.#malformed('an array is not closed');
  }

  #string(): string {
    const start = this.#at;
    for (this.#at += 1; ; this.#at += 1) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) throw new FaultFound({ kind: 'ends' });
      if (code < 0x20) this.#malformed('a control character stands in a string');
      if (code === 0x22) break;
      if (code === 0x5c) this.#escape();
    }
    this.#at += 1;
    const value: unknown = JSON.parse(this.#text.slice(start, this.#at));
    const text = String(value);
    if (!text.isWellFormed()) this.#malformed('a string holds half of a surrogate pair');
    return text;
  }

  /** Leaves the position at the last character of the escape. */
  #escape(): void {
    this.#at += 1;
    const kind = this.#text[this.#at];
    if (kind === undefined) throw new FaultFound({ kind: 'ends' });
    if (kind !== 'u') {
      if (!'"\\/bfnrt'.includes(kind)) this.#malformed('there is no such escape sequence');
      return;
    }
    const digits = this.#text.slice(this.#at + 1, this.#at + 5);
    if (!/^[0-9A-Fa-f]*$/.test(digits)) this.#malformed('there is no such escape sequence');
    if (digits.length < 4) throw new FaultFound({ kind: 'ends' });
    this.#at += 4;
  }

  #scalar(): void {
    const token = /[-+.0-9A-Za-z]*/y;
    token.lastIndex = this.#at;
    const word = token.exec(this.#text)?.[0] ?? '';
    this.#at += word.length;
    if (/^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(word)) return;
    const mayGoOn = this.#at === this.#text.length && word !== '' && isPrefix(word);
    if (mayGoOn) throw new FaultFound({ kind: 'ends' });
    this.#malformed('a value is missing');
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  /** The next character that is no space; the text must have one. */
  #next(): string {
    this.#space();
    const character = this.#text[this.#at];
    if (character === undefined) throw new FaultFound({ kind: 'ends' });
    return character;
  }

  #take(wanted: string): boolean {
    if (this.#next() !== wanted) return false;
    this.#at += 1;
    return true;
  }

  #malformed(message: string): never {
    throw new FaultFound({ kind: 'malformed', message });
  }
}

/** Whether a scalar at the end of the text may be the beginning of a longer one. */
function isPrefix(word: string): boolean {
  return (
    ['true', 'false', 'null'].some(literal => literal.startsWith(word)) ||
    /^-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d*)?)?$/.test(word)
  );
}
