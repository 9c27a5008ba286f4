/** Booleans, conditionals, equality, order and arithmetic: what they mean and how each fails. */
import { describeSemantics } from './semantics.ts';

describeSemantics('a condition', [
  ['true', true],
  ['false', false],
  ['1', 'TYPE_ERROR'],
  ['"true"', 'TYPE_ERROR'],
  ['principal', 'TYPE_ERROR'],
  ['principal.admin', true],
]);

describeSemantics('&&', [
  ['true && true', true],
  ['true && false', false],
  ['false && true', false],
  // The right operand is evaluated only behind true, and must be a boolean then.
  ['false && 1', false],
  ['false && resource.missing', false],
  ['true && 1', 'TYPE_ERROR'],
  ['1 && true', 'TYPE_ERROR'],
  ['true && resource.missing', 'ENTITY_MISSING'],
  ['resource.missing && false', 'ENTITY_MISSING'],
]);

describeSemantics('||', [
  ['false || true', true],
  ['false || false', false],
  // The right operand is evaluated only behind false, and must be a boolean then.
  ['true || 1', true],
  ['true || resource.missing', true],
  ['false || 1', 'TYPE_ERROR'],
  ['1 || true', 'TYPE_ERROR'],
  ['false || resource.missing', 'ENTITY_MISSING'],
]);

describeSemantics('!', [
  ['!false', true],
  ['!true', false],
  ['!!true', true],
  ['!1', 'TYPE_ERROR'],
  ['!resource.missing', 'ENTITY_MISSING'],
]);

describeSemantics('if', [
  ['if true then true else false', true],
  ['if false then true else false', false],
  // Only the branch taken is evaluated, and only its type counts.
  ['if true then true else resource.missing', true],
  ['if false then resource.missing else true', true],
  ['if true then true else 1', true],
  ['if true then 1 else true', 'TYPE_ERROR'],
  ['(if true then 1 else "x") == 1', true],
  ['(if false then 1 else "x") == "x"', true],
  ['if 1 then true else true', 'TYPE_ERROR'],
  ['if resource.missing then true else true', 'ENTITY_MISSING'],
]);

describeSemantics('== and !=', [
  ['1 == 1', true],
  ['1 != 1', false],
  ['-0 == 0', true],
  ['0 * -5 == 0', true],
  ['"a" == "a"', true],
  ['"a" == "A"', false],
  ['"é" == "e\\u{301}"', false],
  ['true == true', true],
  // Values of different types are unequal; that is no error.
  ['1 == "1"', false],
  ['1 != "1"', true],
  ['1 == true', false],
  ['[] == {}', false],
  ['"alice" == principal', false],
  ['principal == User::"alice"', true],
  ['principal == Team::"alice"', false],
  ['User::"nobody" == principal.enemy', true],
  ['[1, 2] == [2, 1, 1]', true],
  ['[1, 2] == [1]', false],
  ['[[1], [1, 1]] == [[1]]', true],
  ['[1, "a", true] == [true, 1, "a"]', true],
  ['{a: 1, b: [2]} == {b: [2], a: 1}', true],
  ['{a: 1} == {a: 1, b: 2}', false],
  ['{a: 1} == {a: 2}', false],
  ['{a: 1} == {b: 1}', false],
  ['context == {}', true],
  ['principal.address == {city: "Bern", geo: {lat: 46}}', true],
  ['decimal("1.0") == decimal("1.0000")', true],
  ['ip("1.2.3.4") == ip("1.2.3.4/32")', true],
  ['ip("10.0.0.1/8") == ip("10.0.0.2/8")', false],
  ['ip("::1") == ip("0:0:0:0:0:0:0:1")', true],
  ['ip("0.0.0.1") == ip("::1")', false],
  ['datetime("2024-01-01") == datetime("2024-01-01T01:00:00+0100")', true],
  ['duration("1h") == duration("60m")', true],
  ['datetime("1970-01-01") == duration("0ms")', false],
  ['resource.missing == 1', 'ENTITY_MISSING'],
  ['1 == resource.missing', 'ENTITY_MISSING'],
]);

