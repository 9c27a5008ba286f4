/**
 * Which texts are extension values: tables of the edges, then generated ones, valid and hostile. Every text
 * is also given to cedar-wasm, which must accept the same and compare them the same way.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDatetime, parseDuration } from '../../src/cedar/extension-datetime.ts';
import { formatDecimal, parseDecimal } from '../../src/cedar/extension-decimal.ts';
import { formatIp, parseIp } from '../../src/cedar/extension-ip.ts';
import { cedarOutcomes, ourOutcome, record } from './small-world.ts';

type Constructor = 'ip' | 'decimal' | 'datetime' | 'duration';

interface Texts {
  readonly valid: readonly string[];
  readonly invalid: readonly string[];
}

/** The texts between white space. */
function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

const TEXTS: Readonly<Record<Constructor, Texts>> = {
  ip: {
    valid: words(`
      0.0.0.0 255.255.255.255 1.2.3.4/0 1.2.3.4/32 127.0.0.1/8 :: ::1 1:: ::/0 ::1/128 1::8 0001::
      1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 ABCD:ef01:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128`),
    invalid: words(`
      1.2.3 1.2.3.4.5 256.1.1.1 01.2.3.4 1.2.3.04 1.2.3. 1.2.3.4/33 1.2.3.4/ 1.2.3.4/08 1.2.3.4/00 1.2.3.4/+8
      1.2.3.4/-1 1.2.3.4/8/8 ::1/129 ::1/0128 ::: 1:2:3 1:2:3:4:5:6:7:8:9 ::1:: 1:2:3:4:5:6:7:8:: 12345:: g::
      ::ffff:1.2.3.4 ::1.2.3.4 fe80::1%eth0 [::1] 1:2:3:4::5:6:7:8 :1 1: /8 ١.2.3.4 localhost 0x7f.0.0.1
      2130706433 00000:: 1/2`).concat('', ' ', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\n', '1.2.3.4/8 '),
  },
  decimal: {
    valid: words(`
      0.0 -0.0 1.0 1.2345 -1.5 00.1 007.7 922337203685477.5807 -922337203685477.5808 -0.0001`).concat(
      `${'0'.repeat(2000)}1.5`,
    ),
    invalid: words(`
      1 1. .5 -.5 +1.0 1.23456 1,5 --1.0 1.-5 1e3 1.0e3 922337203685477.5808 -922337203685477.5809
      9223372036854775808.0 ١.٥ 0x1.0 1_000.0 NaN Infinity 1.2.3 -`).concat([
      '',
      '1.0 ',
      ' 1.0',
      '1.0\n',
      `${'9'.repeat(2000)}.0`,
    ]),
  },
  datetime: {
    valid: words(`
      1970-01-01 0000-01-01 9999-12-31 2024-02-29 2000-02-29 2024-01-01T00:00:00Z 2024-01-01T23:59:59.999Z
      2024-01-01T00:00:00+0000 2024-01-01T00:00:00-2359 2024-01-01T00:00:00.000+0130
      0000-01-01T00:00:00+2359 9999-12-31T23:59:59.999-2359`),
    invalid: words(`
      2024 2024-1-1 24-01-01 2024-13-01 2024-00-01 2024-01-00 2024-01-32 2023-02-29 1900-02-29 2024-04-31
      2024-01-01T 2024-01-01T00:00:00 2024-01-01Z 2024-01-01t00:00:00Z 2024-01-01T00:00:00z
      2024-01-01T24:00:00Z 2024-01-01T00:60:00Z 2024-01-01T00:00:60Z 2016-12-31T23:59:60Z 2024-01-01T00:00Z
      2024-01-01T00:00:00.1Z 2024-01-01T00:00:00.1234Z 2024-01-01T00:00:00+01:00 2024-01-01T00:00:00+2400
      2024-01-01T00:00:00+0060 2024-01-01T00:00:00+01 +2024-01-01 -0001-01-01 12024-01-01 ٢٠٢٤-01-01
      2024-01-01T00:00:00ZZ`).concat('', '2024-01-01\n', ' 2024-01-01', '2024-01-01 00:00:00Z'),
  },
  duration: {
    valid: words(`
      0ms 1d 1h 1m 1s 1ms 1d2h3m4s5ms -1d2h3m4s5ms 1d5ms 00001s -0ms 90m 9223372036854775807ms
      -9223372036854775808ms 106751991167d7h12m55s807ms`).concat(`${'0'.repeat(2000)}1s`),
    invalid: words(`
      - 1 d 1x 1D 1h1d 1ms1s 1d1d +1d --1d 1d-2h 1.5h 9223372036854775808ms -9223372036854775809ms
      106751991167d7h12m55s808ms 106751991168d 99999999999999999999d ٣d ms 1min 1w`).concat([
      '',
      ' 1d',
      '1d ',
      '1d 2h',
      '1d\n',
      `${'9'.repeat(2000)}ms`,
    ]),
  },
};

describe.each(Object.entries(TEXTS))('%s', (name, { valid, invalid }) => {
  const construct = `${name}(context.text) == ${name}(context.text)`;

  it.each(valid)('takes %j', text => {
    expect(ourOutcome(construct, record({ text }))).toBe(true);
  });

  it.each(invalid)('fails for %j', text => {
    expect(ourOutcome(construct, record({ text }))).toBe('EXTENSION_ERROR');
  });

  it('agrees with Cedar on all of them', () => {
    const texts = [...valid, ...invalid];
    const context = Object.fromEntries(texts.map((text, i) => [`t${i}`, text]));
    const cedars = cedarOutcomes(
      texts.map((_, i) => `${name}(context.t${i}) == ${name}(context.t${i})`),
      context,
    );
    expect(cedars).toEqual([...valid.map(() => true), ...invalid.map(() => 'error')]);
  });
});

const digits = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...words('0 1 2 3 4 5 6 7 8 9')), minLength: 1, maxLength: max });
const octet = fc.integer({ min: 0, max: 256 }).map(String);
const group = fc.oneof(
  fc.integer({ min: 0, max: 65_536 }).map(n => n.toString(16)),
  fc.constantFrom('0', '0000', 'FFFF', 'ff02', '1'),
);
const prefix = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  fc.integer({ min: 0, max: 130 }).map(bits => `/${bits}`),
);
const two = (max: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max }).map(n => String(n).padStart(2, '0'));

