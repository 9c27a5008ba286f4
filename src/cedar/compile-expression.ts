/**
 * Expressions to closures. Invariant: a closure gives the value that Cedar gives, or throws when Cedar
 * errs; it evaluates an operand only when Cedar would. All that does not depend on the request (literals,
 * patterns, keys of groups) is made once, here.
 */
import { EntityUid, RecordValue, SetValue, type Value } from '../domain/value.ts';
import {
  type BinaryExpression,
  type BinaryOperator,
  type CallExpression,
  type Expression,
  type Variable,
  unreachable,
} from './ast.ts';
import { makeSet, valueEquals } from './equality.ts';
import { EvaluationError, fail } from './evaluation-error.ts';
import { binaryFunction, isConstructor, unaryFunction } from './extension-functions.ts';
import { compilePattern } from './like.ts';
import { add, multiply, negate, subtract } from './long.ts';
import {
  type ActionGroups,
  asBoolean,
  asEntity,
  asString,
  attributeOf,
  contains,
  containsAll,
  containsAny,
  findAttribute,
  hasPath,
  hasTag,
  isEmpty,
  isIn,
  isMember,
  lessOrEqual,
  lessThan,
  tagOf,
} from './operators.ts';
import type { EvaluationRequest } from './types.ts';

/** The value of an expression. @throws EvaluationError */
export type Evaluate = (request: EvaluationRequest) => Value;
/** The value of an expression where Cedar asks for a boolean. @throws EvaluationError, also for other types */
export type Test = (request: EvaluationRequest) => boolean;

type Operator = (a: Value, b: Value) => Value;
type BooleanOperator = (a: Value, b: Value) => boolean;

/** Compiles an expression whose value may be of any type. */
export function compileExpression(expression: Expression, actions: ActionGroups): Evaluate {
  const constant = constantOf(expression);
  if (constant !== undefined) return () => constant;
  switch (expression.kind) {
    case 'variable':
      return compileVariable(expression.name);
    case 'attribute': {
      const target = compileExpression(expression.target, actions);
      const { name } = expression;
      return request => attributeOf(request, target(request), name);
    }
    case 'if': {
      const condition = compileTest(expression.condition, actions);
      const consequent = compileExpression(expression.consequent, actions);
      const alternative = compileExpression(expression.alternative, actions);
      return request => (condition(request) ? consequent(request) : alternative(request));
    }
    case 'set': {
      const elements = expression.elements.map(element => compileExpression(element, actions));
      return request => makeSet(elements.map(element => element(request)));
    }
    case 'record': {
      const fields = expression.fields.map(
        ({ name, value }) => [name, compileExpression(value, actions)] as const,
      );
      return request => new RecordValue(new Map(fields.map(([name, value]) => [name, value(request)])));
    }
    case 'call':
      return compileCall(expression, actions);
    case 'unary':
      if (expression.operator !== 'negate') return compileTest(expression, actions);
      return unary(compileExpression(expression.operand, actions), negate);
    case 'binary':
      return compileArithmetic(expression, actions) ?? compileTest(expression, actions);
    default:
      return compileTest(expression, actions);
  }
}

/** Compiles an expression that stands where Cedar asks for a boolean. */
export function compileTest(expression: Expression, actions: ActionGroups): Test {
  switch (expression.kind) {
    case 'boolean': {
      const { value } = expression;
      return () => value;
    }
    case 'and': {
      const [left, right] = [compileTest(expression.left, actions), compileTest(expression.right, actions)];
      return request => left(request) && right(request);
    }
    case 'or': {
      const [left, right] = [compileTest(expression.left, actions), compileTest(expression.right, actions)];
      return request => left(request) || right(request);
    }
    case 'if': {
      const condition = compileTest(expression.condition, actions);
      const consequent = compileTest(expression.consequent, actions);
      const alternative = compileTest(expression.alternative, actions);
      return request => (condition(request) ? consequent(request) : alternative(request));
    }
    case 'unary': {
      if (expression.operator === 'negate') break;
      if (expression.operator === 'isEmpty') {
        const set = compileExpression(expression.operand, actions);
        return request => isEmpty(set(request));
      }
      const operand = compileTest(expression.operand, actions);
      return request => !operand(request);
    }
    case 'binary': {
      const test = compileRelation(expression, actions);
      if (test === undefined) break;
      return test;
    }
    case 'has':
      return compileHas(compileExpression(expression.target, actions), expression.path);
    case 'like': {
      const target = compileExpression(expression.target, actions);
      const matches = compilePattern(expression.pattern);
      return request => matches(asString(target(request)));
    }
    case 'is': {
      const target = compileExpression(expression.target, actions);
      const { entityType, group } = expression;
      if (group === undefined) return request => asEntity(target(request)).type === entityType;
      const groups = compileExpression(group, actions);
      return request => {
        const uid = asEntity(target(request));
        return uid.type === entityType && isIn(request, actions, uid, groups(request));
      };
    }
    default:
      break;
  }
  const value = compileExpression(expression, actions);
  return request => asBoolean(value(request));
}

