/** Explanations: clauses in the order of evaluation, and what they saw. */
import { describe, expect, it } from 'vitest';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { MAX_EXPLAINED_TEXT } from '../../src/cedar/explain.ts';
import type { Clause } from '../../src/domain/decision.ts';
import { parsePolicy, record, worldRequest } from './small-world.ts';

function explain(conditions: string, observe = false, context = record({})): readonly Clause[] {
  const policy = parsePolicy(`permit(principal, action, resource) ${conditions};`);
  return compilePolicy({ id: 'p', policy, actions: new Map() }).explain(worldRequest(context), observe);
}

/** `when` clauses as `text → result`. */
function results(conditions: string): string[] {
  return explain(conditions).map(clause => `${clause.kind} ${clause.text} → ${clause.result}`);
}

describe('explain()', () => {
  it.each([
    ['', []],
    ['when { true }', ['when true → true']],
    [
      'when { principal.age > 18 && principal.admin && principal has age }',
      ['when principal.age > 18 → true', 'when principal.admin → true', 'when principal has age → true'],
    ],
    // The first clause that is false or errs decides; the rest is not evaluated.
    [
      'when { true && false && true } when { true }',
      ['when true → true', 'when false → false', 'when true → not evaluated', 'when true → not evaluated'],
    ],
    [
      'when { resource.owner && true } unless { false }',
      ['when resource.owner → error', 'when true → not evaluated', 'unless false → not evaluated'],
    ],
    ['when { 1 && true }', ['when 1 → error', 'when true → not evaluated']],
    ['when { true && 1 }', ['when true → true', 'when 1 → error']],
    // An `unless` fails as a whole only, so it is one clause.
    [
      'unless { false && resource.owner } when { true }',
      ['unless false && resource.owner → false', 'when true → true'],
    ],
    ['unless { true } when { true }', ['unless true → true', 'when true → not evaluated']],
    ['unless { true && true } when { true }', ['unless true && true → true', 'when true → not evaluated']],
    ['unless { false } unless { true }', ['unless false → false', 'unless true → true']],
    // Only the outermost `&&` of a `when` is split.
    ['when { (true && false) || true }', ['when true && false || true → true']],
    ['when { true && (true && false) }', ['when true → true', 'when true → true', 'when false → false']],
  ])('of %s', (conditions, expected) => {
    expect(results(conditions)).toEqual(expected);
  });

  it('observes the longest attribute paths, tags and tests for presence in Cedar syntax', () => {
    const conditions =
      'when { principal.address.city == "Bern" && principal has friend && principal.getTag("level") == "x" }';
    expect(explain(conditions, true).map(clause => clause.observed)).toEqual([
      { 'principal.address.city': '"Bern"' },
      { 'principal.friend': 'User::"bob"' },
      { 'principal.getTag("level")': '"gold"' },
    ]);
  });

  it('observes nothing when it is not asked to, nor in clauses that were not evaluated', () => {
    const conditions = 'when { principal.age < 18 && principal.admin }';
    expect(explain(conditions).map(clause => clause.observed)).toEqual([undefined, undefined]);
    expect(explain(conditions, true).map(clause => clause.observed)).toEqual([
      { 'principal.age': '30' },
      undefined,
    ]);
  });

  it('leaves out paths that lead nowhere', () => {
    expect(explain('when { context has ip || resource.owner == principal }', true)).toEqual([
      { kind: 'when', text: 'context has ip || resource.owner == principal', result: 'error', observed: {} },
    ]);
  });

  it('keeps paths named like parts of every object', () => {
    const [clause] = explain('when { context.__proto__ == 1 }', true, record({ ['__proto__']: 1 }));
    expect(Object.entries(clause?.observed ?? {})).toEqual([['context.__proto__', '1']]);
  });

  it('cuts long texts and values', () => {
    const long = 'x'.repeat(10_000);
    const [clause] = explain(`when { context.text == "${long}" }`, true, record({ text: long }));
    expect(clause?.text).toHaveLength(MAX_EXPLAINED_TEXT);
    expect(clause?.observed?.['context.text']).toHaveLength(MAX_EXPLAINED_TEXT);
  });
});
