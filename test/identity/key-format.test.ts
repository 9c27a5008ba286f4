/** The form of keys: enough randomness, typos recognised, no bias. */
import { randomBytes } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32, makeKey, readKey } from '../../src/identity/key-format.ts';

describe('a new key', () => {
  test('is read back to its id', () => {
    for (let run = 0; run < 100; run += 1) {
      const { id, token } = makeKey(randomBytes);
      expect(readKey(token)).toEqual({ kind: 'key', id });
      expect(token).toMatch(/^dmn_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/);
    }
  });

  test('uses no byte that would favour some letters', () => {
    const bytes = (size: number) => new Uint8Array(size).map((_, index) => (index % 2 === 0 ? 255 : 61));
    expect(makeKey(bytes).id).toBe('z'.repeat(16));
  });
});

test('every single slip of the pen is recognised', () => {
  const { token } = makeKey(randomBytes);
  const letter = fc.stringMatching(/^[0-9A-Za-z_-]$/);
  fc.assert(
    fc.property(fc.nat({ max: token.length - 1 }), letter, (at, replacement) => {
      fc.pre(token[at] !== replacement);
      const typo = token.slice(0, at) + replacement + token.slice(at + 1);
      expect(readKey(typo).kind).not.toBe('key');
    }),
  );
});

test.each([
  ['', 'malformed'],
  ['dmn_', 'malformed'],
  ['DMN_0000000000000000_0000000000000000000000000000000000000000000000000', 'malformed'],
  ['dmn_0000000000000000_0000000000000000000000000000000000000000000000000', 'checksum'],
  ['dmn_0000000000000000_0000000000000000000000000000000000000000000000000\n', 'malformed'],
])('%j is no key: %s', (token, kind) => {
  expect(readKey(token)).toEqual({ kind });
});

test('the checksum is CRC-32 as zlib computes it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), text => {
      expect(crc32(text)).toBe(zlibCrc32(text));
    }),
  );
});
