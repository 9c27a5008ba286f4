/** Splitting, capping and locating Cedar text, held against cedar-wasm's own reading of it. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findTextProblem,
  LineMap,
  MAX_BRACKET_DEPTH,
  MAX_CONDITIONALS,
  MAX_OPERATOR_RUN,
  MAX_POLICY_TEXT,
  splitPolicies,
  toUtf16Offset,
} from '../../src/cedar/policy-text.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';

const P = 'permit(principal, action, resource)';

describe('a file is split', () => {
  it.each([
    ['into nothing when empty', '', []],
    ['into nothing when there are only comments', '// permit;\n  // "', []],
    ['at semicolons', `${P};\n${P};`, [0, 37]],
    ['not at semicolons in strings', `${P} when { ";" == "\\";" };`, [0]],
    ['not at semicolons in comments', `${P} // a; b\n;`, [0]],
    ['behind leading comments and white space', `// one; \r\n\t${P};`, [11]],
    ['behind a byte order mark', `\ufeff${P};`, [1]],
    ['with CR alone ending a comment', `// one\r${P};`, [7]],
    ['with U+2028 not ending a comment', `// one\u2028${P};\n${P};`, [44]],
    ['with the unfinished rest as a policy', `${P}; permit(`, [0, 37]],
    ['with an unterminated string to the end', `${P} when { "a; };\n${P};`, [0]],
    ['before a stray semicolon', `;${P};`, [0, 1]],
  ])('%s', (_, file, offsets) => {
    const sources = splitPolicies(file);
    expect(sources.map(({ offset }) => offset)).toEqual(offsets);
    for (const { text, offset } of sources) expect(file.slice(offset, offset + text.length)).toBe(text);
  });

  it('into the policies that cedar-wasm finds, whatever stands between them', () => {
    const wasm = new CedarWasm();
    const trivia = fc.constantFrom(
      '',
      ' ',
      '\n',
      '\r\n',
      '// c; "x\n',
      '//\r',
      '\t// é😀 }{;\n',
      '\u3000',
      '\u00a0',
    );
    const body = fc.constantFrom(
      '',
      ' when { "a;\\"b" == "//" }',
      '\nwhen { true } // ;\nunless { false }',
      ' when { [1, 2].contains(3) }',
    );
    const policy = fc
      .tuple(trivia, body, trivia)
      .map(([before, text, after]) => `${before}${P}${text}${after};`);
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 5 }), trivia, (policies, end) => {
        const file = policies.join('') + end;
        const parts = wasm.splitText(file);
        expect(parts.ok && parts.value.policies.length).toBe(policies.length);
        expect(splitPolicies(file)).toHaveLength(policies.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('hostile text is refused before it is parsed', () => {
  const when = (body: string): string => `${P} when { ${body} };`;
  it.each([
    ['longer than the cap', when(`"${'a'.repeat(MAX_POLICY_TEXT)}" == ""`), 'characters'],
    ['a lone surrogate', when('"\ud800" == ""'), 'surrogate'],
    ['nested parentheses', when(`${'('.repeat(2_000)}true${')'.repeat(2_000)}`), 'nested deeper'],
    [
      'nested sets',
      when(`${'['.repeat(MAX_BRACKET_DEPTH)}1${']'.repeat(MAX_BRACKET_DEPTH)} == 1`),
      'nested deeper',
    ],
    ['nested records', when(`${'{a:'.repeat(100)}1${'}'.repeat(100)} == 1`), 'nested deeper'],
    ['brackets that never close', `permit${'('.repeat(100)}`, 'nested deeper'],
    ['nested conditionals', when(`${'if true then true else '.repeat(MAX_CONDITIONALS + 1)}true`), '`if`'],
    ['a chain of 2,000 terms', when(`${'true || '.repeat(1_999)}true`), 'operator characters'],
    ['a chain of attributes', when(`context${'.a'.repeat(MAX_OPERATOR_RUN + 1)}`), 'operator characters'],
  ])('%s', (_, text, message) => {
    expect(findTextProblem(text)?.message).toContain(message);
  });

  it('while the deepest text that passes does not make the parser trap', () => {
    const wasm = new CedarWasm();
    const depth = MAX_BRACKET_DEPTH - 1;
    for (const text of [
      when(`${'('.repeat(depth)}true${')'.repeat(depth)}`),
      when(`${'['.repeat(depth)}1${']'.repeat(depth)} == 1`),
      when(`${'{a:'.repeat(depth)}1${'}'.repeat(depth)} == 1`),
      when(`${'context.contains('.repeat(depth)}1${')'.repeat(depth)} == 1`),
      when(`${'if true then true else '.repeat(MAX_CONDITIONALS)}true`),
    ]) {
      expect(findTextProblem(text)).toBeUndefined();
      expect(wasm.parsePolicy(text).ok).toBe(true);
    }
    expect(wasm.traps).toBe(0);
  });

  it('and brackets in strings and comments do not count', () => {
    expect(findTextProblem(when(`"${'('.repeat(100)}" == "" // ${'['.repeat(100)}\n`))).toBeUndefined();
  });
});

describe('places', () => {
  it.each([
    ['LF', 'a\nbc\n', 3, 2, 2],
    ['CR LF', 'a\r\nbc', 4, 2, 2],
    ['CR', 'a\rbc', 2, 2, 1],
    ['the end', 'a\n', 2, 2, 1],
    ['surrogate pairs as two columns', '😀x', 2, 1, 3],
  ])('count lines that end with %s', (_, text, offset, line, column) => {
    expect(new LineMap(text).locate(offset)).toEqual({ line, column });
  });

  it('turn byte offsets into UTF-16 offsets', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 20 }),
        fc.string({ maxLength: 5 }),
        (before, after) => {
          expect(toUtf16Offset(before + after, Buffer.byteLength(before))).toBe(before.length);
        },
      ),
    );
  });
});
