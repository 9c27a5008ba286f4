/** Our HMAC is Node's, for every key and text. */
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HmacKey } from '../../src/decision-log/hmac.ts';

test('is HMAC-SHA-256 as node:crypto has it', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.string({ unit: 'grapheme', maxLength: 400 }),
      (key, text) => {
        const expected = createHmac('sha256', key).update(text).digest('hex');
        const hmac = new HmacKey(key);
        expect(Buffer.from(hmac.mac(text, 'binary'), 'latin1').toString('hex')).toBe(expected);
        expect(Buffer.from(hmac.mac(text, 'base64url'), 'base64url').toString('hex')).toBe(expected);
      },
    ),
  );
});

// RFC 4231 §4.3
test('gives the published vector', () => {
  const mac = new HmacKey(Buffer.from('Jefe')).mac('what do ya want for nothing?', 'binary');
  expect(Buffer.from(mac, 'latin1').toString('hex')).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('has nothing left of the key before, whatever their lengths', () => {
  const hmac = new HmacKey(new Uint8Array(64).fill(0xff));
  hmac.mac('a text under the first key', 'binary');
  hmac.rekey(Buffer.from('Jefe'));
  const expected = createHmac('sha256', 'Jefe').update('short').digest('base64url');
  expect(hmac.mac('short', 'base64url')).toBe(expected);
});

test('takes no key that would have to be hashed first', () => {
  expect(() => new HmacKey(new Uint8Array(65))).toThrow(RangeError);
  expect(() => new HmacKey(new Uint8Array(1)).rekey(new Uint8Array(65))).toThrow(RangeError);
});
