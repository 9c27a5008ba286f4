/** Errors become problem details in one place, and leak nothing on the way. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError } from '../../../src/domain/errors.ts';
import { errorCodes, problemCode, problemOf, problemSlug } from '../../../src/edge/http/problem.ts';
import { describeIssues, MAX_PROBLEMS, parseWith } from '../../../src/edge/http/validation.ts';

const SECRET = 'canary-in-a-cause';

test.each([
  ['an error that nobody foresaw', new Error(SECRET)],
  ['a thrown string', SECRET],
  [
    'a failure with a cause',
    new AppError('STORE_UNAVAILABLE', 'the store is away', { cause: new Error(SECRET) }),
  ],
])('%s does not show what is inside', (_name, error) => {
  const { status, body } = problemOf(error, 'r-1');
  expect(status).toBeGreaterThanOrEqual(500);
  expect(JSON.stringify(body)).not.toContain(SECRET);
  expect(JSON.stringify(body)).not.toContain('.ts');
  expect(body.requestId).toBe('r-1');
});

test('401 carries the challenge, 503 and 429 the time to wait', () => {
  expect(problemOf(new AppError('CREDENTIAL_REQUIRED', 'x'), '').headers).toHaveProperty('www-authenticate');
  expect(problemOf(new AppError('LOG_BACKPRESSURE', 'x'), '').headers['retry-after']).toBe('1');
  const flood = new AppError('TOO_MANY_FAILED_AUTHENTICATIONS', 'x', { retryAfterSeconds: 42 });
  expect(problemOf(flood, '').headers['retry-after']).toBe('42');
});

test('slugs and codes name codes, and nothing else does', () => {
  for (const code of errorCodes()) expect(problemCode(problemSlug(code))).toBe(code);
  // and the code itself is found as well
  expect(problemCode('INVALID_REQUEST')).toBe('INVALID_REQUEST');
  for (const name of ['constructor', 'Invalid-Request', 'invalid_request']) {
    expect(problemCode(name)).toBeUndefined();
  }
});

describe('zod issues', () => {
  const schema = z.strictObject({
    name: z.string().min(2).max(4),
    kind: z.enum(['small', 'large']),
    items: z
      .array(z.strictObject({ amountCents: z.int() }))
      .max(2)
      .optional(),
    'a/b~c': z.int().default(1),
    nested: z.strictObject({ flag: z.boolean() }).optional(),
  });
  const good = { name: 'abc', kind: 'small' };
  const cases: [name: string, value: unknown, pointer: string, message: RegExp, hint?: string][] = [
    ['a missing member', { kind: 'small' }, '/name', /^`name` is missing$/],
    ['a wrong type', { ...good, name: 7 }, '/name', /^must be a string, not a number$/],
    ['null', { ...good, name: null }, '/name', /not `null`/],
    ['too short', { ...good, name: 'a' }, '/name', /at least 2 characters/],
    ['too long', { ...good, name: 'abcde' }, '/name', /at most 4 characters/],
    ['a near choice', { ...good, kind: 'smal' }, '/kind', /one of `small`, `large`/, 'did you mean `small`?'],
    ['a fraction', { ...good, items: [{ amountCents: 1.5 }] }, '/items/0/amountCents', /whole number/],
    [
      'a number beyond all',
      { ...good, items: [{ amountCents: Infinity }] },
      '/items/0/amountCents',
      /safe integer/,
    ],
    [
      'an unsafe integer',
      { ...good, items: [{ amountCents: 2 ** 60 }] },
      '/items/0/amountCents',
      /safe integer/,
    ],
    [
      'too many',
      { ...good, items: [1, 2, 3].map(amountCents => ({ amountCents })) },
      '/items',
      /at most 2 elements/,
    ],
    [
      'a nested typo',
      { ...good, items: [{ amountCent: 1 }] },
      '/items/0/amountCent',
      /unknown key/,
      'did you mean `amountCents`?',
    ],
    [
      'a typo in an optional object',
      { ...good, nested: { flg: true } },
      '/nested/flg',
      /unknown key/,
      'did you mean `flag`?',
    ],
    ['an odd name', { ...good, 'a/b~c': 'x' }, '/a~1b~0c', /must be/],
    ['a list', [], '', /must be an object, not a list/],
  ];
  test.each(cases)('of %s have pointer, words and hint', (_name, value, pointer, message, hint) => {
    const parsed = schema.safeParse(value);
    const problems = describeIssues(schema, value, parsed.error?.issues ?? []);
    const found = problems.find(problem => problem.pointer === pointer);
    expect(found?.message).toMatch(message);
    expect(found?.hint).toBe(hint);
  });

  test('of an unknown key list what is known when nothing is near', () => {
    expect(() => parseWith(schema, { ...good, zzzzzzz: 1 })).toThrow('unknown key `zzzzzzz` at `/zzzzzzz`');
    const problems = describeIssues(
      schema,
      good,
      schema.safeParse({ ...good, zzzzzzz: 1 }).error?.issues ?? [],
    );
    expect(problems[0]?.hint).toContain('known here: `name`');
  });

  test('are bounded, and unknown keys lead', () => {
    const value = {
      ...Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 1])),
      name: 7,
    };
    const problems = describeIssues(schema, value, schema.safeParse(value).error?.issues ?? []);
    expect(problems).toHaveLength(MAX_PROBLEMS);
    expect(problems[0]?.message).toMatch(/^unknown key/);
  });

  test('of a query point at the parameter', () => {
    expect(() => parseWith(z.strictObject({ limit: z.string() }), { limt: '1' }, '?')).toThrow(
      'unknown key `limt` at `?limt`, did you mean `limit`?',
    );
  });
});