const GENERATED: Readonly<Record<Constructor, fc.Arbitrary<string>>> = {
  ip: fc.oneof(
    fc.tuple(octet, octet, octet, octet, prefix).map(([a, b, c, d, p]) => `${a}.${b}.${c}.${d}${p}`),
    fc
      .tuple(fc.array(group, { maxLength: 7 }), fc.array(group, { maxLength: 4 }), prefix)
      .map(([head, tail, p]) => `${head.join(':')}::${tail.join(':')}${p}`),
    fc
      .tuple(fc.array(group, { minLength: 7, maxLength: 9 }), prefix)
      .map(([groups, p]) => groups.join(':') + p),
  ),
  decimal: fc
    .tuple(fc.constantFrom('', '-'), fc.oneof(digits(4), digits(20)), digits(5))
    .map(([sign, whole, fraction]) => `${sign}${whole}.${fraction}`),
  datetime: fc
    .tuple(
      fc.integer({ min: 0, max: 9999 }).map(n => String(n).padStart(4, '0')),
      fc.tuple(two(13), two(32)).map(([month, day]) => `${month}-${day}`),
      fc.oneof(
        fc.constant(''),
        fc
          .tuple(two(24), two(60), two(60), fc.constantFrom('', '.000', '.5', '.999'))
          .chain(([h, m, s, ms]) =>
            fc
              .oneof(
                fc.constantFrom('Z', '', 'z'),
                fc.tuple(two(24), two(60)).map(([oh, om]) => `-${oh}${om}`),
                fc.tuple(two(24), two(60)).map(([oh, om]) => `+${oh}${om}`),
              )
              .map(zone => `T${h}:${m}:${s}${ms}${zone}`),
          ),
      ),
    )
    .map(([year, date, time]) => `${year}-${date}${time}`),
  duration: fc
    .tuple(
      fc.constantFrom('', '', '-'),
      fc.tuple(
        ...['d', 'h', 'm', 's', 'ms'].map(unit =>
          fc.option(fc.oneof(digits(3), digits(20)).map(n => n + unit)),
        ),
      ),
    )
    .map(([sign, parts]) => sign + parts.map(part => part ?? '').join('')),
};

