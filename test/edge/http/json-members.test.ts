/** The outline of a JSON text: long strings are skipped by searching, which must tell the same as looking at each byte. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type JsonOutline, outlineJson } from '../../../src/edge/http/json-members.ts';

const DEPTH = 4;

/** One byte after the other. */
function slowOutline(text: string): JsonOutline {
  let [members, depth, isSuspicious, hasEscapedKey, isEscaped] = [0, 0, false, false, false];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '"') {
      isEscaped = false;
      for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
        if (text[at] !== '\\') continue;
        at += 1;
        const escape = text.slice(at, at + 5);
        if (/^u[dD]/.test(escape)) isSuspicious = true;
        isEscaped ||= !escape.startsWith('u') || isAsciiEscape(escape);
      }
    } else if (character === ':') {
      members += 1;
      hasEscapedKey ||= isEscaped;
    } else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > DEPTH) return { members, isSuspicious: true, hasEscapedKey };
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return { members, isSuspicious, hasEscapedKey };
}

/** `u00` and a digit below 8, or the end of the text in its place. */
function isAsciiEscape(escape: string): boolean {
  return escape.startsWith('u00') && (escape.charCodeAt(3) || 0) < 0x38;
}

const plain = fc.stringMatching(/^[a-z:{}[\] ]{0,150}$/);
const piece = fc.oneof(
  plain,
  fc.constantFrom('\\"', '\\\\', '\\n', '\\u0041', '\\u00e9', '\\ud83d', '\\u9', '\\', '\\u00'),
);
const inside = fc.array(piece, { maxLength: 6 }).map(pieces => pieces.join(''));
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('{', '}', '[', ']', ':', ',', '"'),
      inside.map(one => `"${one}"`),
      plain,
    ),
    {
      maxLength: 12,
    },
  )
  .map(pieces => pieces.join(''));

describe('the outline of a text', () => {
  test('is the same as by looking at each byte', () => {
    fc.assert(
      fc.property(text, one => {
        expect(outlineJson(Buffer.from(one), DEPTH)).toEqual(slowOutline(one));
      }),
      { numRuns: 3_000 },
    );
  });

  test.each([
    ['a string that does not end', `{"a":"${'x'.repeat(500)}`, 1],
    ['a string that ends in a backslash', `{"a":"${'x'.repeat(500)}\\`, 1],
    ['colons in long strings alone', `["${':'.repeat(500)}"]`, 0],
    ['a quote that is escaped far inside', `{"a":"${'x'.repeat(100)}\\"${':'.repeat(100)}","b":1}`, 2],
    ['a backslash behind the end of a long string', `{"a":"${'x'.repeat(100)}","b":"\\\\"}`, 2],
  ])('counts the members of %s', (_what, one, members) => {
    expect(outlineJson(Buffer.from(one), DEPTH).members).toBe(members);
  });
});
