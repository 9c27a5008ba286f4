/** Strict JSON with places: agrees with JSON.parse on what it accepts, and says where it stops. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSource, MAX_JSON_DEPTH, MAX_JSON_VALUES, parseJsonSource } from '../../src/bundles/json-source.ts';

function problemOf(text: string): unknown {
  const result = parseJsonSource(text, 'f.json');
  if (isSource(result)) throw new Error(`accepted ${text}`);
  return result;
}

describe('parseJsonSource', () => {
  test('gives what JSON.parse gives, however the document is laid out', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
        fc.pre(!text.includes('__proto__') && !/\\ud[89a-f]/i.test(text));
        const laidOut = JSON.stringify(JSON.parse(text), null, space);
        const result = parseJsonSource(laidOut, 'f.json');
        fc.pre(isSource(result) || !/beyond|nested/.test(result.message));
        expect(result).toHaveProperty('value', JSON.parse(laidOut));
      }),
      { numRuns: 500 },
    );
  });

  test('accepts nothing that JSON.parse refuses', () => {
    const words = ['true', 'null', '"a"', '01', '\u0001', '\u00a0', ...'{}[]",:0123.eE+-tfn\\u \n'.split('')];
    const alphabet = fc.constantFrom(...words);
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 12 }), parts => {
        const text = parts.join('');
        const result = parseJsonSource(text, 'f.json');
        const expected: unknown = isSource(result) ? JSON.parse(text) : undefined;
        expect(isSource(result) ? result.value : undefined).toEqual(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  const refused: readonly (readonly [string, string, number, number, string])[] = [
    ['nothing', '', 1, 1, 'expected a value, found the end'],
    ['comment', '// x', 1, 1, 'expected a value, found `/`'],
    ['trailing comma in an object', '{"a": 1,\n }', 1, 8, 'trailing comma'],
    ['trailing comma in an array', '[\n1,\n]', 2, 2, 'trailing comma'],
    [
      'missing comma',
      '{"a": 1\n"b": 2}',
      2,
      1,
      'expected `,` or `}`, found `\\u{60}`'.replace('\\u{60}', '"'),
    ],
    ['missing colon', '{"a" 1}', 1, 6, 'expected `:` after the key, found `1`'],
    ['single quotes', "{'a': 1}", 1, 2, "expected a key in double quotes, found `'`"],
    ['duplicate key', '{\n  "a": 1,\n  "a": 2\n}', 3, 3, 'duplicate key `a`'],
    ['duplicate key behind an escape', '{"a": 1, "\\u0061": 2}', 1, 10, 'duplicate key `a`'],
    ['prototype key', '{"__proto__": 1}', 1, 2, 'the key `__proto__` is not allowed'],
    ['open string', '["abc', 1, 2, 'the string has no end'],
    ['line break in a string', '"a\nb"', 1, 3, 'a control character in a string'],
    ['unknown escape', '"\\x"', 1, 2, 'an escape that JSON does not know'],
    ['leading zero', '[01]', 1, 3, 'expected `,` or `]`, found `1`'],
    ['not a number', '[NaN]', 1, 2, 'expected a value, found `N`'],
    ['integer beyond 2^53', '[9007199254740993]', 1, 2, 'the integer is beyond ±(2^53 - 1)'],
    ['overflow', '[1e999]', 1, 2, 'the number is too large'],
    ['second document', '{} {}', 1, 4, 'unexpected `{` after the document'],
    ['too deep', '['.repeat(MAX_JSON_DEPTH + 1), 1, MAX_JSON_DEPTH + 1, 'nested deeper than 64 levels'],
    [
      'too many values',
      `[${'0,'.repeat(MAX_JSON_VALUES)}0]`,
      1,
      2 * MAX_JSON_VALUES,
      'more than 500000 values',
    ],
    ['half a surrogate pair', '["\\udc00"]', 1, 2, 'half a surrogate pair in a string'],
  ];
  test.each(refused)('refuses: %s', (_, text, line, column, message) => {
    expect(problemOf(text)).toMatchObject({ file: 'f.json', line, column, message });
  });

  test('says where values and keys stand, counting UTF-16 units', () => {
    const source = parseJsonSource('{\n  "a/b": [1, "😀", {"c": null}]\n}', 'f.json');
    if (!isSource(source)) throw new Error(source.message);
    expect(source.locate('')).toEqual({ line: 1, column: 1 });
    expect(source.locateKey('/a~1b')).toEqual({ line: 2, column: 3 });
    expect(source.locate('/a~1b/1')).toEqual({ line: 2, column: 14 });
    expect(source.locate('/a~1b/2/c')).toEqual({ line: 2, column: 26 });
    expect(source.locate('/a~1b/2/missing')).toEqual({ line: 2, column: 20 });
  });
});
