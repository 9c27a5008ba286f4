/**
 * The compiled evaluator against cedar-wasm on generated schemas, policies, entities and requests: the reason
 * why the evaluator may be trusted. `npm run fuzz` runs the same for as long as one likes.
 */
import { expect, test } from 'vitest';
import type { Expression, PolicyAst } from '../../src/cedar/ast.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { shippedSchemaText } from '../pdp/shipped-schema.ts';
import { newTally, runRound, type Sabotage } from '../fuzz/differential.ts';
import { Random } from '../fuzz/random.ts';
import { describeMismatch, shrink } from '../fuzz/shrink.ts';

const TRIPLES = 20_000;

test('compiled policies, with and without the index, answer exactly as cedar-wasm over 20,000 triples', () => {
  const wasm = new CedarWasm();
  const tally = newTally();
  for (let seed = 1; tally.triples < TRIPLES; seed++) {
    const mismatch = runRound(new Random(seed), wasm, { sets: 20, requests: 50 }, tally);
    expect(
      mismatch === undefined ? '' : `seed ${seed}\n${describeMismatch(shrink(mismatch, wasm), wasm)}`,
    ).toBe('');
  }
  // The generator reaches every kind of outcome often, or the agreement would mean little.
  expect(tally.allows).toBeGreaterThan(TRIPLES / 20);
  expect(tally.determined - tally.allows).toBeGreaterThan(TRIPLES / 50);
  expect(tally.erring).toBeGreaterThan(TRIPLES / 10);
  expect(tally.refused).toBe(0);
}, 900_000);

test('the same over the shipped schema', () => {
  const wasm = new CedarWasm();
  const tally = newTally();
  for (let seed = 1; seed <= 5; seed++) {
    const size = { sets: 10, requests: 20, schemaText: shippedSchemaText() };
    const mismatch = runRound(new Random(seed), wasm, size, tally);
    expect(mismatch === undefined ? '' : describeMismatch(shrink(mismatch, wasm), wasm)).toBe('');
  }
  expect(tally.triples).toBe(1_000);
});

const SABOTAGES: readonly (readonly [string, Sabotage])[] = [
  [
    'a conjunction taken for a disjunction',
    changeExpressions(e => (e.kind === 'and' ? { ...e, kind: 'or' } : e)),
  ],
  ['operands of a conjunction evaluated in the other order', changeExpressions(swapConjunction)],
  ['`<=` taken for `<`', changeExpressions(e => replaceOperator(e, '<=', '<'))],
  [
    '`containsAll` taken for `containsAny`',
    changeExpressions(e => replaceOperator(e, 'containsAll', 'containsAny')),
  ],
  ['a product taken for a difference', changeExpressions(e => replaceOperator(e, '*', '-'))],
  [
    'an `unless` taken for a `when`',
    policy => ({ ...policy, conditions: policy.conditions.map(c => ({ ...c, kind: 'when' as const })) }),
  ],
  ['a forbid taken for a permit', policy => ({ ...policy, effect: 'permit' })],
];

test.each(SABOTAGES)('an evaluator with %s is found out, and the case is shrunk', (_, sabotage) => {
  const wasm = new CedarWasm();
  const tally = newTally();
  for (let seed = 1; seed <= 30; seed++) {
    const mismatch = runRound(new Random(seed), wasm, { sets: 20, requests: 10 }, tally, sabotage);
    if (mismatch === undefined) continue;
    const small = shrink(mismatch, wasm, sabotage);
    expect(small.compiled).not.toBe(small.oracle);
    expect(small.policies.length).toBeLessThanOrEqual(2);
    expect(describeMismatch(small, wasm)).toContain(`--- cedar-wasm: ${small.oracle}`);
    return;
  }
  expect.unreachable('the sabotage was not noticed');
});

/** Applies a change to every expression, from the leaves up. */
function changeExpressions(change: (expression: Expression) => Expression): Sabotage {
  const visit = (expression: Expression): Expression => change(rebuild(expression, visit));
  return (policy: PolicyAst) => ({
    ...policy,
    conditions: policy.conditions.map(condition => ({ ...condition, body: visit(condition.body) })),
  });
}

function rebuild(expression: Expression, visit: (part: Expression) => Expression): Expression {
  switch (expression.kind) {
    case 'and':
    case 'or':
    case 'binary':
      return { ...expression, left: visit(expression.left), right: visit(expression.right) };
    case 'unary':
      return { ...expression, operand: visit(expression.operand) };
    case 'if':
      return {
        ...expression,
        condition: visit(expression.condition),
        consequent: visit(expression.consequent),
        alternative: visit(expression.alternative),
      };
    default:
      return expression;
  }
}

function swapConjunction(expression: Expression): Expression {
  return expression.kind === 'and'
    ? { ...expression, left: expression.right, right: expression.left }
    : expression;
}

function replaceOperator(
  expression: Expression,
  from: '<=' | 'containsAll' | '*',
  to: '<' | 'containsAny' | '-',
): Expression {
  return expression.kind === 'binary' && expression.operator === from
    ? { ...expression, operator: to }
    : expression;
}
