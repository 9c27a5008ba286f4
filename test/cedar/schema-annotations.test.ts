/** `@personal` in a schema: which keys it marks, and where it would mark nothing. */
import { describe, expect, test } from 'vitest';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { schemaForTest } from '../pdp/shipped-schema.ts';

const wasm = new CedarWasm();

/** A schema whose one action has this context. */
function withContext(context: string, more = ''): string {
  return `namespace AI {
    entity User = { mail: String };
    ${more}
    action see appliesTo { principal: [User], resource: [User], context: ${context} };
  }`;
}

function personalKeys(text: string): readonly string[] {
  const parsed = parseSchema(text, wasm);
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join('; '));
  return [...parsed.schema.personalKeys].sort();
}

function problemsOf(text: string): readonly string[] {
  const parsed = parseSchema(text, wasm);
  return parsed.ok ? [] : parsed.problems.map(({ message }) => message);
}

test('the shipped schema marks the address and the emergency access', () => {
  expect([...schemaForTest().personalKeys].sort()).toEqual(['breakGlass', 'ip']);
});

describe('a key is personal', () => {
  test.each([
    ['when its attribute is marked', withContext('{ @personal ip?: ipaddr, region: String }'), ['ip']],
    ['whatever is written into the mark', withContext('{ @personal("art. 9") ip: ipaddr }'), ['ip']],
    ['when a common type marks it', withContext('C', 'type C = { @personal ip: ipaddr, n: Long };'), ['ip']],
    [
      'when any action marks it',
      withContext(
        '{ a: Long }',
        'action other appliesTo { principal: [User], resource: [User], context: { @personal a: Long } };',
      ),
      ['a'],
    ],
    ['only when it is marked', withContext('{ @doc("personal") a: Long }'), []],
    [
      'not because an attribute of an entity is marked: the log holds none',
      withContext('{ a: Long }', 'entity Pet = { @personal name: String };'),
      [],
    ],
  ])('%s', (_when, text, keys) => expect(personalKeys(text)).toEqual(keys));
});

describe('a mark without effect is a problem', () => {
  test.each([
    ['inside a key', withContext('{ who: { @personal mail: String } }'), 'mark `who` instead of `mail`'],
    [
      'inside a common type',
      withContext('{ who: C }', 'type C = { deep: Set<{ @personal mail: String }> };'),
      'mark `who` instead of `mail`',
    ],
    ['on a key that the log needs', withContext('{ @personal now: datetime }'), 'cannot mark `now`'],
  ])('%s', (_where, text, message) => {
    expect(problemsOf(text).join()).toContain(message);
    expect(problemsOf(text).join()).toContain('action `AI::Action::"see"`');
  });
});
