/** The wildcard matcher against the definition of matching. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, type PatternElement } from '../../src/cedar/like.ts';

/** The definition: a wildcard stands for any run of characters, also none. */
function matches(pattern: readonly PatternElement[], characters: readonly string[]): boolean {
  const [element, ...rest] = pattern;
  if (element === undefined) return characters.length === 0;
  if (element === 'wildcard') {
    return matches(rest, characters) || (characters.length > 0 && matches(pattern, characters.slice(1)));
  }
  return characters[0] === element.literal && matches(rest, characters.slice(1));
}

const character = fc.constantFrom('a', 'b', '*', '😀', '😁');

describe('compilePattern()', () => {
  it('matches as the definition does', () => {
    const element = fc.oneof(
      fc.constant('wildcard' as const),
      character.map(literal => ({ literal })),
    );
    fc.assert(
      fc.property(
        fc.array(element, { maxLength: 7 }),
        fc.array(character, { maxLength: 9 }),
        (pattern, text) => {
          expect(compilePattern(pattern)(text.join(''))).toBe(matches(pattern, text));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('needs no more than a pass over text and pattern', () => {
    // A matcher that starts over at each position would compare 10^10 characters here.
    const needle = Array.from({ length: 100_001 }, (_, i) => ({ literal: i < 100_000 ? 'a' : 'b' }));
    const found = compilePattern(['wildcard', ...needle, 'wildcard']);
    expect(found('a'.repeat(200_000))).toBe(false);
    expect(found(`${'a'.repeat(200_000)}b`)).toBe(true);
  });
});
