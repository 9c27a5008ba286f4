/**
 * What the conditions of a policy can come to when a part of the context is open. Invariant: whatever values the open
 * keys take, present or absent, the outcome of an evaluation is among those that are named here; perhaps others are.
 */
import { childrenOf, type Condition, type Expression } from './ast.ts';
import { compileTest, type Test } from './compile-expression.ts';
import { EvaluationError } from './evaluation-error.ts';
import { conjunctsOf, shorten } from './explain.ts';
import type { ActionGroups } from './operators.ts';
import { printExpression } from './print.ts';
import type { EvaluationRequest } from './types.ts';

/** Outcomes as bits, so that a set of them is a number. */
export const CAN_HOLD = 1;
export const CAN_FAIL = 2;
export const CAN_ERR = 4;
const ANYTHING = CAN_HOLD | CAN_FAIL | CAN_ERR;

/** The keys of the context whose values are open. */
export type OpenKeys = ReadonlySet<string>;

/** A set of outcomes. */
type Foresee = (request: EvaluationRequest, open: OpenKeys) => number;

/** What a policy can come to, its scope aside. */
export interface Outlook {
  /** The outcomes that are possible, as bits; never none. */
  outcomes(request: EvaluationRequest, open: OpenKeys): number;
  /** The clauses that read an open key, as Cedar text, in their order: `when …`, `unless …`. */
  clauses(open: OpenKeys): readonly string[];
}

export function compileOutlook(conditions: readonly Condition[], actions: ActionGroups): Outlook {
  const foresee = conditions.map(({ kind, body }) => {
    const condition = compileForesight(body, actions);
    return kind === 'when' ? condition : not(condition);
  });
  const clauses = conditions.flatMap(({ kind, body }) =>
    (kind === 'when' ? conjunctsOf(body) : [body]).map(clause => ({
      text: shorten(`${kind} ${printExpression(clause)}`),
      keys: keysRead(clause),
    })),
  );
  return {
    outcomes(request, open) {
      let possible = CAN_HOLD;
      for (const condition of foresee) {
        if ((possible & CAN_HOLD) === 0) break;
        possible = (possible & ~CAN_HOLD) | condition(request, open);
      }
      return possible;
    },
    clauses: open => clauses.filter(({ keys }) => readsOpen(keys, open)).map(({ text }) => text),
  };
}

function compileForesight(expression: Expression, actions: ActionGroups): Foresee {
  const keys = keysRead(expression);
  if (keys !== 'all' && keys.size === 0) return decided(compileTest(expression, actions));
  switch (expression.kind) {
    case 'and': {
      const [left, right] = [
        compileForesight(expression.left, actions),
        compileForesight(expression.right, actions),
      ];
      return (request, open) => {
        const first = left(request, open);
        return (first & CAN_HOLD) === 0 ? first : (first & ~CAN_HOLD) | right(request, open);
      };
    }
    case 'or': {
      const [left, right] = [
        compileForesight(expression.left, actions),
        compileForesight(expression.right, actions),
      ];
      return (request, open) => {
        const first = left(request, open);
        return (first & CAN_FAIL) === 0 ? first : (first & ~CAN_FAIL) | right(request, open);
      };
    }
    case 'if':
      return conditional(
        compileForesight(expression.condition, actions),
        compileForesight(expression.consequent, actions),
        compileForesight(expression.alternative, actions),
      );
    case 'unary':
      if (expression.operator === 'not') return not(compileForesight(expression.operand, actions));
      break;
    default:
      break;
  }
  const test = decided(compileTest(expression, actions));
  // whether a key is there cannot err
  const otherwise = isPresence(expression) ? CAN_HOLD | CAN_FAIL : ANYTHING;
  return (request, open) => (readsOpen(keys, open) ? otherwise : test(request, open));
}

function conditional(condition: Foresee, consequent: Foresee, alternative: Foresee): Foresee {
  return (request, open) => {
    const first = condition(request, open);
    let possible = first & CAN_ERR;
    if ((first & CAN_HOLD) !== 0) possible |= consequent(request, open);
    if ((first & CAN_FAIL) !== 0) possible |= alternative(request, open);
    return possible;
  };
}

function not(operand: Foresee): Foresee {
  return (request, open) => {
    const possible = operand(request, open);
    return (
      (possible & CAN_ERR) |
      ((possible & CAN_HOLD) === 0 ? 0 : CAN_FAIL) |
      ((possible & CAN_FAIL) === 0 ? 0 : CAN_HOLD)
    );
  };
}

/** The one outcome of an expression that reads nothing open. */
function decided(test: Test): Foresee {
  return request => {
    try {
      return test(request) ? CAN_HOLD : CAN_FAIL;
    } catch (error) {
      if (error instanceof EvaluationError) return CAN_ERR;
      throw error;
    }
  };
}

/** `context has key` */
function isPresence(expression: Expression): boolean {
  return expression.kind === 'has' && isContext(expression.target) && expression.path.length === 1;
}

/** Keys of the context that an expression reads; `all`: the context as a whole. */
function keysRead(expression: Expression): ReadonlySet<string> | 'all' {
  const found = new Set<string>();
  return collectKeys(expression, found) ? found : 'all';
}

/** @returns false when the expression reads the context otherwise than by a key */
function collectKeys(expression: Expression, found: Set<string>): boolean {
  if (isContext(expression)) return false;
  if (expression.kind === 'attribute' && isContext(expression.target)) {
    found.add(expression.name);
    return true;
  }
  if (expression.kind === 'has' && isContext(expression.target)) {
    const [key] = expression.path;
    if (key !== undefined) found.add(key);
    return true;
  }
  return childrenOf(expression).every(child => collectKeys(child, found));
}

function isContext(expression: Expression): boolean {
  return expression.kind === 'variable' && expression.name === 'context';
}

function readsOpen(keys: ReadonlySet<string> | 'all', open: OpenKeys): boolean {
  if (keys === 'all') return open.size > 0;
  for (const key of keys) if (open.has(key)) return true;
  return false;
}
