/**
 * The extension functions of Cedar by name. Each checks the types of its operands, like Cedar, so that an
 * ill-typed call is an error and never a value.
 */
import { DatetimeValue, DecimalValue, DurationValue, IpValue, type Value } from '../domain/value.ts';
import type { BinaryMethodName, ConstructorName, FunctionName, UnaryMethodName } from './ast.ts';
import { fail } from './evaluation-error.ts';
import {
  durationBetween,
  MS_PER_DAY,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  offsetBy,
  parseDatetime,
  parseDuration,
  startOfDay,
  timeOfDay,
  wholeUnits,
} from './extension-datetime.ts';
import { parseDecimal } from './extension-decimal.ts';
import { isInRange, isLoopback, isMulticast, parseIp } from './extension-ip.ts';

export type UnaryFunction = (operand: Value) => Value;
export type BinaryFunction = (left: Value, right: Value) => Value;

const CONSTRUCTORS: Readonly<Record<ConstructorName, (text: string) => Value | undefined>> = {
  ip: parseIp,
  decimal: parseDecimal,
  datetime: parseDatetime,
  duration: parseDuration,
};

const UNARY_METHODS: Readonly<Record<UnaryMethodName, UnaryFunction>> = {
  isIpv4: a => ip(a).version === 4,
  isIpv6: a => ip(a).version === 6,
  isLoopback: a => isLoopback(ip(a)),
  isMulticast: a => isMulticast(ip(a)),
  toDate: a => orFail(startOfDay(datetime(a))),
  toTime: a => timeOfDay(datetime(a)),
  toMilliseconds: a => duration(a).ms,
  toSeconds: a => wholeUnits(duration(a), MS_PER_SECOND),
  toMinutes: a => wholeUnits(duration(a), MS_PER_MINUTE),
  toHours: a => wholeUnits(duration(a), MS_PER_HOUR),
  toDays: a => wholeUnits(duration(a), MS_PER_DAY),
};

const BINARY_METHODS: Readonly<Record<BinaryMethodName, BinaryFunction>> = {
  isInRange: (a, b) => isInRange(ip(a), ip(b)),
  lessThan: (a, b) => decimal(a).units < decimal(b).units,
  lessThanOrEqual: (a, b) => decimal(a).units <= decimal(b).units,
  greaterThan: (a, b) => decimal(a).units > decimal(b).units,
  greaterThanOrEqual: (a, b) => decimal(a).units >= decimal(b).units,
  offset: (a, b) => orFail(offsetBy(datetime(a), duration(b))),
  durationSince: (a, b) => orFail(durationBetween(datetime(b), datetime(a))),
};

/** The function of one operand with this name, if there is one. */
export function unaryFunction(name: FunctionName): UnaryFunction | undefined {
  if (isConstructor(name)) {
    const parse = CONSTRUCTORS[name];
    return operand => orFail(typeof operand === 'string' ? parse(operand) : fail('TYPE_ERROR'));
  }
  return isUnaryMethod(name) ? UNARY_METHODS[name] : undefined;
}

/** The function of two operands with this name, if there is one. */
export function binaryFunction(name: FunctionName): BinaryFunction | undefined {
  return isBinaryMethod(name) ? BINARY_METHODS[name] : undefined;
}

/** Whether the name is written before its operand, `ip("…")`, rather than behind it. */
export function isConstructor(name: FunctionName): name is ConstructorName {
  return Object.hasOwn(CONSTRUCTORS, name);
}

function isUnaryMethod(name: FunctionName): name is UnaryMethodName {
  return Object.hasOwn(UNARY_METHODS, name);
}

function isBinaryMethod(name: FunctionName): name is BinaryMethodName {
  return Object.hasOwn(BINARY_METHODS, name);
}

function ip(value: Value): IpValue {
  return value instanceof IpValue ? value : fail('TYPE_ERROR');
}

function decimal(value: Value): DecimalValue {
  return value instanceof DecimalValue ? value : fail('TYPE_ERROR');
}

function datetime(value: Value): DatetimeValue {
  return value instanceof DatetimeValue ? value : fail('TYPE_ERROR');
}

function duration(value: Value): DurationValue {
  return value instanceof DurationValue ? value : fail('TYPE_ERROR');
}

function orFail(result: Value | undefined): Value {
  return result ?? fail('EXTENSION_ERROR');
}
