/** Extension functions: what they mean and how each fails. Their texts are in extension-texts.test.ts. */
import { describeSemantics } from './semantics.ts';

describeSemantics('extension constructors', [
  ['ip("1.2.3.4") == ip("1.2.3.4")', true],
  ['ip("nonsense") == ip("nonsense")', 'EXTENSION_ERROR'],
  ['decimal("1") == decimal("1")', 'EXTENSION_ERROR'],
  ['datetime("2024-02-30") == datetime("2024-02-30")', 'EXTENSION_ERROR'],
  ['duration("1x") == duration("1x")', 'EXTENSION_ERROR'],
  // Evaluated only if evaluation gets there, though it can never succeed.
  ['false && ip("nonsense").isIpv4()', false],
  ['[ip("nonsense")].isEmpty()', 'EXTENSION_ERROR'],
  ['ip(1) == 1', 'TYPE_ERROR'],
  ['decimal(1) == 1', 'TYPE_ERROR'],
  ['datetime(1) == 1', 'TYPE_ERROR'],
  ['duration(1) == 1', 'TYPE_ERROR'],
  ['ip(principal.name) == 1', 'EXTENSION_ERROR'],
  ['ip(resource.owner) == 1', 'ENTITY_MISSING'],
  ['ip("1.2.3.4")', 'TYPE_ERROR'],
]);

describeSemantics('the number of operands', [
  ['ip() == 1', 'WRONG_ARITY'],
  ['ip("1.2.3.4", "1.2.3.4") == 1', 'WRONG_ARITY'],
  ['ip("1.2.3.4").isIpv4(1)', 'WRONG_ARITY'],
  ['ip("1.2.3.4").isInRange()', 'WRONG_ARITY'],
  ['ip("1.2.3.4").isInRange(ip("1.0.0.0/8"), ip("2.0.0.0/8"))', 'WRONG_ARITY'],
  ['decimal("1.0").lessThan()', 'WRONG_ARITY'],
  ['datetime("2024-01-01").offset()', 'WRONG_ARITY'],
  ['datetime("2024-01-01").toDate(1) == 1', 'WRONG_ARITY'],
  ['false && ip()', false],
]);

describeSemantics('isIpv4 and isIpv6', [
  ['ip("1.2.3.4").isIpv4()', true],
  ['ip("::1").isIpv4()', false],
  ['ip("::1").isIpv6()', true],
  ['ip("1.2.3.4/8").isIpv6()', false],
  ['"1.2.3.4".isIpv4()', 'TYPE_ERROR'],
  ['1.isIpv6()', 'TYPE_ERROR'],
  ['decimal("1.0").isIpv6()', 'TYPE_ERROR'],
]);

describeSemantics('isLoopback and isMulticast', [
  ['ip("127.0.0.1").isLoopback()', true],
  ['ip("127.0.0.0/8").isLoopback()', true],
  ['ip("127.0.0.0/7").isLoopback()', false],
  ['ip("126.255.255.255").isLoopback()', false],
  ['ip("128.0.0.0").isLoopback()', false],
  ['ip("::1").isLoopback()', true],
  ['ip("::1/127").isLoopback()', false],
  ['ip("::2").isLoopback()', false],
  ['ip("224.0.0.1").isMulticast()', true],
  ['ip("239.255.255.255").isMulticast()', true],
  ['ip("240.0.0.0").isMulticast()', false],
  ['ip("224.0.0.0/4").isMulticast()', true],
  ['ip("224.0.0.0/3").isMulticast()', false],
  ['ip("ff02::1").isMulticast()', true],
  ['ip("fe80::1").isMulticast()', false],
  ['ip("ff00::/8").isMulticast()', true],
  ['ip("ff00::/7").isMulticast()', false],
  ['1.isLoopback()', 'TYPE_ERROR'],
  ['"x".isMulticast()', 'TYPE_ERROR'],
]);

describeSemantics('isInRange', [
  ['ip("10.1.2.3").isInRange(ip("10.0.0.0/8"))', true],
  ['ip("11.1.2.3").isInRange(ip("10.0.0.0/8"))', false],
  ['ip("10.0.0.0/8").isInRange(ip("10.0.0.0/8"))', true],
  ['ip("10.0.0.0/7").isInRange(ip("10.0.0.0/8"))', false],
  ['ip("10.1.0.0/16").isInRange(ip("10.0.0.0/8"))', true],
  ['ip("10.1.2.3").isInRange(ip("10.9.9.9/8"))', true],
  ['ip("1.2.3.4").isInRange(ip("1.2.3.4"))', true],
  ['ip("1.2.3.4").isInRange(ip("0.0.0.0/0"))', true],
  ['ip("::1").isInRange(ip("::/0"))', true],
  ['ip("2001:db8::1").isInRange(ip("2001:db8::/32"))', true],
  ['ip("2001:db9::1").isInRange(ip("2001:db8::/32"))', false],
  // Never across versions.
  ['ip("::1").isInRange(ip("0.0.0.0/0"))', false],
  ['ip("0.0.0.1").isInRange(ip("::/0"))', false],
  ['ip("1.2.3.4").isInRange("1.2.3.4")', 'TYPE_ERROR'],
  ['1.isInRange(ip("1.2.3.4"))', 'TYPE_ERROR'],
]);