/** One character inserted or dropped somewhere. */
const damage = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      text,
      fc.nat(),
      fc.option(fc.constantFrom(...words('0 - + . : / d T Z ٣ é'), '\u0000', '\n', ' '), { freq: 3 }),
    )
    .map(([whole, at, character]) => {
      const position = at % (whole.length + 1);
      const rest = whole.slice(position + (character === null ? 1 : 0));
      return whole.slice(0, position) + (character ?? '') + rest;
    });

/** Expressions over two values that tell them apart; all of them err when a text is malformed. */
const COMPARISONS: Readonly<Record<Constructor, readonly string[]>> = {
  ip: ['A == B', 'A.isInRange(B)', 'A.isLoopback() || A.isMulticast()', 'A.isIpv4() == B.isIpv6()'],
  decimal: ['A == B', 'A.lessThan(B)', 'A.greaterThanOrEqual(B)'],
  datetime: ['A < B', 'A.toTime() <= B.toTime()', 'A.durationSince(B).toDays() > 9999', 'A.toDate() == A'],
  duration: ['A <= B', 'A.toHours() > B.toMinutes()', 'datetime("1969-01-01").offset(A).toTime() < B'],
};

/** Texts in one call of cedar-wasm: each call costs as much as some hundred policies. */
const BATCH = 100;

describe.each(['ip', 'decimal', 'datetime', 'duration'] as const)('generated %s', name => {
  const text = GENERATED[name];
  const comparisons = COMPARISONS[name];

  it('is accepted and compared as Cedar does', () => {
    const candidate = fc.oneof({ weight: 3, arbitrary: text }, damage(text));
    const pairs = fc.array(fc.tuple(candidate, candidate), { minLength: BATCH, maxLength: BATCH });
    fc.assert(
      fc.property(pairs, batch => {
        const context: Record<string, string> = {};
        const expressions = batch.flatMap(([a, b], i) => {
          context[`a${i}`] = a;
          context[`b${i}`] = b;
          return comparisons.map(comparison =>
            comparison.replaceAll('A', `${name}(context.a${i})`).replaceAll('B', `${name}(context.b${i})`),
          );
        });
        const ours = expressions.map(expression => ourOutcome(expression, record(context)));
        const cedars = cedarOutcomes(expressions, context);
        expect(ours.map(outcome => (typeof outcome === 'string' ? 'error' : outcome))).toEqual(cedars);
      }),
      { numRuns: 5 },
    );
  });
});

describe('printing', () => {
  it('gives every decimal a text that parses to it', () => {
    const value = GENERATED.decimal.map(parseDecimal).filter(parsed => parsed !== undefined);
    fc.assert(
      fc.property(value, decimal => {
        expect(parseDecimal(formatDecimal(decimal))).toEqual(decimal);
      }),
    );
  });

  it('gives every address a text that parses to it', () => {
    const value = GENERATED.ip.map(parseIp).filter(parsed => parsed !== undefined);
    fc.assert(
      fc.property(value, ip => {
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
    );
  });

  it.each([
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
    ['2001:DB8::1/64', '2001:db8::1/64'],
    ['10:0:0:0:0:0:0:0', '10::'],
    ['0:0:0:0:0:0:0:10', '::10'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['1.2.3.4/32', '1.2.3.4'],
  ])('writes the address %s as %s', (text, printed) => {
    const value = parseIp(text);
    expect(value === undefined ? undefined : formatIp(value)).toBe(printed);
  });
});

describe('dates', () => {
  it('are those of the Gregorian calendar from year 0 to 9999', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31T23:59:59.999Z') }),
        date => {
          fc.pre(!Number.isNaN(date.getTime()));
          expect(parseDatetime(date.toISOString())?.epochMs).toBe(date.getTime());
        },
      ),
    );
  });

  it('have durations that add up', () => {
    expect(parseDuration('1d1h1m1s1ms')?.ms).toBe(86_400_000 + 3_600_000 + 60_000 + 1000 + 1);
  });
});
