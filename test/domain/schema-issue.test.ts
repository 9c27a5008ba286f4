/** What schemas refuse, in words: the choices of a union by name, numbers of one in the singular. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { wordsOf } from '../../src/domain/schema-issue.ts';

function wordsAbout(schema: z.ZodType, value: unknown) {
  return schema.safeParse(value).error?.issues.map(issue => wordsOf(issue, value));
}

describe('words for what a schema refuses', () => {
  const credential = z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('jwt') }),
    z.object({ kind: z.literal('api_key') }),
  ]);

  test('name the choices of a union that is told apart by a key, and what was probably meant', () => {
    expect(wordsAbout(credential, { kind: 'saml' })).toEqual([
      { message: 'must be one of `jwt`, `api_key`' },
    ]);
    expect(wordsAbout(credential, { kind: 'apikey' })).toEqual([
      { message: 'must be one of `jwt`, `api_key`', hint: 'did you mean `api_key`?' },
    ]);
  });

  test('say that the key of a union is missing', () => {
    expect(wordsAbout(credential, {})).toEqual([{ message: 'is missing' }]);
  });

  test('show an empty choice by name', () => {
    expect(wordsAbout(z.enum(['', 'true']), 'x')).toEqual([{ message: 'must be one of empty, `true`' }]);
  });

  test('count one thing in the singular', () => {
    expect(wordsAbout(z.string().min(1), '')).toEqual([{ message: 'must have at least 1 character' }]);
    expect(wordsAbout(z.array(z.string()).min(1), [])).toEqual([{ message: 'must have at least 1 element' }]);
    expect(wordsAbout(z.string().max(2), 'abc')).toEqual([{ message: 'must have at most 2 characters' }]);
  });
});
