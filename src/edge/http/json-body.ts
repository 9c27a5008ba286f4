/**
 * JSON from the wire, strictly. Invariants: linear time; bounded depth; UTF-8 without faults; a text in which
 * two readers could see different values (duplicate keys, `__proto__`, half surrogates) is refused.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { AppError, type Problem } from '../../domain/errors.ts';
import type { JsonValue } from '../../domain/json.ts';
import { findJsonFault } from './json-fault.ts';
import { outlineJson } from './json-members.ts';

/** Deepest nesting of objects and arrays: requests need 5, Cedar test files 8, and recursion stays small. */
export const MAX_JSON_DEPTH = 32;

/**
 * One pass over the bytes counts the colons outside strings, which is the number of members that the text
 * writes; the parsed value must have as many. A duplicate key makes it have fewer.
 * @throws AppError INVALID_REQUEST with line and column.
 */
export function parseJson(bytes: Buffer): JsonValue {
  const text = decodeUtf8(bytes);
  const { members, isSuspicious, hasEscapedKey } = outlineJson(bytes, MAX_JSON_DEPTH);
  if (hasEscapedKey) throw explain(text);
  if (isSuspicious && findJsonFault(text, MAX_JSON_DEPTH) !== undefined) throw explain(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw explain(text);
  }
  if (countKeys(value) !== members || !isJson(value)) throw explain(text);
  return value;
}

/** @throws AppError INVALID_REQUEST when the bytes are not UTF-8. */
function decodeUtf8(bytes: Buffer): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw invalid({ message: 'the body is not UTF-8', hint: 'send JSON encoded as UTF-8' });
}

/** Object members in a parsed value; NaN, which equals nothing, when one is called `__proto__`. */
function countKeys(value: unknown): number {
  if (!isContainer(value)) return 0;
  let keys = 0;
  if (Array.isArray(value)) {
    for (const item of value) keys += countKeys(item);
    return keys;
  }
  // What JSON.parse makes inherits nothing enumerable, and `for in` allocates no list of keys.
  for (const key in value) {
    if (key === '__proto__') return Number.NaN;
    keys += 1 + countKeys(value[key]);
  }
  return keys;
}

function isContainer(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** What `JSON.parse` returns is JSON: this only tells the compiler. */
function isJson(value: unknown): value is JsonValue {
  return value !== undefined;
}

function explain(text: string): AppError {
  return invalid(findJsonFault(text, MAX_JSON_DEPTH) ?? { message: 'the text cannot be read' });
}

function invalid(problem: Problem): AppError {
  const place = problem.line === undefined ? '' : ` at line ${problem.line}, column ${problem.column}`;
  return new AppError('INVALID_REQUEST', `the body is not valid JSON${place}: ${problem.message}`, {
    problems: [problem],
  });
}