describeSemantics('< <= > >=', [
  ['1 < 2', true],
  ['2 < 1', false],
  ['1 < 1', false],
  ['1 <= 1', true],
  ['2 <= 1', false],
  ['2 > 1', true],
  ['1 > 1', false],
  ['1 >= 1', true],
  ['1 >= 2', false],
  ['-1 < 0', true],
  ['9007199254740991 + 1 > 9007199254740991', true],
  ['9007199254740991 + 1 < 9007199254740991 + 2', true],
  ['0 - 9007199254740991 - 2 < -9007199254740991', true],
  ['datetime("2024-01-01") < datetime("2024-01-02")', true],
  ['datetime("2024-01-01") >= datetime("2024-01-02")', false],
  ['duration("1d") > duration("23h")', true],
  ['duration("1d") <= duration("24h")', true],
  ['1 < "2"', 'TYPE_ERROR'],
  ['"1" < "2"', 'TYPE_ERROR'],
  ['true < false', 'TYPE_ERROR'],
  ['[1] < [2]', 'TYPE_ERROR'],
  ['principal < principal', 'TYPE_ERROR'],
  ['ip("1.1.1.1") < ip("1.1.1.2")', 'TYPE_ERROR'],
  ['decimal("1.0") < decimal("2.0")', 'TYPE_ERROR'],
  ['datetime("2024-01-01") < duration("1d")', 'TYPE_ERROR'],
  ['1 <= duration("1d")', 'TYPE_ERROR'],
  ['"a" >= 1', 'TYPE_ERROR'],
  ['1 > principal', 'TYPE_ERROR'],
  ['resource.missing < 1', 'ENTITY_MISSING'],
]);

/** The greatest and the least Long; their literals cannot be carried exactly by JSON, so they are computed. */
const MAX = '(9007199254740991 * 1024 + 1023)';
const MIN = '(-9007199254740991 * 1024 - 1024)';

describeSemantics('+ - *', [
  ['1 + 2 == 3', true],
  ['1 - 2 == -1', true],
  ['2 * -3 == -6', true],
  ['9007199254740991 + 1 - 1 == 9007199254740991', true],
  ['9007199254740991 + 2 == 9007199254740991 + 1', false],
  ['9007199254740991 * 3 - 9007199254740991 * 2 == 9007199254740991', true],
  [`${MAX} + 0 == ${MAX}`, true],
  [`${MAX} - 1 + 1 == ${MAX}`, true],
  [`${MAX} + ${MIN} == -1`, true],
  [`${MAX} * 1 == ${MAX}`, true],
  [`${MAX} > ${MIN}`, true],
  [`${MAX} == ${MIN}`, false],
  [`${MAX} + 1 == 0`, 'INTEGER_OVERFLOW'],
  [`${MIN} - 1 == 0`, 'INTEGER_OVERFLOW'],
  [`${MIN} * -1 == 0`, 'INTEGER_OVERFLOW'],
  [`${MAX} * 2 == 0`, 'INTEGER_OVERFLOW'],
  [`${MAX} - -1 == 0`, 'INTEGER_OVERFLOW'],
  ['9007199254740991 * 9007199254740991 == 0', 'INTEGER_OVERFLOW'],
  // The intermediate result counts, not the final one.
  [`${MAX} + 1 - 1 == ${MAX}`, 'INTEGER_OVERFLOW'],
  ['1 + "a" == 1', 'TYPE_ERROR'],
  ['"a" + "b" == "ab"', 'TYPE_ERROR'],
  ['true - 1 == 0', 'TYPE_ERROR'],
  ['decimal("1.0") * 2 == 2', 'TYPE_ERROR'],
  ['duration("1h") + duration("1h") == duration("2h")', 'TYPE_ERROR'],
  ['resource.missing + 1 == 1', 'ENTITY_MISSING'],
  ['1 + 1', 'TYPE_ERROR'],
]);

describeSemantics('unary -', [
  ['-(1) == -1', true],
  ['-(0) == 0', true],
  ['-(-1) == 1', true],
  ['-principal.age == -30', true],
  [`-${MAX} == ${MIN} + 1`, true],
  [`-${MIN} == 0`, 'INTEGER_OVERFLOW'],
  ['-"a" == 1', 'TYPE_ERROR'],
  ['-(true) == 1', 'TYPE_ERROR'],
  ['-(1)', 'TYPE_ERROR'],
]);
