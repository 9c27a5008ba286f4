/**
 * Expressions and values as Cedar text, on one line. Invariant: cedar-wasm parses the text of an expression
 * back into the same tree, and no character of it can disturb a terminal or a log line.
 */
import {
  type DatetimeValue,
  DecimalValue,
  DurationValue,
  EntityUid,
  IpValue,
  RecordValue,
  SetValue,
  type Value,
} from '../domain/value.ts';
import { type BinaryOperator, type CallExpression, type Expression, unreachable } from './ast.ts';
import { isConstructor } from './extension-functions.ts';
import { formatExtension } from './extension-text.ts';
import type { PatternElement } from './like.ts';

/** Binding strength, weakest first: an operand weaker than its place asks for is put in parentheses. */
const CONDITIONAL = 0;
const OR = 1;
const AND = 2;
const RELATION = 3;
const ADDITION = 4;
const MULTIPLICATION = 5;
const UNARY = 6;
const MEMBER = 7;

/** Binary operators written between their operands, with their strength; the others are methods. */
const INFIX: Partial<Record<BinaryOperator, number>> = {
  '==': RELATION,
  '!=': RELATION,
  '<': RELATION,
  '<=': RELATION,
  '>': RELATION,
  '>=': RELATION,
  in: RELATION,
  '+': ADDITION,
  '-': ADDITION,
  '*': MULTIPLICATION,
};

/** Words that the grammar keeps for itself, so that they cannot follow a dot. */
const RESERVED: ReadonlySet<string> = new Set([
  'true',
  'false',
  'if',
  'then',
  'else',
  'in',
  'is',
  'like',
  'has',
  '__cedar',
]);

/** The Cedar text of an expression. */
export function printExpression(expression: Expression): string {
  return print(expression, CONDITIONAL);
}

function print(expression: Expression, place: number): string {
  const [text, strength] = render(expression);
  return strength < place ? `(${text})` : text;
}

function render(expression: Expression): [text: string, strength: number] {
  switch (expression.kind) {
    case 'boolean':
      return [String(expression.value), MEMBER];
    case 'long':
      // The grammar has no negative literal behind a dot or a minus: `(-1).x`, `-(-1)`.
      return [String(expression.value), expression.value < 0 ? UNARY : MEMBER];
    case 'string':
      return [printString(expression.value), MEMBER];
    case 'entity':
      return [printUid(expression.uid), MEMBER];
    case 'variable':
      return [expression.name, MEMBER];
    case 'or':
      return [`${print(expression.left, OR)} || ${print(expression.right, AND)}`, OR];
    case 'and':
      return [`${print(expression.left, AND)} && ${print(expression.right, RELATION)}`, AND];
    case 'unary':
      return renderUnary(expression.operator, expression.operand);
    case 'binary':
      return renderBinary(expression.operator, expression.left, expression.right);
    case 'attribute':
      return [print(expression.target, MEMBER) + printAccess(expression.name), MEMBER];
    case 'has':
      return [`${print(expression.target, ADDITION)} has ${printPath(expression.path)}`, RELATION];
    case 'like':
      return [`${print(expression.target, ADDITION)} like ${printPattern(expression.pattern)}`, RELATION];
    case 'is': {
      const group = expression.group === undefined ? '' : ` in ${print(expression.group, ADDITION)}`;
      return [`${print(expression.target, ADDITION)} is ${expression.entityType}${group}`, RELATION];
    }
    case 'if': {
      const [condition, consequent] = [print(expression.condition, 0), print(expression.consequent, 0)];
      return [`if ${condition} then ${consequent} else ${print(expression.alternative, 0)}`, CONDITIONAL];
    }
    case 'set':
      return [`[${printList(expression.elements)}]`, MEMBER];
    case 'record': {
      const fields = expression.fields.map(({ name, value }) => `${printName(name)}: ${print(value, 0)}`);
      return [`{${fields.join(', ')}}`, MEMBER];
    }
    case 'call':
      return [printCall(expression), MEMBER];
    default:
      return unreachable(expression);
  }
}

