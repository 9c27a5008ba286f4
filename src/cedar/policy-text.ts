/**
 * Cedar source text before any parser sees it: splitting a file into policies, capping hostile text, and
 * turning Cedar's UTF-8 byte offsets into lines and columns. Invariant: nothing in here recurses, and a text
 * that passes `findTextProblem` cannot exhaust the stack of the WebAssembly parser by its bracket nesting.
 */

/** Longest policy in UTF-16 code units: thousands of times the usual size, parsed in about a millisecond. */
export const MAX_POLICY_TEXT = 16_384;
/** Longest schema in UTF-16 code units: the shipped one has 8,000. */
export const MAX_SCHEMA_TEXT = 262_144;
/** Deepest nesting of brackets: the parser of cedar-wasm overflows its stack at about 70 set brackets. */
export const MAX_BRACKET_DEPTH = 32;
/** Most `if` in one policy: the parser overflows its stack at a few hundred. */
export const MAX_CONDITIONALS = 32;
/** Most operators in one bracket or list item: each is one level of the syntax tree, whose depth is capped too. */
export const MAX_OPERATOR_RUN = 200;

export type TokenKind = 'word' | 'string' | 'open' | 'close' | 'separator' | 'semicolon' | 'operator' | 'end';

/** A token of Cedar's lexical grammar, as coarse as splitting and counting need it. */
export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
}

/** Walks over tokens, skipping white space and comments as Cedar does. Unterminated strings end at the end. */
export class Tokenizer {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(): Token {
    this.#skipTrivia();
    const start = this.#position;
    const kind = this.#consume();
    return { kind, start, end: this.#position };
  }

  #skipTrivia(): void {
    const text = this.#text;
    while (this.#position < text.length) {
      if (isSpace(text.charCodeAt(this.#position))) this.#position += 1;
      else if (text.startsWith('//', this.#position)) this.#skipLine();
      else return;
    }
  }

  /** A comment ends at CR or LF only, as in Cedar's grammar; other line separators do not end it. */
  #skipLine(): void {
    const text = this.#text;
    while (this.#position < text.length && !isLineEnd(text.charCodeAt(this.#position))) this.#position += 1;
  }

  #consume(): TokenKind {
    const text = this.#text;
    const code = text.charCodeAt(this.#position);
    if (Number.isNaN(code)) return 'end';
    if (code === QUOTE) return this.#consumeString();
    if (isWordPart(code)) {
      while (isWordPart(text.charCodeAt(this.#position))) this.#position += 1;
      return 'word';
    }
    this.#position += 1;
    return PUNCTUATION.get(code) ?? 'operator';
  }

  #consumeString(): TokenKind {
    const text = this.#text;
    this.#position += 1;
    while (this.#position < text.length) {
      const code = text.charCodeAt(this.#position);
      this.#position += code === BACKSLASH ? 2 : 1;
      if (code === QUOTE) return 'string';
    }
    this.#position = text.length;
    return 'string';
  }
}

/** One policy or template as it stands in its file, from its first token to its semicolon. */
export interface PolicySource {
  readonly text: string;
  /** UTF-16 offset of `text` in the file. */
  readonly offset: number;
}

/** Splits a file at its semicolons outside strings and comments: in Cedar's grammar they only end policies. */
export function splitPolicies(file: string): readonly PolicySource[] {
  const sources: PolicySource[] = [];
  const tokenizer = new Tokenizer(file);
  let first: Token | undefined;
  let last: Token | undefined;
  for (let token = tokenizer.next(); token.kind !== 'end'; token = tokenizer.next()) {
    first ??= token;
    last = token;
    if (token.kind !== 'semicolon') continue;
    sources.push({ text: file.slice(first.start, token.end), offset: first.start });
    first = undefined;
  }
  if (first !== undefined && last !== undefined) {
    sources.push({ text: file.slice(first.start, last.end), offset: first.start });
  }
  return sources;
}

/** What is wrong with a text before it is parsed, with the UTF-16 offset of the place. */
export interface TextProblem {
  readonly offset: number;
  readonly message: string;
  readonly hint: string;
}

/** Refuses text that is too long, not well-formed Unicode, or so nested that a parser might overflow its stack. */
export function findTextProblem(text: string, maxLength: number = MAX_POLICY_TEXT): TextProblem | undefined {
  if (text.length > maxLength) {
    return {
      offset: 0,
      message: `the text has ${text.length} characters, the most is ${maxLength}`,
      hint: 'split it, or move lists of values into attributes of entities',
    };
  }
  if (!text.isWellFormed()) {
    return { offset: 0, message: 'the text holds a lone surrogate', hint: 'save the file as UTF-8' };
  }
  return findNestingProblem(text);
}

function findNestingProblem(text: string): TextProblem | undefined {
  const tokenizer = new Tokenizer(text);
  const outerRuns: number[] = [];
  let run = 0;
  let conditionals = 0;
  for (let token = tokenizer.next(); token.kind !== 'end'; token = tokenizer.next()) {
    if (token.kind === 'open') {
      outerRuns.push(run);
      run = 0;
    } else if (token.kind === 'close') run = outerRuns.pop() ?? 0;
    else if (token.kind === 'separator' || token.kind === 'semicolon') run = 0;
    else if (token.kind === 'operator') run += 1;
    else if (token.kind === 'word' && text.startsWith('if', token.start) && token.end - token.start === 2) {
      conditionals += 1;
    }
    if (outerRuns.length > MAX_BRACKET_DEPTH) {
      return nested(token, `brackets are nested deeper than ${MAX_BRACKET_DEPTH}`);
    }
    if (conditionals > MAX_CONDITIONALS)
      return nested(token, `there are more than ${MAX_CONDITIONALS} \`if\``);
    if (run > MAX_OPERATOR_RUN) {
      return nested(token, `one expression has more than ${MAX_OPERATOR_RUN} operator characters`);
    }
  }
  return undefined;
}

function nested(token: Token, message: string): TextProblem {
  return {
    offset: token.start,
    message,
    hint: 'split the policy, or replace a chain of comparisons by `[...].contains(...)`',
  };
}

/** Lines and columns of a text. Lines end with LF, CR LF or CR. */
export class LineMap {
  readonly #starts: readonly number[];

  constructor(text: string) {
    const starts = [0];
    for (const match of text.matchAll(/\r\n?|\n/g)) starts.push(match.index + match[0].length);
    this.#starts = starts;
  }

  /** @param offset UTF-16 offset. @returns both 1-based, the column in UTF-16 code units. */
  locate(offset: number): { readonly line: number; readonly column: number } {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}

/** The UTF-16 offset that a UTF-8 byte offset of the same text stands for; the end when it lies beyond. */
export function toUtf16Offset(text: string, byteOffset: number): number {
  let bytes = 0;
  let offset = 0;
  for (const character of text) {
    if (bytes >= byteOffset) return offset;
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
    offset += character.length;
  }
  return offset;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const PUNCTUATION: ReadonlyMap<number, TokenKind> = new Map([
  [0x28, 'open'],
  [0x5b, 'open'],
  [0x7b, 'open'],
  [0x29, 'close'],
  [0x5d, 'close'],
  [0x7d, 'close'],
  [0x2c, 'separator'],
  [0x3b, 'semicolon'],
]);

function isLineEnd(code: number): boolean {
  return code === 0x0a || code === 0x0d;
}

/** Unicode White_Space, which Cedar's lexer skips, and the byte order mark, which it would refuse. */
function isSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000 ||
    code === 0xfeff
  );
}

function isWordPart(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f ||
    (code >= 0x61 && code <= 0x7a)
  );
}
