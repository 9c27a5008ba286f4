/** Decodes expressions of the JSON policy form. Invariant: one recognised key per node, or it is refused. */
import { EntityUid } from '../domain/value.ts';
import type { BinaryOperator, Expression, FunctionName, UnaryOperator, Variable } from './ast.ts';
import { exactKeys, keyPresent, listAt, listOf, objectOf, refuse, textAt, textOf } from './est-shape.ts';
import type { PatternElement } from './like.ts';

/** What is left of a policy's size limit; counted down while decoding, so hostile input ends early. */
export interface NodeBudget {
  readonly maxDepth: number;
  nodesLeft: number;
}

const VARIABLES: ReadonlyMap<string, Variable> = new Map([
  ['principal', 'principal'],
  ['action', 'action'],
  ['resource', 'resource'],
  ['context', 'context'],
]);

const UNARY_OPERATORS: ReadonlyMap<string, UnaryOperator> = new Map([
  ['!', 'not'],
  ['neg', 'negate'],
  ['isEmpty', 'isEmpty'],
]);

const BINARY_OPERATORS: ReadonlyMap<string, BinaryOperator> = byName([
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '+',
  '-',
  '*',
  'in',
  'contains',
  'containsAll',
  'containsAny',
  'getTag',
  'hasTag',
]);

const FUNCTIONS: ReadonlyMap<string, FunctionName> = byName([
  'ip',
  'decimal',
  'datetime',
  'duration',
  'isIpv4',
  'isIpv6',
  'isLoopback',
  'isMulticast',
  'isInRange',
  'lessThan',
  'lessThanOrEqual',
  'greaterThan',
  'greaterThanOrEqual',
  'offset',
  'durationSince',
  'toDate',
  'toTime',
  'toMilliseconds',
  'toSeconds',
  'toMinutes',
  'toHours',
  'toDays',
]);

function byName<T extends string>(names: readonly T[]): ReadonlyMap<string, T> {
  return new Map(names.map(name => [name, name]));
}

/** @throws UnsupportedPolicyError */
export function decodeExpression(json: unknown, budget: NodeBudget, depth: number): Expression {
  if (depth > budget.maxDepth) refuse(`the policy nests deeper than ${budget.maxDepth} expressions`);
  budget.nodesLeft--;
  if (budget.nodesLeft < 0) refuse('the policy has too many expressions; split it into several policies');
  const node = objectOf(json, 'expression');
  const [key, ...others] = Object.keys(node);
  if (key === undefined || others.length > 0) refuse('an expression must have exactly one key');
  return decodeNode(key, node[key], child => decodeExpression(child, budget, depth + 1));
}

type Decode = (json: unknown) => Expression;

function decodeNode(key: string, body: unknown, decode: Decode): Expression {
  const binary = BINARY_OPERATORS.get(key);
  if (binary !== undefined) return { kind: 'binary', operator: binary, ...decodeOperands(body, key, decode) };
  const unary = UNARY_OPERATORS.get(key);
  if (unary !== undefined) {
    const operation = objectOf(body, `\`${key}\``);
    exactKeys(operation, ['arg'], [], `\`${key}\``);
    return { kind: 'unary', operator: unary, operand: decode(operation['arg']) };
  }
  const name = FUNCTIONS.get(key);
  if (name !== undefined) return { kind: 'call', name, operands: listOf(body, key).map(decode) };
  switch (key) {
    case 'Value':
      return decodeLiteral(body);
    case 'Var':
      return {
        kind: 'variable',
        name: VARIABLES.get(String(body)) ?? refuse(`unknown variable \`${String(body)}\``),
      };
    case '&&':
      return { kind: 'and', ...decodeOperands(body, key, decode) };
    case '||':
      return { kind: 'or', ...decodeOperands(body, key, decode) };
    case 'Set':
      return { kind: 'set', elements: listOf(body, key).map(decode) };
    case 'Record':
      return {
        kind: 'record',
        fields: Object.entries(objectOf(body, 'record')).map(([name, value]) => ({
          name,
          value: decode(value),
        })),
      };
    case 'unknown':
      return refuse('`unknown` would silently disable the policy and is not supported');
    case 'Slot':
      return refuse('a template slot may stand only in the scope');
    default:
      return decodeStructured(key, body, decode);
  }
}

function decodeOperands(body: unknown, key: string, decode: Decode): { left: Expression; right: Expression } {
  const operation = objectOf(body, `\`${key}\``);
  exactKeys(operation, ['left', 'right'], [], `\`${key}\``);
  return { left: decode(operation['left']), right: decode(operation['right']) };
}

/** Operators whose operands are not all expressions. */
function decodeStructured(key: string, body: unknown, decode: Decode): Expression {
  const node = objectOf(body, `\`${key}\``);
  switch (key) {
    case '.':
      exactKeys(node, ['left', 'attr'], [], 'attribute access');
      return { kind: 'attribute', target: decode(node['left']), name: textAt(node, 'attr') };
    case 'has':
      exactKeys(node, ['left', 'attr'], [], '`has`');
      return { kind: 'has', target: decode(node['left']), path: decodePath(node['attr']) };
    case 'like':
      exactKeys(node, ['left', 'pattern'], [], '`like`');
      return {
        kind: 'like',
        target: decode(node['left']),
        pattern: listAt(node, 'pattern').map(decodePatternElement),
      };
    case 'is':
      exactKeys(node, ['left', 'entity_type'], ['in'], '`is`');
      return {
        kind: 'is',
        target: decode(node['left']),
        entityType: textAt(node, 'entity_type'),
        group: keyPresent(node, 'in') ? decode(node['in']) : undefined,
      };
    case 'if-then-else':
      exactKeys(node, ['if', 'then', 'else'], [], '`if`');
      return {
        kind: 'if',
        condition: decode(node['if']),
        consequent: decode(node['then']),
        alternative: decode(node['else']),
      };
    default:
      return refuse(`unknown expression \`${key}\``);
  }
}

function decodeLiteral(value: unknown): Expression {
  switch (typeof value) {
    case 'boolean':
      return { kind: 'boolean', value };
    case 'string':
      return { kind: 'string', value };
    case 'number':
      // Beyond this the JSON form has already lost digits, so what the author wrote is not known.
      if (!Number.isSafeInteger(value)) refuse('an integer literal lies beyond ±9007199254740991');
      return { kind: 'long', value };
    default: {
      const literal = objectOf(value, 'literal');
      exactKeys(literal, ['__entity'], [], 'literal');
      const uid = objectOf(literal['__entity'], 'entity');
      exactKeys(uid, ['type', 'id'], [], 'entity');
      return { kind: 'entity', uid: new EntityUid(textAt(uid, 'type'), textAt(uid, 'id')) };
    }
  }
}

/** One name, or the names of `has a.b.c`. */
function decodePath(json: unknown): readonly string[] {
  if (typeof json === 'string') return [json];
  const path = listOf(json, 'attr').map(name => textOf(name, 'attr'));
  return path.length > 0 ? path : refuse('`has` names no attribute');
}

function decodePatternElement(json: unknown): PatternElement {
  if (json === 'Wildcard') return 'wildcard';
  const element = objectOf(json, 'pattern element');
  exactKeys(element, ['Literal'], [], 'pattern element');
  return { literal: textAt(element, 'Literal') };
}