describeSemantics('comparison of decimals', [
  ['decimal("1.1").lessThan(decimal("1.2"))', true],
  ['decimal("1.2").lessThan(decimal("1.2"))', false],
  ['decimal("-1.2").lessThan(decimal("-1.1"))', true],
  ['decimal("-0.0").lessThan(decimal("0.0"))', false],
  ['decimal("1.2").lessThanOrEqual(decimal("1.20"))', true],
  ['decimal("1.3").lessThanOrEqual(decimal("1.2"))', false],
  ['decimal("10.0").greaterThan(decimal("9.9999"))', true],
  ['decimal("1.0").greaterThan(decimal("1.0"))', false],
  ['decimal("1.0").greaterThanOrEqual(decimal("1.0"))', true],
  ['decimal("0.9").greaterThanOrEqual(decimal("1.0"))', false],
  ['decimal("922337203685477.5807").greaterThan(decimal("922337203685477.5806"))', true],
  ['decimal("-922337203685477.5808").lessThan(decimal("922337203685477.5807"))', true],
  ['decimal("1.0").lessThan(1)', 'TYPE_ERROR'],
  ['1.lessThan(decimal("1.0"))', 'TYPE_ERROR'],
  ['1.lessThan(2)', 'TYPE_ERROR'],
  ['decimal("1.0").lessThanOrEqual("1.0")', 'TYPE_ERROR'],
  ['decimal("1.0").greaterThan(ip("1.1.1.1"))', 'TYPE_ERROR'],
  ['decimal("1.0").greaterThanOrEqual(true)', 'TYPE_ERROR'],
]);

const FAR = 'duration("9223372036854775807ms")';

describeSemantics('offset and durationSince', [
  ['datetime("2024-02-28").offset(duration("1d")) == datetime("2024-02-29")', true],
  ['datetime("2024-01-01").offset(duration("-1ms")) == datetime("2023-12-31T23:59:59.999Z")', true],
  [`datetime("1970-01-01").offset(${FAR}) > datetime("9999-12-31")`, true],
  [`datetime("1970-01-02").offset(${FAR}) > datetime("1970-01-01")`, 'EXTENSION_ERROR'],
  ['datetime("2024-03-01").durationSince(datetime("2024-02-01")) == duration("29d")', true],
  ['datetime("2024-01-01").durationSince(datetime("2024-01-02")) == duration("-24h")', true],
  [
    `datetime("1970-01-01").offset(${FAR}).durationSince(datetime("1969-12-31")) == duration("0ms")`,
    'EXTENSION_ERROR',
  ],
  ['datetime("2024-01-01").offset(1) == 1', 'TYPE_ERROR'],
  ['datetime("2024-01-01").offset(datetime("2024-01-01")) == 1', 'TYPE_ERROR'],
  ['duration("1d").offset(duration("1d")) == 1', 'TYPE_ERROR'],
  ['datetime("2024-01-01").durationSince(duration("1d")) == 1', 'TYPE_ERROR'],
  ['1.durationSince(datetime("2024-01-01")) == 1', 'TYPE_ERROR'],
]);

const BEGINNING = 'datetime("1970-01-01").offset(duration("-9223372036854775808ms"))';

describeSemantics('toDate and toTime', [
  ['datetime("2024-05-06T07:08:09.010Z").toDate() == datetime("2024-05-06")', true],
  ['datetime("2024-05-06T07:08:09.010Z").toTime() == duration("7h8m9s10ms")', true],
  // Days before 1970 begin at their midnight too.
  ['datetime("1969-12-31T23:59:59.999Z").toDate() == datetime("1969-12-31")', true],
  ['datetime("1969-12-31T23:59:59.999Z").toTime() == duration("86399999ms")', true],
  ['datetime("1969-12-31").toDate() == datetime("1969-12-31")', true],
  ['datetime("1969-12-31").toTime() == duration("0ms")', true],
  [`${BEGINNING}.toTime() >= duration("0ms")`, true],
  [`${BEGINNING}.toDate() == ${BEGINNING}`, 'EXTENSION_ERROR'],
  ['duration("1d").toDate() == 1', 'TYPE_ERROR'],
  ['1.toTime() == 1', 'TYPE_ERROR'],
]);

describeSemantics('toMilliseconds to toDays', [
  ['duration("1d1ms").toMilliseconds() == 86400001', true],
  ['duration("1999ms").toSeconds() == 1', true],
  ['duration("59s").toMinutes() == 0', true],
  ['duration("119m").toHours() == 1', true],
  ['duration("47h").toDays() == 1', true],
  // Truncated towards zero.
  ['duration("-1ms").toSeconds() == 0', true],
  ['duration("-1999ms").toSeconds() == -1', true],
  ['duration("-47h").toDays() == -1', true],
  [`${FAR}.toMilliseconds() - 1 + 1 == ${FAR}.toMilliseconds()`, true],
  [`${FAR}.toDays() == 106751991167`, true],
  ['datetime("2024-01-01").toMilliseconds() == 1', 'TYPE_ERROR'],
  ['1.toSeconds() == 1', 'TYPE_ERROR'],
  ['"1m".toMinutes() == 1', 'TYPE_ERROR'],
  ['decimal("1.0").toHours() == 1', 'TYPE_ERROR'],
  ['true.toDays() == 1', 'TYPE_ERROR'],
]);
