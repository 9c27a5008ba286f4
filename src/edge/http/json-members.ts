/**
 * One pass over the bytes of a JSON text before it is parsed. Invariant: what `JSON.parse` may read otherwise than
 * other readers is told: how many members the text writes, nesting beyond a cap, halves of surrogates, and keys
 * written with escapes.
 *
 * The last, because V8 13.6 (Node 24.21) was seen to read the key `"\u0047"` as a backslash, once it had read objects
 * with the keys `G` and a backslash: a repeated key then passes for two, of which another reader takes the other.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const ZERO = 0x30;
const EIGHT = 0x38;
const LETTER_U = 0x75;
const LETTER_D = 0x64;
/** The bit in which `[` and `{`, `]` and `}`, `D` and `d` differ. */
const LOWER = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Bytes of a string that are looked at one by one before its end is searched: a search has to be worth its call. */
const NEAR = 48;

export interface JsonOutline {
  /** Colons outside strings: the members that the text writes. A duplicate key leaves a value with fewer. */
  readonly members: number;
  /** Nesting beyond the cap, or an escape that may be half a surrogate: a slower look must follow. */
  readonly isSuspicious: boolean;
  /** A key has an escape that stands for an ASCII character: such a text must not be parsed. */
  readonly hasEscapedKey: boolean;
}

/** Bytes serve as well as characters: UTF-8 uses ASCII bytes for ASCII characters only. */
export function outlineJson(bytes: Buffer, maxDepth: number): JsonOutline {
  const { length } = bytes;
  const marks = new StringMarks(bytes);
  let members = 0;
  let depth = 0;
  let isSuspicious = false;
  let hasEscapedKey = false;
  let isEscaped = false;
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) {
      isEscaped = false;
      let far = at + NEAR;
      for (at += 1; at < length; at += 1) {
        if (at > far) at = marks.next(at);
        const inside = bytes[at];
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) {
          at += 1;
          far = at + NEAR;
          if (bytes[at] === LETTER_U && ((bytes[at + 1] ?? 0) | LOWER) === LETTER_D) isSuspicious = true;
          isEscaped ||= standsForAscii(bytes, at);
        }
      }
    } else if (byte === COLON) {
      members += 1;
      hasEscapedKey ||= isEscaped;
    } else if ((byte | LOWER) === OPEN) {
      depth += 1;
      if (depth > maxDepth) return { members, isSuspicious: true, hasEscapedKey };
    } else if ((byte | LOWER) === CLOSE) depth -= 1;
  }
  return { members, isSuspicious, hasEscapedKey };
}

/** Where quotes and backslashes stand. Each is searched for once, so that the whole takes linear time. */
class StringMarks {
  readonly #bytes: Buffer;
  #quote = -1;
  #backslash = -1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The first of them at an index or behind it; the length of the text when there is none. */
  next(from: number): number {
    if (this.#quote < from) this.#quote = this.#find(QUOTE, from);
    if (this.#backslash < from) this.#backslash = this.#find(BACKSLASH, from);
    return Math.min(this.#quote, this.#backslash);
  }

  #find(byte: number, from: number): number {
    const found = this.#bytes.indexOf(byte, from);
    return found < 0 ? this.#bytes.length : found;
  }
}

/** @param at index of what follows the backslash */
function standsForAscii(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== LETTER_U) return true;
  return bytes[at + 1] === ZERO && bytes[at + 2] === ZERO && (bytes[at + 3] ?? 0) < EIGHT;
}
