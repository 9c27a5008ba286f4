/**
 * Generates expressions of every kind over small-world.ts. Operands mostly have the type that the operator
 * asks for, so that evaluation gets deep; some have any type, so that every check is met.
 */
import * as fc from 'fast-check';
import type { BinaryOperator, Expression, FunctionName } from '../../src/cedar/ast.ts';
import type { PatternElement } from '../../src/cedar/like.ts';
import { EntityUid } from '../../src/domain/value.ts';

const TYPES = [
  'boolean',
  'long',
  'string',
  'entity',
  'set',
  'record',
  'ip',
  'decimal',
  'datetime',
  'duration',
] as const;
type Type = (typeof TYPES)[number];
type Arbitrary = fc.Arbitrary<Expression>;

/** Attribute paths from `principal` by the type they have in the world. */
const PATHS: Partial<Record<Type, readonly string[]>> = {
  boolean: ['admin'],
  long: ['age', 'address.geo.lat', 'odd name', 'missing'],
  string: ['name', 'address.city'],
  entity: ['friend', 'enemy'],
  set: ['langs'],
  record: ['address', 'address.geo'],
};
const IDENTIFIERS = [
  'age',
  'name',
  'friend',
  'address',
  'city',
  'geo',
  'lat',
  'langs',
  '_x1',
  'a',
  '__proto__',
];
const IDENTIFIER = fc.constantFrom(...IDENTIFIERS);
const ATTRIBUTE = fc.constantFrom(...IDENTIFIERS, 'odd name', 'if', 'in', '', 'é', 'a"b', '\n');
const ENTITIES: readonly (readonly [string, string])[] = [
  ['User', 'alice'],
  ['User', 'bob'],
  ['User', 'nobody'],
  ['Team', 'team'],
  ['Org', 'org'],
  ['Action', 'read'],
  ['NS::Type', 'quote " \n'],
];
const ENTITY_TYPE = fc.constantFrom('User', 'Team', 'Photo', 'NS::Type');
const STRINGS = [
  '',
  'alice',
  'de',
  'level',
  'Bern',
  'a*b',
  'quote " \\',
  '\n\u0000',
  'é😀',
  '\u202e\u2028\u{e0001}',
];
const TEXTS = {
  ip: ['10.0.0.1', '10.0.0.0/8', '::1', 'ff02::/16', '127.0.0.1', '1.2.3'],
  decimal: ['1.5', '1.50', '-0.0001', '922337203685477.5807', '1.23456'],
  datetime: [
    '1970-01-01',
    '2024-02-29T12:00:00.001Z',
    '1969-12-31T23:59:59+0100',
    '0000-01-01',
    '2023-02-29',
  ],
  duration: ['1h', '-5ms', '60m', '1d1ms', '9223372036854775807ms', '-9223372036854775808ms', '1h1d'],
};
const PATTERN: fc.Arbitrary<PatternElement[]> = fc.array(
  fc.oneof(
    fc.constant('wildcard' as const),
    fc.constantFrom('a', 'l', 'i', 'e', '*', '\\', '"', '\n', '😀').map(literal => ({ literal })),
  ),
  { maxLength: 5 },
);

/** Trees of at most `depth` levels of any type. */
export function expressions(depth: number): Arbitrary {
  return fc.oneof(...TYPES.map(type => typed(type, depth)));
}

/** Trees that are mostly conditions without a type error. */
export function conditions(depth: number): Arbitrary {
  return typed('boolean', depth);
}

function operand(type: Type, depth: number): Arbitrary {
  if (depth === 1) return typed(type, depth);
  const anything = fc.oneof(...TYPES.map(other => leaf(other)));
  return fc.oneof({ weight: 30, arbitrary: typed(type, depth) }, { weight: 1, arbitrary: anything });
}

function typed(type: Type, depth: number): Arbitrary {
  if (depth <= 1) return leaf(type);
  const branch: Arbitrary = fc
    .tuple(operand('boolean', depth - 1), operand(type, depth - 1), operand(type, depth - 1))
    .map(
      ([condition, consequent, alternative]) => ({ kind: 'if', condition, consequent, alternative }) as const,
    );
  const composite = composites(type, depth - 1);
  return fc.oneof(
    { weight: 1, arbitrary: leaf(type) },
    { weight: 1, arbitrary: branch },
    { weight: composite.length === 0 ? 0 : 6, arbitrary: fc.oneof(...composite, leaf(type)) },
  );
}

function leaf(type: Type): Arbitrary {
  const paths = (PATHS[type] ?? []).map(path => fc.constant(pathFromPrincipal(path)));
  return fc.oneof(literal(type), ...paths);
}

function pathFromPrincipal(path: string): Expression {
  const principal: Expression = { kind: 'variable', name: 'principal' };
  return path
    .split('.')
    .reduce<Expression>((target, name) => ({ kind: 'attribute', target, name }), principal);
}