function compileVariable(name: Variable): Evaluate {
  switch (name) {
    case 'principal':
      return request => request.principal;
    case 'action':
      return request => request.action;
    case 'resource':
      return request => request.resource;
    case 'context':
      return request => request.context;
    default:
      return unreachable(name);
  }
}

function compileHas(target: Evaluate, path: readonly string[]): Test {
  const [name] = path;
  if (path.length === 1 && name !== undefined) {
    return request => findAttribute(request, target(request), name) !== undefined;
  }
  return request => hasPath(request, target(request), path);
}

function unary(operand: Evaluate, operator: (a: Value) => Value): Evaluate {
  return request => operator(operand(request));
}

const ARITHMETIC: Partial<Record<BinaryOperator, Operator>> = { '+': add, '-': subtract, '*': multiply };

/** Operators whose value is not a boolean, or undefined. */
function compileArithmetic(expression: BinaryExpression, actions: ActionGroups): Evaluate | undefined {
  const operator = ARITHMETIC[expression.operator];
  if (operator === undefined && expression.operator !== 'getTag') return undefined;
  const left = compileExpression(expression.left, actions);
  const right = compileExpression(expression.right, actions);
  if (operator === undefined) return request => tagOf(request, left(request), right(request));
  return request => operator(left(request), right(request));
}

const RELATIONS: Partial<Record<BinaryOperator, BooleanOperator>> = {
  '==': valueEquals,
  '!=': (a, b) => !valueEquals(a, b),
  '<': lessThan,
  '<=': lessOrEqual,
  '>': (a, b) => lessThan(b, a),
  '>=': (a, b) => lessOrEqual(b, a),
  contains,
  containsAll,
  containsAny,
};

/** Operators whose value is a boolean, or undefined. */
function compileRelation(expression: BinaryExpression, actions: ActionGroups): Test | undefined {
  const { operator } = expression;
  const relation = RELATIONS[operator];
  if (relation === undefined && operator !== 'in' && operator !== 'hasTag') return undefined;
  const left = compileExpression(expression.left, actions);
  const constant = constantOf(expression.right);
  if (constant !== undefined) {
    const special = compileWithConstant(operator, left, constant, actions);
    if (special !== undefined) return special;
  }
  const right = compileExpression(expression.right, actions);
  if (relation !== undefined) return request => relation(left(request), right(request));
  if (operator === 'in') return request => isIn(request, actions, left(request), right(request));
  return request => hasTag(request, left(request), right(request));
}

/** Shorter forms of operators whose right operand is known: the same answers and errors, less work. */
function compileWithConstant(
  operator: BinaryOperator,
  left: Evaluate,
  right: Value,
  actions: ActionGroups,
): Test | undefined {
  switch (operator) {
    case '==':
      return typeof right === 'object' ? undefined : request => left(request) === right;
    case '!=':
      return typeof right === 'object' ? undefined : request => left(request) !== right;
    case 'in': {
      const elements = right instanceof SetValue ? right.elements : [right];
      const groups = elements.flatMap(element => (element instanceof EntityUid ? [element.key] : []));
      if (groups.length !== elements.length) return undefined;
      return request => {
        const uid = asEntity(left(request));
        for (const group of groups) if (isMember(request, actions, uid, group)) return true;
        return false;
      };
    }
    default:
      return undefined;
  }
}

function compileCall({ name, operands }: CallExpression, actions: ActionGroups): Evaluate {
  const [first, second, ...others] = operands.map(operand => compileExpression(operand, actions));
  const unaryOperator = unaryFunction(name);
  if (unaryOperator !== undefined && first !== undefined && second === undefined) {
    return unary(first, unaryOperator);
  }
  const operator = binaryFunction(name);
  if (operator !== undefined && first !== undefined && second !== undefined && others.length === 0) {
    return request => operator(first(request), second(request));
  }
  // The policy fails however its operands come out, so they need not be evaluated.
  return () => fail('WRONG_ARITY');
}

/**
 * The value of an expression that is the same in every request and cannot fail: literals, sets and records
 * of such, extension constructors on a valid literal. Undefined for all others.
 */
function constantOf(expression: Expression): Value | undefined {
  switch (expression.kind) {
    case 'boolean':
    case 'long':
    case 'string':
      return expression.value;
    case 'entity':
      return expression.uid;
    case 'set': {
      const elements = expression.elements.map(constantOf).filter(value => value !== undefined);
      return elements.length === expression.elements.length ? makeSet(elements) : undefined;
    }
    case 'record': {
      const entries = new Map<string, Value>();
      for (const { name, value } of expression.fields) {
        const constant = constantOf(value);
        if (constant === undefined) return undefined;
        entries.set(name, constant);
      }
      return new RecordValue(entries);
    }
    case 'call':
      return constructedConstant(expression);
    default:
      return undefined;
  }
}

function constructedConstant({ name, operands }: CallExpression): Value | undefined {
  const [operand, ...others] = operands;
  if (!isConstructor(name) || operand?.kind !== 'string' || others.length > 0) return undefined;
  try {
    return unaryFunction(name)?.(operand.value);
  } catch (error) {
    // `ip("nonsense")` fails when it is evaluated, if it is evaluated: not here.
    if (error instanceof EvaluationError) return undefined;
    throw error;
  }
}
