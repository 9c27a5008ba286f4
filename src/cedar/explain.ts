/**
 * Why the conditions of a policy hold or do not, clause by clause. Invariant: clauses come out as evaluation
 * meets them; after the first that decides the policy, the rest are "not evaluated", and nothing throws.
 */
import type { Clause } from '../domain/decision.ts';
import { childrenOf, type Condition, type Expression } from './ast.ts';
import { compileExpression, compileTest, type Evaluate, type Test } from './compile-expression.ts';
import { EvaluationError } from './evaluation-error.ts';
import type { ActionGroups } from './operators.ts';
import { printExpression, printValue } from './print.ts';
import type { EvaluationRequest } from './types.ts';

/** Longest clause text and observed value in characters: explanations are for people and go into the log. */
export const MAX_EXPLAINED_TEXT = 512;

export type Explain = (request: EvaluationRequest, observe: boolean) => readonly Clause[];

interface CompiledClause {
  readonly kind: Condition['kind'];
  readonly text: string;
  readonly test: Test;
  /** Attribute paths that the clause reads. */
  readonly paths: readonly { readonly text: string; readonly evaluate: Evaluate }[];
}

/**
 * Compiles the conditions for explanation: a `when` is its top-level `&&` operands. An `unless` stays whole,
 * because one true operand of its `&&` alone does not make it fail.
 */
export function compileExplanation(conditions: readonly Condition[], actions: ActionGroups): Explain {
  const compiled = conditions.map(({ kind, body }) =>
    (kind === 'when' ? conjunctsOf(body) : [body]).map(clause => compileClause(kind, clause, actions)),
  );
  return (request, observe) => explainConditions(compiled, request, observe);
}

function compileClause(kind: Condition['kind'], clause: Expression, actions: ActionGroups): CompiledClause {
  const paths = new Map<string, Evaluate>();
  for (const path of pathsOf(clause)) paths.set(printExpression(path), compileExpression(path, actions));
  return {
    kind,
    text: shorten(printExpression(clause)),
    test: compileTest(clause, actions),
    paths: [...paths].map(([text, evaluate]) => ({ text: shorten(text), evaluate })),
  };
}

/** `a && b && c` as a list; splitting keeps the meaning, because `&&` is associative, errors included. */
export function conjunctsOf(expression: Expression): Expression[] {
  return expression.kind === 'and'
    ? [...conjunctsOf(expression.left), ...conjunctsOf(expression.right)]
    : [expression];
}

function explainConditions(
  conditions: readonly (readonly CompiledClause[])[],
  request: EvaluationRequest,
  observe: boolean,
): Clause[] {
  const clauses: Clause[] = [];
  let decided = false;
  for (const condition of conditions) {
    /** Whether all clauses so far are true; a false one ends its condition, an error ends the policy. */
    let holds = true;
    for (const clause of condition) {
      if (decided || !holds) {
        clauses.push({ kind: clause.kind, text: clause.text, result: 'not evaluated' });
        continue;
      }
      const result = outcomeOf(clause.test, request);
      holds = result === 'true';
      decided = result === 'error';
      const described = { kind: clause.kind, text: clause.text, result };
      clauses.push(observe ? { ...described, observed: observedBy(clause, request) } : described);
    }
    decided ||= holds === (condition[0]?.kind === 'unless');
  }
  return clauses;
}

function outcomeOf(test: Test, request: EvaluationRequest): 'true' | 'false' | 'error' {
  try {
    return test(request) ? 'true' : 'false';
  } catch (error) {
    if (error instanceof EvaluationError) return 'error';
    throw error;
  }
}

/** The values at the clause's paths in Cedar syntax; a path that leads nowhere is left out. */
function observedBy(clause: CompiledClause, request: EvaluationRequest): Record<string, string> {
  const observed: [string, string][] = [];
  for (const { text, evaluate } of clause.paths) {
    try {
      observed.push([text, shorten(printValue(evaluate(request), MAX_EXPLAINED_TEXT))]);
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
    }
  }
  return Object.fromEntries(observed);
}

/** The longest attribute paths in an expression: `principal.tenant.plan`, not also `principal.tenant`. */
function pathsOf(expression: Expression): Expression[] {
  if (isPath(expression)) return expression.kind === 'variable' ? [] : [expression];
  if (expression.kind === 'has' && isPath(expression.target)) {
    return [
      expression.path.reduce<Expression>(
        (target, name) => ({ kind: 'attribute', target, name }),
        expression.target,
      ),
    ];
  }
  return childrenOf(expression).flatMap(pathsOf);
}

/** A variable, an attribute of a path, or a tag of a path under a literal name. */
function isPath(expression: Expression): boolean {
  switch (expression.kind) {
    case 'variable':
      return true;
    case 'attribute':
      return isPath(expression.target);
    case 'binary':
      return (
        expression.operator === 'getTag' && isPath(expression.left) && expression.right.kind === 'string'
      );
    default:
      return false;
  }
}

export function shorten(text: string): string {
  return text.length <= MAX_EXPLAINED_TEXT
    ? text
    : `${text.slice(0, MAX_EXPLAINED_TEXT - 1).toWellFormed()}…`;
}
