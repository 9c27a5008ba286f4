/** JSON bodies: one reading or none. The fast path is compared with a naive reader over generated texts. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import { MAX_JSON_DEPTH, parseJson } from '../../../src/edge/http/json-body.ts';
import { placeOf } from '../../../src/edge/http/json-fault.ts';

const REFUSED = Symbol('refused');

function read(text: string | Buffer): unknown {
  try {
    return parseJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof AppError && error.code === 'INVALID_REQUEST') return REFUSED;
    throw error;
  }
}

function refusal(text: string | Buffer): AppError {
  try {
    parseJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the text was accepted');
}

/** Reads by JSON.parse, and refuses duplicates by asking a reviver-free second reading, token by token. */
function naiveRead(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return REFUSED;
  }
  const open: (Set<string> | undefined)[] = [];
  const tokens = text.match(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]|[^\s{}[\]",:]+|,/gs) ?? [];
  for (const token of tokens) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token.startsWith('"')) {
      const literal = token.endsWith(':') ? token.slice(0, -1).trimEnd() : token.trimEnd();
      const string: unknown = JSON.parse(literal);
      if (typeof string !== 'string' || !string.isWellFormed()) return REFUSED;
      if (!token.endsWith(':')) continue;
      if (/\\(?:[^u]|u00[0-7])/.test(literal)) return REFUSED;
      const keys = open.at(-1);
      if (string === '__proto__' || keys?.has(string) === true) return REFUSED;
      keys?.add(string);
    }
    if (open.length > MAX_JSON_DEPTH) return REFUSED;
  }
  return value;
}

describe('refusals name the place and the fix', () => {
  const cases: [name: string, text: string, says: RegExp][] = [
    ['nothing', '', /the body is empty/],
    ['only space', ' \n', /line 2, column 1: the body is empty/],
    ['a truncated object', '{"a": 1', /column 8: expected `,` or `}`, found the end of the text/],
    ['a truncated string', '{"a": "b', /column 7: the string that begins here does not end/],
    ['a missing value', '{\n  "a": }', /line 2, column 8: unexpected `}`/],
    ['a key without quotes', '{a: 1}', /column 2: expected a key in double quotes, found `a`/],
    ['a trailing comma', '[1,]', /column 4: unexpected `]`/],
    ['two values', '{} {}', /column 4: unexpected `{` after the end of the value/],
    ['a comment', '// hi\n{}', /column 1: unexpected `\/\/`/],
    ['a bad number', '[01]', /column 2: unexpected `01`/],
    ['NaN', '[NaN]', /unexpected `NaN`/],
    ['a control character', '["a\u0001"]', /column 4: a control character stands in a string/],
    ['an unknown escape', '["\\x41"]', /column 3: there is no such escape/],
    ['a duplicate key', '{"a":1,"b":2,"a":3}', /column 14: the key `a` occurs twice in one object/],
    ['a duplicate key deep inside', '[{"x":{"k":0,"k":0}}]', /column 14: the key `k` occurs twice/],
    ['a duplicate key written with an escape', '{"a":1,"\\u0061":2}', /column 8: the key `a` occurs twice/],
    ['a `__proto__` key', '{"x":{"__proto__":{"admin":true}}}', /the key `__proto__` is not allowed/],
    ['an escaped `__proto__` key', '{"\\u005f_proto__":1}', /the key `__proto__` is not allowed/],
    ['half of a surrogate pair', '["\\ud800"]', /half of a surrogate pair/],
    ['a byte order mark', '\ufeff{}', /byte order mark/],
    ['deep arrays', '['.repeat(33) + ']'.repeat(33), /deeper than 32/],
    ['deep objects', '{"a":'.repeat(40) + '1' + '}'.repeat(40), /deeper than 32/],
  ];
  test.each(cases)('%s', (_name, text, says) => {
    const error = refusal(text);
    expect(error.status).toBe(400);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain('\n');
    expect(error.problems).toHaveLength(1);
  });

  test('bytes that are not UTF-8', () => {
    expect(refusal(Buffer.from([0x22, 0xc3, 0x28, 0x22])).message).toContain('not UTF-8');
    expect(refusal(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])).message).toContain('not UTF-8');
  });

  test('input is repeated shortened', () => {
    const key = JSON.stringify('k'.repeat(100));
    const { message } = refusal(`{${key}:1,${key}:2}`);
    expect(message).toMatch(/`k{40}…`/);
  });
});

describe('acceptance', () => {
  test.each([
    ['the deepest nesting', '['.repeat(32) + ']'.repeat(32)],
    ['keys named like members of Object', '{"constructor":1,"toString":2,"prototype":3}'],
    ['the same key in different objects', '[{"a":1},{"a":{"a":2}}]'],
    ['colons and braces in strings', '{"a":":{[:","b":"\\"}:"}'],
    ['whole surrogate pairs, escaped and not', '["\\ud83d\\ude00","😀"]'],
    ['a scalar', ' true '],
  ])('%s', (_name, text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });
});

describe('a hundred thousand brackets', () => {
  test.each([['['], ['{"a":'], ['[{"":']])('of %s are refused without exhausting the stack', unit => {
    expect(refusal(unit.repeat(100_000)).message).toMatch(/deeper than 32/);
  });
});

describe('properties', () => {
  const key = fc.constantFrom('a', 'b', '', '__proto__', 'constructor', 'é', '":{', '\ud83d\ude00');
  const json = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'medium' },
      fc.constantFrom('1', '-0.5e3', 'true', 'null'),
      tie('string'),
      tie('list'),
      tie('object'),
    ),
    string: fc.oneof(fc.string({ unit: 'binary' }), key).map(text => JSON.stringify(text)),
    list: fc.array(tie('value'), { maxLength: 4 }).map(items => `[${items.join(' , ')}]`),
    object: fc
      .array(fc.tuple(key, tie('value')), { maxLength: 4 })
      .map(
        members =>
          `{${members.map(([name, value]) => `${JSON.stringify(name)} : ${String(value)}`).join(',')}}`,
      ),
  })).value;

  test('generated texts, duplicates among them, are read as by a naive reader', () => {
    fc.assert(
      fc.property(json, text => {
        expect(read(String(text))).toEqual(naiveRead(String(text)));
      }),
      { numRuns: 2000 },
    );
  });

  test('damaged texts are refused or read as by a naive reader, and every refusal has a place', () => {
    const damage = fc.tuple(
      fc.nat(),
      fc.constantFrom('', '"', '\\', '{', '}', ':', ',', '\u0000', '9', '\ud800'),
    );
    fc.assert(
      fc.property(json, damage, (source, [where, replacement]) => {
        const text = String(source);
        const at = where % (text.length + 1);
        const damaged = (text.slice(0, at) + replacement + text.slice(at + 1)).toWellFormed();
        const expected = naiveRead(damaged);
        expect(read(damaged)).toEqual(expected);
        const problems = expected === REFUSED ? refusal(damaged).problems : [{ line: 1 }];
        expect(problems[0]).toHaveProperty('line');
      }),
      { numRuns: 2000 },
    );
  });

  test('lines and columns count from one', () => {
    expect(placeOf('ab\ncd\n', 0)).toEqual({ line: 1, column: 1 });
    expect(placeOf('ab\ncd\n', 4)).toEqual({ line: 2, column: 2 });
    expect(placeOf('ab\ncd\n', 6)).toEqual({ line: 3, column: 1 });
  });
});
