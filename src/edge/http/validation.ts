/**
 * From zod issues to problems that a caller can act on: a pointer, the domain's words, and for an unknown key
 * the known one that was probably meant. Invariant: bounded, whatever the input.
 */
import { z } from 'zod';
import { AppError, type Problem } from '../../domain/errors.ts';
import { MISSING, wordsOf } from '../../domain/schema-issue.ts';
import { nearest } from '../../domain/spelling.ts';
import { shown } from './json-fault.ts';

/** Most problems in one answer: enough to correct a body in one go, too few to be an amplifier. */
export const MAX_PROBLEMS = 100;

type Path = readonly PropertyKey[];

/**
 * @param root `?` when the value is a query: pointers then name its parameters.
 * @throws AppError INVALID_REQUEST that lists every problem.
 */
export function parseWith<S extends z.ZodType>(schema: S, value: unknown, root: '' | '?' = ''): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = describeIssues(schema, value, parsed.error.issues);
  if (root === '') throw invalidRequest(problems);
  throw invalidRequest(
    problems.map(problem => ({ ...problem, pointer: (problem.pointer ?? '').replace('/', root) })),
  );
}

/** The failure for a body or query with these problems. */
export function invalidRequest(problems: readonly Problem[]): AppError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const detail = first === undefined ? 'the request is malformed' : `${sentenceOf(first)}${more}`;
  return new AppError('INVALID_REQUEST', detail, { problems });
}

function sentenceOf({ pointer = '', message, hint }: Problem): string {
  const advice = hint?.startsWith('did you mean') === true ? `, ${hint}` : '';
  if (pointer === '') return `${message.startsWith('must') ? `the body ${message}` : message}${advice}`;
  const place = `\`${shown(pointer)}\``;
  return message.startsWith('must') ? `${place} ${message}${advice}` : `${message} at ${place}${advice}`;
}

/** One problem per issue and per unknown key, at most MAX_PROBLEMS. */
export function describeIssues(
  schema: z.ZodType,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): Problem[] {
  const problems: Problem[] = [];
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(schema, issue.path);
      for (const key of issue.keys.slice(0, MAX_PROBLEMS)) problems.push(unknownKey(issue.path, key, known));
    } else problems.push(describeIssue(value, issue));
    if (problems.length >= MAX_PROBLEMS) break;
  }
  // an unknown key is the likeliest cause of the other problems, so it leads
  problems.sort((a, b) => Number(b.message.startsWith('unknown')) - Number(a.message.startsWith('unknown')));
  return problems.slice(0, MAX_PROBLEMS);
}

/** RFC 6901 pointer to a path. */
function pointerOf(path: Path): string {
  return path.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function describeIssue(value: unknown, issue: z.core.$ZodIssue): Problem {
  const pointer = pointerOf(issue.path);
  const words = wordsOf(issue, value);
  if (words.message !== MISSING) return { pointer, ...words };
  return { pointer, message: `\`${shown(nameOf(issue.path))}\` ${MISSING}` };
}

function unknownKey(path: Path, key: string, known: readonly string[]): Problem {
  const near = nearest(key, known);
  const allowed =
    known.length === 0 ? undefined : `known here: ${known.map(name => `\`${name}\``).join(', ')}`;
  const hint = near === undefined ? allowed : `did you mean \`${near}\`?`;
  return {
    pointer: pointerOf([...path, shown(key)]),
    message: `unknown key \`${shown(key)}\``,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Keys of the object schema at a path; none when the path leads into a union or an open record. */
function knownKeys(schema: z.core.$ZodType, path: Path): string[] {
  let current: z.core.$ZodType | undefined = schema;
  for (const part of path) {
    const container = unwrap(current);
    if (container instanceof z.ZodObject) current = shapeOf(container)[String(part)];
    else if (container instanceof z.ZodArray) current = container.element;
    else if (container instanceof z.ZodRecord) current = container.valueType;
    else return [];
    if (current === undefined) return [];
  }
  const object = unwrap(current);
  return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
}

function shapeOf(object: z.ZodObject): Readonly<Record<string, z.core.$ZodType>> {
  return object.shape;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema;
  for (;;) {
    if (
      current instanceof z.ZodOptional ||
      current instanceof z.ZodNullable ||
      current instanceof z.ZodDefault ||
      current instanceof z.ZodPrefault ||
      current instanceof z.ZodReadonly
    ) {
      current = current.def.innerType;
    } else return current;
  }
}

/** The last named step of a path: `amountCents` of `/tools/0/amountCents`. */
function nameOf(path: Path): string {
  return path.findLast(part => typeof part === 'string') ?? 'value';
}
