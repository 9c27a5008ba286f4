/** Addresses in one form: every spelling of one address counts together, and nothing else does. */
import { BlockList, isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressKey, isWithin, parseAddress, parseNetwork } from '../../src/domain/network-address.ts';

describe('parseAddress', () => {
  test.each([
    ['192.0.2.1', 4, [0xc000, 0x0201]],
    ['0.0.0.0', 4, [0, 0]],
    ['::', 6, [0, 0, 0, 0, 0, 0, 0, 0]],
    ['::1', 6, [0, 0, 0, 0, 0, 0, 0, 1]],
    ['2001:db8::', 6, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]],
    ['2001:DB8:0:0:1:0:0:1', 6, [0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]],
    ['1::3:4:5:6:7:8', 6, [1, 0, 3, 4, 5, 6, 7, 8]],
    ['64:ff9b::192.0.2.1', 6, [0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x0201]],
    ['::ffff:192.0.2.1', 4, [0xc000, 0x0201]],
    ['::FFFF:c000:201', 4, [0xc000, 0x0201]],
  ])('reads %s', (text, version, groups) => {
    expect(parseAddress(text)).toEqual({ version, groups });
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4/32',
    ' 1.2.3.4',
    '1.2.3.-4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    `${'0'.repeat(60)}::1`,
  ])('does not read %j', text => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('reads what the platform calls an address, and nothing else', () => {
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.'.split('')), maxLength: 24 }),
    );
    fc.assert(
      fc.property(text, given => {
        expect(parseAddress(given) !== undefined).toBe(isIP(given) !== 0);
      }),
    );
  });
});

describe('parseNetwork', () => {
  test.each([
    '1.2.3.4/33',
    '::/129',
    '1.2.3.4/',
    '1.2.3.4/-1',
    '1.2.3.4/08',
    '1.2.3.4/8/8',
    '::ffff:1.2.3.4/64',
  ])('does not read %s', text => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  test('holds the addresses that the platform finds in it', () => {
    const v4 = fc.tuple(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.constant('ipv4' as const));
    const v6 = fc.tuple(fc.ipV6(), fc.ipV6(), fc.integer({ min: 0, max: 128 }), fc.constant('ipv6' as const));
    fc.assert(
      fc.property(fc.oneof(v4, v6), ([network, address, prefix, family]) => {
        const range = parseNetwork(`${network}/${prefix}`);
        const given = parseAddress(address);
        // the platform keeps IPv4 within IPv6 apart; here it is IPv4
        fc.pre(range?.version === given?.version && (range?.version === 4) === (family === 'ipv4'));
        const list = new BlockList();
        list.addSubnet(network, prefix, family);
        expect(range !== undefined && given !== undefined && isWithin(given, range)).toBe(
          list.check(address, family),
        );
      }),
    );
  });

  test('finds an address in its own network', () => {
    expect(
      isWithin({ version: 4, groups: [0x0a01, 0x0203] }, { version: 4, groups: [0x0a00, 0], prefix: 8 }),
    ).toBe(true);
    expect(
      isWithin({ version: 4, groups: [0x0b01, 0x0203] }, { version: 4, groups: [0x0a00, 0], prefix: 8 }),
    ).toBe(false);
  });
});

test('addressKey takes together what shares its first bits, and keeps versions apart', () => {
  expect(addressKey('192.0.2.1', 24, 64)).toBe(addressKey('192.0.2.255', 24, 64));
  expect(addressKey('192.0.2.1', 24, 64)).not.toBe(addressKey('192.0.3.1', 24, 64));
  expect(addressKey('2001:db8:0:1::1', 32, 48)).toBe(addressKey('2001:db8:0:2::1', 32, 48));
  expect(addressKey('::c000:201', 32, 64)).not.toBe(addressKey('192.0.2.1', 32, 64));
});
