/**
 * Cedar policies as our own typed tree. Invariant: a tree holds only what the evaluator implements; the
 * decoder (est.ts) refuses everything else, so every switch over `kind` is exhaustive.
 */
import type { EntityUid } from '../domain/value.ts';
import type { PatternElement } from './like.ts';
import type { Effect } from './types.ts';

export type Variable = 'principal' | 'action' | 'resource' | 'context';

/** Operators with two operands that are always both evaluated, the left one first. */
export type BinaryOperator =
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '+'
  | '-'
  | '*'
  | 'in'
  | 'contains'
  | 'containsAll'
  | 'containsAny'
  | 'getTag'
  | 'hasTag';

export type UnaryOperator = 'not' | 'negate' | 'isEmpty';

/** Extension constructors: functions of one string. */
export type ConstructorName = 'ip' | 'decimal' | 'datetime' | 'duration';

/** Extension methods without a parameter. */
export type UnaryMethodName =
  | 'isIpv4'
  | 'isIpv6'
  | 'isLoopback'
  | 'isMulticast'
  | 'toDate'
  | 'toTime'
  | 'toMilliseconds'
  | 'toSeconds'
  | 'toMinutes'
  | 'toHours'
  | 'toDays';

/** Extension methods with one parameter. */
export type BinaryMethodName =
  | 'isInRange'
  | 'lessThan'
  | 'lessThanOrEqual'
  | 'greaterThan'
  | 'greaterThanOrEqual'
  | 'offset'
  | 'durationSince';

export type FunctionName = ConstructorName | UnaryMethodName | BinaryMethodName;

export type Expression =
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'long'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'entity'; readonly uid: EntityUid }
  | { readonly kind: 'variable'; readonly name: Variable }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | BinaryExpression
  | { readonly kind: 'attribute'; readonly target: Expression; readonly name: string }
  /** `target has a.b.c`: `path` has at least one name. */
  | { readonly kind: 'has'; readonly target: Expression; readonly path: readonly string[] }
  | { readonly kind: 'like'; readonly target: Expression; readonly pattern: readonly PatternElement[] }
  /** `target is T`, `target is T in group`. */
  | {
      readonly kind: 'is';
      readonly target: Expression;
      readonly entityType: string;
      readonly group: Expression | undefined;
    }
  | ConditionalExpression
  | { readonly kind: 'set'; readonly elements: readonly Expression[] }
  | { readonly kind: 'record'; readonly fields: readonly RecordField[] }
  | CallExpression;

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

interface ConditionalExpression {
  readonly kind: 'if';
  readonly condition: Expression;
  readonly consequent: Expression;
  readonly alternative: Expression;
}

interface RecordField {
  readonly name: string;
  readonly value: Expression;
}

/** A call of an extension function. The number of operands is the author's: a wrong one fails at run time. */
export interface CallExpression {
  readonly kind: 'call';
  readonly name: FunctionName;
  readonly operands: readonly Expression[];
}

/** What a scope position of a static policy asks of principal or resource. */
export type ScopeConstraint =
  | { readonly kind: 'any' }
  | { readonly kind: 'equal'; readonly uid: EntityUid }
  | { readonly kind: 'in'; readonly uid: EntityUid }
  | { readonly kind: 'is'; readonly entityType: string }
  | { readonly kind: 'isIn'; readonly entityType: string; readonly uid: EntityUid };

export type ActionConstraint =
  | { readonly kind: 'any' }
  | { readonly kind: 'equal'; readonly uid: EntityUid }
  | { readonly kind: 'in'; readonly uids: readonly EntityUid[] };

/** The head of a policy: it can never fail to evaluate. */
export interface Scope {
  readonly principal: ScopeConstraint;
  readonly action: ActionConstraint;
  readonly resource: ScopeConstraint;
}

export interface Condition {
  readonly kind: 'when' | 'unless';
  readonly body: Expression;
}

/** A static policy, or a template whose slots were filled. */
export interface PolicyAst {
  readonly effect: Effect;
  /** An annotation without a value is the empty string. */
  readonly annotations: ReadonlyMap<string, string>;
  readonly scope: Scope;
  readonly conditions: readonly Condition[];
}

/** The operands of an expression, in the order of evaluation. */
export function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'boolean':
    case 'long':
    case 'string':
    case 'entity':
    case 'variable':
      return [];
    case 'unary':
      return [expression.operand];
    case 'and':
    case 'or':
    case 'binary':
      return [expression.left, expression.right];
    case 'attribute':
    case 'has':
    case 'like':
      return [expression.target];
    case 'is':
      return expression.group === undefined ? [expression.target] : [expression.target, expression.group];
    case 'if':
      return [expression.condition, expression.consequent, expression.alternative];
    case 'set':
      return expression.elements;
    case 'record':
      return expression.fields.map(field => field.value);
    case 'call':
      return expression.operands;
    default:
      return unreachable(expression);
  }
}

/** Ends a switch that handles every kind: the compiler refuses the call when one is forgotten. */
export function unreachable(value: never): never {
  throw new Error(`unhandled case ${JSON.stringify(value)}`);
}
