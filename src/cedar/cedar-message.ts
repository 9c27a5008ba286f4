/**
 * Messages of cedar-wasm as problems that an author can act on. Invariant: one line, with the place in the
 * file's own lines and columns and never in offsets.
 */
import type { Problem } from '../domain/errors.ts';
import { LineMap, toUtf16Offset } from './policy-text.ts';
import type { CedarMessage } from './wasm.ts';

/** Where a text stands: the file, and the text's offset in it. */
export interface TextPlace {
  readonly file: string;
  readonly lines: LineMap;
  /** UTF-16 offset of `text` in the file. */
  readonly offset: number;
  readonly text: string;
}

/** The problem that a message about a whole file stands for. */
export function toProblem(message: CedarMessage, text: string, file: string): Problem {
  return placeMessage(message, { file, lines: new LineMap(text), offset: 0, text });
}

/** The problem that a message about one policy of a file stands for; without an offset, at its beginning. */
export function placeMessage(message: CedarMessage, place: TextPlace): Problem {
  const offset = message.start === undefined ? 0 : toUtf16Offset(place.text, message.start);
  const { line, column } = place.lines.locate(place.offset + offset);
  const hint = message.help ?? message.label;
  const problem = { file: place.file, line, column, message: toOneLine(message.message) };
  return hint === undefined ? problem : { ...problem, hint: toOneLine(hint) };
}

/** Phrases with which cedar-wasm says what the place says already. */
const NOISE = [
  /^failed to parse (?:policy|template|policies|schema)(?: set)? from string: /,
  /^error parsing schema: /,
  /^for policy `[^`]*`[,:] /,
];

function toOneLine(text: string): string {
  let line = text.replaceAll(/\s+/g, ' ').trim();
  for (const phrase of NOISE) line = line.replace(phrase, '');
  return line.slice(0, MAX_MESSAGE);
}

/** Longest message in characters: Cedar quotes source text, which may be long. */
const MAX_MESSAGE = 500;
