/**
 * A text as lines, of which a very long one comes in pieces. Invariants: memory does not grow with the longest line, nothing
 * of a line is left out, and what is shorter than the overlap stands whole in one of its pieces.
 */

/** Longest piece in characters; an answer with `explain: full` stays far below. */
export const MAX_PIECE = 1_048_576;
/** By how much one piece repeats the end of the one before, in characters: a name with its value fits. */
const OVERLAP = 4_096;
/** What no id ends or begins within. */
const BOUNDARY = /[^\w.:-]/;

export interface TextPiece {
  readonly text: string;
  /** Number of the line, from 1. */
  readonly line: number;
  /** Whether it is the whole line. */
  readonly whole: boolean;
}

/** Splits at LF, CRLF and CR. Empty lines are counted, and not told. */
export async function* readPieces(source: AsyncIterable<string>): AsyncGenerator<TextPiece> {
  let line = 1;
  let held = '';
  let whole = true;
  let afterReturn = false;
  for await (const chunk of source) {
    let start = afterReturn && chunk.startsWith('\n') ? 1 : 0;
    if (chunk !== '') afterReturn = chunk.endsWith('\r');
    for (const { 0: end, index } of chunk.matchAll(/\r\n|\n|\r/g)) {
      if (index < start) continue;
      const text = held + chunk.slice(start, index);
      if (text !== '') yield { text, line, whole };
      line += 1;
      held = '';
      whole = true;
      start = index + end.length;
    }
    held += chunk.slice(start);
    while (held.length > MAX_PIECE) {
      whole = false;
      const [text, rest] = cut(held);
      yield { text, line, whole };
      held = rest;
    }
  }
  if (held !== '') yield { text: held, line, whole };
}

/** The first piece of a long text, and the rest, which begins with the end of the piece. */
function cut(text: string): readonly [string, string] {
  const end = boundaryBefore(text, MAX_PIECE);
  return [text.slice(0, end), text.slice(boundaryBefore(text, end - OVERLAP))];
}

function boundaryBefore(text: string, place: number): number {
  for (let at = place; at > place - OVERLAP; at--) if (BOUNDARY.test(text.charAt(at))) return at;
  return place;
}