function literal(type: Type): Arbitrary {
  switch (type) {
    case 'boolean':
      return fc.boolean().map(value => ({ kind: 'boolean', value }) as const);
    case 'long':
      return fc
        .oneof(fc.integer({ min: -3, max: 50 }), fc.constantFrom(2 ** 53 - 1, 1 - 2 ** 53, 2 ** 32))
        .map(value => ({ kind: 'long', value }) as const);
    case 'string':
      return fc.constantFrom(...STRINGS).map(value => ({ kind: 'string', value }) as const);
    case 'entity':
      return fc.oneof(
        fc
          .constantFrom(...ENTITIES)
          .map(([t, id]) => ({ kind: 'entity', uid: new EntityUid(t, id) }) as const),
        fc.constantFrom('principal', 'action', 'resource').map(name => ({ kind: 'variable', name }) as const),
      );
    case 'set':
      return fc.constant({ kind: 'set', elements: [] } as const);
    case 'record':
      return fc.constant({ kind: 'variable', name: 'context' } as const);
    default:
      return fc
        .constantFrom(...TEXTS[type])
        .map(value => ({ kind: 'call', name: type, operands: [{ kind: 'string', value }] }) as const);
  }
}

function binary(left: Type, operators: readonly BinaryOperator[], right: Type, depth: number): Arbitrary {
  return fc
    .tuple(operand(left, depth), fc.constantFrom(...operators), operand(right, depth))
    .map(([l, operator, r]) => ({ kind: 'binary', operator, left: l, right: r }) as const);
}

function call(names: readonly FunctionName[], operands: readonly Type[], depth: number): Arbitrary {
  return fc
    .tuple(fc.constantFrom(...names), fc.tuple(...operands.map(type => operand(type, depth))))
    .map(([name, values]) => ({ kind: 'call', name, operands: values }) as const);
}

/** Expressions of a type that have operands, of at most `depth` levels. */
function composites(type: Type, depth: number): Arbitrary[] {
  switch (type) {
    case 'boolean':
      return booleans(depth);
    case 'long':
      return [
        binary('long', ['+', '-', '*'], 'long', depth),
        operand('long', depth).map(value => ({ kind: 'unary', operator: 'negate', operand: value }) as const),
        call(['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'], ['duration'], depth),
      ];
    case 'string':
      return [binary('entity', ['getTag'], 'string', depth)];
    case 'set':
      return [
        fc.array(expressions(depth), { maxLength: 3 }).map(elements => ({ kind: 'set', elements }) as const),
        fc
          .array(operand('entity', depth), { maxLength: 3 })
          .map(elements => ({ kind: 'set', elements }) as const),
      ];
    case 'record':
      return [records(depth)];
    case 'datetime':
      return [call(['offset'], ['datetime', 'duration'], depth), call(['toDate'], ['datetime'], depth)];
    case 'duration':
      return [
        call(['durationSince'], ['datetime', 'datetime'], depth),
        call(['toTime'], ['datetime'], depth),
        // The wrong number of operands.
        call(['duration'], ['string', 'string'], depth),
      ];
    default:
      return [];
  }
}

function records(depth: number): Arbitrary {
  return (
    fc
      .uniqueArray(fc.tuple(ATTRIBUTE, expressions(depth)), { maxLength: 3, selector: ([name]) => name })
      // Cedar keeps the fields of a record sorted by name.
      .map(fields => fields.toSorted(([a], [b]) => (a < b ? -1 : 1)))
      .map(fields => ({ kind: 'record', fields: fields.map(([name, value]) => ({ name, value })) }) as const)
  );
}

function booleans(depth: number): Arbitrary[] {
  const comparable = fc
    .constantFrom('long', 'datetime', 'duration')
    .chain(type => binary(type, ['<', '<=', '>', '>='], type, depth));
  const equal = fc.constantFrom(...TYPES).chain(type => binary(type, ['==', '!='], type, depth));
  const target = fc.oneof(operand('entity', depth), operand('record', depth));
  return [
    fc
      .tuple(fc.constantFrom('and', 'or'), operand('boolean', depth), operand('boolean', depth))
      .map(([kind, left, right]) => ({ kind, left, right })),
    operand('boolean', depth).map(value => ({ kind: 'unary', operator: 'not', operand: value }) as const),
    operand('set', depth).map(value => ({ kind: 'unary', operator: 'isEmpty', operand: value }) as const),
    comparable,
    equal,
    binary('entity', ['in'], 'entity', depth),
    binary('entity', ['in'], 'set', depth),
    binary('entity', ['hasTag'], 'string', depth),
    binary('set', ['containsAll', 'containsAny'], 'set', depth),
    fc.constantFrom(...TYPES).chain(type => binary('set', ['contains'], type, depth)),
    fc.tuple(target, ATTRIBUTE).map(([t, name]) => ({ kind: 'has', target: t, path: [name] }) as const),
    fc
      .tuple(target, fc.array(IDENTIFIER, { minLength: 2, maxLength: 3 }))
      .map(([t, path]) => ({ kind: 'has', target: t, path }) as const),
    fc.tuple(target, ATTRIBUTE).map(([t, name]) => ({ kind: 'attribute', target: t, name }) as const),
    fc
      .tuple(operand('string', depth), PATTERN)
      .map(([t, pattern]) => ({ kind: 'like', target: t, pattern }) as const),
    fc
      .tuple(operand('entity', depth), ENTITY_TYPE, fc.option(operand('set', depth), { nil: undefined }))
      .map(([t, entityType, group]) => ({ kind: 'is', target: t, entityType, group }) as const),
    call(['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast'], ['ip'], depth),
    call(['isInRange'], ['ip', 'ip'], depth),
    call(['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'], ['decimal', 'decimal'], depth),
    call(['isInRange'], ['ip', 'ip', 'ip'], depth),
  ];
}
