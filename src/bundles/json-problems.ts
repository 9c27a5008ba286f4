/** Turns what a zod schema refuses in a JSON file into problems with file, line, column and hint. */
import type { z } from 'zod';
import type { Problem } from '../domain/errors.ts';
import { MISSING, wordsOf } from '../domain/schema-issue.ts';
import { nearest } from '../domain/spelling.ts';
import { type JsonSource, pointerStep } from './json-source.ts';
import { printable } from './paths.ts';

/** Where a value that a schema parses stands in a document. */
export interface JsonPlace {
  /** undefined: the body of the request. */
  readonly file: string | undefined;
  readonly source: JsonSource;
  /** RFC 6901 pointer of the value. */
  readonly pointer: string;
}

/**
 * Parses the value at `place`, or reports everything that is wrong with it.
 * @param keys all keys that the schema knows at any depth, for "did you mean"
 */
export function parseAt<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: JsonPlace,
  keys: readonly string[],
  problems: Problem[],
): z.output<S> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push(...describe(issue, value, place, keys));
  return undefined;
}

function describe(
  issue: z.core.$ZodIssue,
  value: unknown,
  place: JsonPlace,
  keys: readonly string[],
): Problem[] {
  const pointer = place.pointer + issue.path.map(step => pointerStep(String(step))).join('');
  const subject = issue.path.length === 0 ? 'the value' : `\`${printable(issue.path.join('.'))}\``;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      ...fileOf(place),
      ...place.source.locateKey(`${pointer}${pointerStep(key)}`),
      pointer: `${pointer}${pointerStep(key)}`,
      message: `unknown key \`${printable(key)}\``,
      hint: hintForKey(key, keys),
    }));
  }
  const { message, hint } = wordsOf(issue, value);
  return [
    {
      ...fileOf(place),
      ...place.source.locate(pointer),
      pointer,
      message: `${subject}${message === MISSING ? ' ' : ': '}${message.split('`').map(printable).join('`')}`,
      ...(hint === undefined ? {} : { hint }),
    },
  ];
}

/** @param keys what the schema knows at any depth, so perhaps the key itself, elsewhere */
function hintForKey(key: string, keys: readonly string[]): string {
  if (keys.includes(key)) return 'it belongs elsewhere in the file: remove it here';
  const near = nearest(key, keys);
  return near === undefined ? 'remove the key' : `did you mean \`${near}\`?`;
}

function fileOf(place: JsonPlace): { file?: string } {
  return place.file === undefined ? {} : { file: place.file };
}
