/** Openings are what docs/adr/0008 says, whoever makes them and however many are made before. */
import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { OpeningSealer, openOpening } from '../../src/decision-log/opening.ts';

const LABEL = 'duramen/opening/v1';
const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** By Node's HMAC, block by block. */
function sealedAsDescribed(key: Uint8Array, disclosures: string, id: string): Buffer {
  const plain = Buffer.from(disclosures, 'latin1');
  const blocks = Array.from({ length: Math.ceil(plain.length / 32) }, (_, at) =>
    hmac(key, `${at + 1}\0${LABEL}\0${id}`),
  );
  const stream = Buffer.concat(blocks);
  const ciphertext = Buffer.from(plain.map((byte, at) => byte ^ stream.readUInt8(at)));
  const tag = hmac(key, `tag\0${LABEL}\0${id}\0${ciphertext.toString('latin1')}`).subarray(0, 16);
  return Buffer.concat([ciphertext, tag]);
}

test('an opening is the same as by the HMAC of Node, after openings under other keys', () => {
  const sealer = new OpeningSealer();
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.string(),
      fc.string(),
      (key, text, decisionId) => {
        const disclosures = Buffer.from(text).toString('base64url').repeat(3);
        const sealed = sealer.seal({ subject: { pseudonym: 'p:x', key }, disclosures, decisionId });
        expect(Buffer.from(sealed)).toEqual(sealedAsDescribed(key, disclosures, decisionId));
        expect(openOpening(sealed, key, decisionId)).toBe(disclosures);
      },
    ),
  );
});

test('an opening does not open with another key, for another decision, changed or cut', () => {
  const key = new Uint8Array(32).fill(7);
  const disclosures = 'WyJzYWx0IiwiaXAiLCIxMC4xLjIuMyJd';
  const subject = { pseudonym: 'p:x', key };
  const sealed = new OpeningSealer().seal({ subject, disclosures, decisionId: 'd1' });
  expect(openOpening(sealed, key, 'd1')).toBe(disclosures);
  expect(openOpening(sealed, new Uint8Array(32), 'd1')).toBeUndefined();
  expect(openOpening(sealed, key, 'd2')).toBeUndefined();
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Uint8Array.from(sealed, (byte, place) => (place === at ? byte ^ 1 : byte));
    expect(openOpening(changed, key, 'd1')).toBeUndefined();
    expect(openOpening(sealed.subarray(0, at), key, 'd1')).toBeUndefined();
  }
});