function renderUnary(operator: string, operand: Expression): [string, number] {
  switch (operator) {
    case 'isEmpty':
      return [`${print(operand, MEMBER)}.isEmpty()`, MEMBER];
    case 'negate':
      // `-1` is a literal and `-(1)` a negation: two different trees.
      return [operand.kind === 'long' ? `-(${operand.value})` : `-${print(operand, MEMBER)}`, UNARY];
    default:
      return [`!${print(operand, MEMBER)}`, UNARY];
  }
}

function renderBinary(operator: BinaryOperator, left: Expression, right: Expression): [string, number] {
  const strength = INFIX[operator];
  if (strength === undefined) return [`${print(left, MEMBER)}.${operator}(${print(right, 0)})`, MEMBER];
  // Relations do not chain; sums and products group to the left.
  const leftPlace = strength === RELATION ? ADDITION : strength;
  return [`${print(left, leftPlace)} ${operator} ${print(right, strength + 1)}`, strength];
}

function printCall({ name, operands }: CallExpression): string {
  if (isConstructor(name)) return `${name}(${printList(operands)})`;
  const [receiver, ...others] = operands;
  return receiver === undefined ? `${name}()` : `${print(receiver, MEMBER)}.${name}(${printList(others)})`;
}

function printList(expressions: readonly Expression[]): string {
  return expressions.map(expression => print(expression, CONDITIONAL)).join(', ');
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.has(name);
}

function printName(name: string): string {
  return isIdentifier(name) ? name : printString(name);
}

function printAccess(name: string): string {
  return isIdentifier(name) ? `.${name}` : `[${printString(name)}]`;
}

function printPath(path: readonly string[]): string {
  return path.length === 1 ? path.map(printName).join('') : path.join('.');
}

function printPattern(pattern: readonly PatternElement[]): string {
  const parts = pattern.map(element =>
    element === 'wildcard' ? '*' : escape(element.literal).replaceAll('*', '\\*'),
  );
  return `"${parts.join('')}"`;
}

/** A Cedar string literal. */
function printString(text: string): string {
  return `"${escape(text)}"`;
}

/** The reference of an entity in Cedar syntax. */
function printUid(uid: EntityUid): string {
  return `${uid.type}::${printString(uid.id)}`;
}

/** Escapes what ends a literal and whatever is invisible: controls, format characters, odd spaces. */
function escape(text: string): string {
  return text.replace(/["\\]|[\p{C}\p{Z}]/gu, character => {
    if (character === ' ') return character;
    if (character === '"' || character === '\\') return `\\${character}`;
    // A lone surrogate is no character and has no escape in Cedar.
    return character.isWellFormed() ? `\\u{${character.codePointAt(0)?.toString(16)}}` : '\u{fffd}';
  });
}

/**
 * A value in Cedar syntax.
 * @param room characters after which the caller cuts the text: what lies behind them may be left out, so that
 * a large value costs no more than what is shown of it
 */
export function printValue(value: Value, room: number = Number.POSITIVE_INFINITY): string {
  if (typeof value === 'string') return printString(value.slice(0, room));
  if (typeof value !== 'object') return String(value);
  if (value instanceof EntityUid) return printUid(value);
  if (value instanceof SetValue) return `[${printMembers(value.elements, printValue, room)}]`;
  if (value instanceof RecordValue) return `{${printMembers(value.entries, printField, room)}}`;
  if (value instanceof IpValue) return `ip("${formatExtension(value)}")`;
  if (value instanceof DecimalValue) return `decimal("${formatExtension(value)}")`;
  if (value instanceof DurationValue) return `duration("${formatExtension(value)}")`;
  return printDatetime(value);
}

function printField([name, value]: readonly [string, Value], room: number): string {
  return `${printName(name)}: ${printValue(value, room)}`;
}

function printMembers<T>(
  members: Iterable<T>,
  printMember: (member: T, room: number) => string,
  room: number,
): string {
  let text = '';
  for (const member of members) {
    if (text.length > room) break;
    text += (text === '' ? '' : ', ') + printMember(member, room - text.length);
  }
  return text;
}

/** Times that four digits of year cannot write are written as an offset from the epoch. */
function printDatetime(value: DatetimeValue): string {
  const text = formatExtension(value);
  if (text !== undefined) return `datetime("${text}")`;
  return `datetime("1970-01-01").offset(duration("${value.epochMs}ms"))`;
}
