/** What a schema refuses, in words for whoever wrote the value: the same for requests, bundles and settings. */
import type { z } from 'zod';
import type { Problem } from './errors.ts';
import { nearest } from './spelling.ts';

/** The whole message about a value that is not there; the reader puts its name before it. */
export const MISSING = 'is missing';

const OUT_OF_RANGE = 'must be a safe integer (between -(2^53 - 1) and 2^53 - 1)';
const A_TIME = 'must be a time of RFC 3339, such as `2026-03-01T09:00:00Z`';

/**
 * Says what is wrong with a value, without its place. Unknown keys have no words here: what to say of them depends
 * on what else is known at their place.
 * @param root what the schema was given
 */
export function wordsOf(issue: z.core.$ZodIssue, root: unknown): Pick<Problem, 'message' | 'hint'> {
  const given = valueAt(root, issue.path);
  if (issue.code === 'invalid_type') {
    if (given === undefined) return { message: MISSING };
    if (given === Infinity || given === -Infinity) return { message: OUT_OF_RANGE };
    return { message: `must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${kindOf(given)}` };
  }
  if (issue.code === 'invalid_value') return oneOf(issue.values.map(String), given);
  if (issue.code === 'invalid_union' && 'options' in issue && issue.options !== undefined) {
    return given === undefined ? { message: MISSING } : oneOf(issue.options.map(String), given);
  }
  if (issue.code === 'too_big' || issue.code === 'too_small') return { message: describeSize(issue) };
  if (issue.code === 'invalid_format' && issue.format === 'datetime') return { message: A_TIME };
  return { message: issue.message.charAt(0).toLowerCase() + issue.message.slice(1) };
}

/** @param given a text that is none of the choices, or anything else */
function oneOf(choices: readonly string[], given: unknown): Pick<Problem, 'message' | 'hint'> {
  const near = typeof given === 'string' ? nearest(given, choices) : undefined;
  const names = choices.map(choice => (choice === '' ? 'empty' : `\`${choice}\``));
  const message = `must be one of ${names.join(', ')}`;
  return { message, ...(near === undefined ? {} : { hint: `did you mean \`${near}\`?` }) };
}

function describeSize(issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string {
  const [bound, limit] = issue.code === 'too_big' ? ['at most', issue.maximum] : ['at least', issue.minimum];
  if (issue.origin === 'string') return `must have ${bound} ${counted(limit, 'character')}`;
  if (issue.origin === 'array' || issue.origin === 'set')
    return `must have ${bound} ${counted(limit, 'element')}`;
  if (limit === Number.MAX_SAFE_INTEGER || limit === Number.MIN_SAFE_INTEGER) {
    return OUT_OF_RANGE;
  }
  return `must be ${bound} ${limit}`;
}

function counted(count: number | bigint, noun: string): string {
  return `${count} ${noun}${Number(count) === 1 ? '' : 's'}`;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function kindOf(value: unknown): string {
  if (value === null) return '`null`';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a fraction';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = Object.entries(current).find(([key]) => key === String(part))?.[1];
  }
  return current;
}
