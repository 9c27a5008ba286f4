/**
 * The `like` operator. Invariant: time is linear in text plus pattern for every input, because policy
 * authors and callers are different parties and neither may slow the other down.
 */

/** A pattern element of `like`: a literal text, or `*`. */
export type PatternElement = { readonly literal: string } | 'wildcard';

/** A literal between wildcards with its Knuth-Morris-Pratt failure table. */
interface Segment {
  readonly text: string;
  /** At i: length of the longest proper prefix of `text` that is a suffix of `text.slice(0, i + 1)`. */
  readonly failure: Uint32Array;
}

/**
 * A matcher for a pattern. Comparing UTF-16 code units equals comparing characters: the units of a whole
 * character are found only where that character stands. Nothing is normalised, like in Cedar.
 */
export function compilePattern(pattern: readonly PatternElement[]): (text: string) => boolean {
  const parts = splitAtWildcards(pattern);
  const prefix = parts[0] ?? '';
  if (parts.length === 1) return text => text === prefix;
  const suffix = parts.at(-1) ?? '';
  const middle = parts
    .slice(1, -1)
    .filter(part => part !== '')
    .map(toSegment);
  return text => {
    if (text.length < prefix.length + suffix.length) return false;
    if (!text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    const end = text.length - suffix.length;
    let position = prefix.length;
    // Taking the leftmost place of each segment leaves the most room for those that follow.
    for (const segment of middle) {
      position = findEnd(segment, text, position, end);
      if (position < 0) return false;
    }
    return true;
  };
}

/** The literals around the wildcards: n wildcards give n + 1 texts, some of them empty. */
function splitAtWildcards(pattern: readonly PatternElement[]): string[] {
  const parts: string[] = [];
  let current = '';
  for (const element of pattern) {
    if (element === 'wildcard') {
      parts.push(current);
      current = '';
    } else {
      current += element.literal;
    }
  }
  parts.push(current);
  return parts;
}

function toSegment(text: string): Segment {
  const failure = new Uint32Array(text.length);
  let length = 0;
  for (let i = 1; i < text.length; i++) {
    while (length > 0 && text[i] !== text[length]) length = failure[length - 1] ?? 0;
    if (text[i] === text[length]) length++;
    failure[i] = length;
  }
  return { text, failure };
}

/** The position behind the first occurrence of the segment within [from, end), or -1. */
function findEnd(segment: Segment, text: string, from: number, end: number): number {
  let matched = 0;
  for (let i = from; i < end; i++) {
    while (matched > 0 && text[i] !== segment.text[matched]) matched = segment.failure[matched - 1] ?? 0;
    if (text[i] === segment.text[matched]) matched++;
    if (matched === segment.text.length) return i + 1;
  }
  return -1;
}
