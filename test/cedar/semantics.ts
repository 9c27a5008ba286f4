/**
 * Tables of expressions, run through our evaluator and through cedar-wasm. A row states what Cedar means;
 * both must agree with it, so the tables cannot drift from Cedar.
 */
import { describe, expect, it } from 'vitest';
import { cedarOutcomes, type Outcome, ourOutcome } from './small-world.ts';

/** One test per row: our outcome is the stated one, and Cedar's is the same. */
export function describeSemantics(operator: string, rows: readonly (readonly [string, Outcome])[]): void {
  describe(`semantics of ${operator}`, () => {
    it.each(rows)('%s is %s', (expression, expected) => {
      expect(ourOutcome(expression)).toBe(expected);
    });

    it('agrees with Cedar on every row', () => {
      const cedars = cedarOutcomes(rows.map(([expression]) => expression));
      expect(rows.map(([expression], i) => [expression, cedars[i]])).toEqual(
        rows.map(([expression, expected]) => [expression, typeof expected === 'string' ? 'error' : expected]),
      );
    });
  });
}
