/** One encoding of each value, and nothing else, is DER. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DerReader,
  readBits,
  readBoolean,
  readObjectId,
  readSerial,
  readSmallInteger,
  readTime,
  readWhole,
  TAG,
} from '../../../src/identity/certificates/der.ts';
import { CertificateError } from '../../../src/identity/certificates/certificate-error.ts';
import { element, integer, namedBits, objectId, sequence, time } from './der-writer.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const whole = (hex: string) => (): unknown => readWhole(bytes(hex), TAG.sequence);
const inTime = (tag: number, text: string) => (): unknown =>
  readTime(new DerReader(element(tag, Buffer.from(text, 'latin1'))).next());

const REFUSED: Readonly<Record<string, () => unknown>> = {
  'an empty text': whole(''),
  'an indefinite length': whole('30 80 00 00'),
  'a padded length': whole('30 81 03 02 01 01'),
  'a length with a leading zero': whole('30 82 00 80'),
  'a length of five bytes': whole('30 85 01 00 00 00 00'),
  'a length beyond the end': whole('30 05 02 01 01'),
  'a tag of two bytes': whole('3f 81 01 00'),
  'another tag': whole('31 00'),
  'bytes behind the value': whole('30 00 00'),
  'a boolean of 01': () => readBoolean(bytes('01')),
  'a boolean of two bytes': () => readBoolean(bytes('ff ff')),
  'a padded integer': () => readSmallInteger(bytes('00 01')),
  'an empty integer': () => readSerial(bytes('')),
  'a negative serial number': () => readSerial(bytes('80')),
  'a padded serial number': () => readSerial(bytes('00 7f')),
  'a large small integer': () => readSmallInteger(bytes('01 00 00 00 00')),
  'a padded object identifier': () => readObjectId(bytes('55 80 01')),
  'a cut object identifier': () => readObjectId(bytes('55 81')),
  'an empty object identifier': () => readObjectId(bytes('')),
  'bits with trailing zeros': () => readBits(bytes('00 80 00')),
  'bits with padding that is set': () => readBits(bytes('06 c1')),
  'bits with eight unused ones': () => readBits(bytes('08 80')),
  'a time without seconds': inTime(TAG.utcTime, '2601010000Z'),
  'a time with an offset': inTime(TAG.utcTime, '260101000000+0100'),
  'a time with fractions': inTime(TAG.generalizedTime, '20260101000000.5Z'),
  'a thirtieth of February': inTime(TAG.utcTime, '260230000000Z'),
  'a 25th hour': inTime(TAG.generalizedTime, '20260101250000Z'),
  'a time as a text': inTime(TAG.utf8String, '260101000000Z'),
};

describe('the reader of DER', () => {
  test.each(Object.entries(REFUSED))('refuses %s', (_, read) => {
    expect(read).toThrow(CertificateError);
  });

  test('reads back what is written', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 159n }), serial => {
        const { content } = new DerReader(integer(serial)).next(TAG.integer);
        expect(BigInt(`0x${readSerial(content)}`)).toBe(serial);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_799 }), seconds => {
        expect(readTime(new DerReader(time(seconds * 1000)).next())).toBe(seconds * 1000);
      }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 8 })), set => {
        const { content } = new DerReader(namedBits(set)).next(TAG.bitString);
        const read = readBits(content).flatMap((isSet, at) => (isSet ? [at] : []));
        expect(read).toEqual(set.toSorted((left, right) => left - right));
      }),
    );
    for (const id of ['2.5.29.17', '1.3.6.1.5.5.7.3.2', '1.2.840.113549.1.1.11']) {
      expect(readObjectId(new DerReader(objectId(id)).next().content)).toBe(id);
    }
  });

  test('fails on any bytes with its own error alone, and never reads beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), noise => {
        const reader = new DerReader(sequence(noise));
        const inside = reader.inside(TAG.sequence);
        const lengths: number[] = [];
        const outcome = outcomeOf(() => {
          while (!inside.isAtEnd) lengths.push(inside.next().bytes.length);
        });
        expect(['understood', 'CertificateError']).toContain(outcome);
        expect(lengths.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(noise.length);
      }),
    );
  });
});

/** The name of the error, or that there was none. */
function outcomeOf(read: () => unknown): string {
  try {
    read();
    return 'understood';
  } catch (error) {
    return error instanceof Error ? error.name : 'no error';
  }
}
