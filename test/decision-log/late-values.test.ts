/** Blanks of leaves: what is put into them, and that no leaf is stored with the wrong number of them. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { claimOf, openDisclosure } from '../../src/decision-log/commitment.ts';
import {
  BLANK,
  LeafCompleter,
  type LateValues,
  requireComplete,
} from '../../src/decision-log/late-values.ts';
import { openOpening } from '../../src/decision-log/opening.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import { testRandom } from './completed-leaf.ts';

const KEY = new Uint8Array(32).fill(3);
const MAC_KEY = new Uint8Array(32).fill(4);
const MAC = { key: MAC_KEY, message: 'duramen/input/v1\0acme' };
const SUBJECT = { pseudonym: 'p:x', key: KEY };

const leafSchema = z.object({ _sd: z.array(z.string()), mac: z.string() });
const jsonValue: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.string(), { maxLength: 3 }),
);

function values(members: Partial<LateValues> = {}): LateValues {
  return { decisionId: 'd1', subject: SUBJECT, claims: [], mac: undefined, ...members };
}

describe('a leaf', () => {
  test('gets the digests of its claims, sorted, and the MAC of its input', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), jsonValue), { maxLength: 4 }), pairs => {
        const claims = pairs.map(([name, value]) => claimOf(name, value));
        const blanks = claims.map(() => `"${BLANK}"`).join();
        const leaf = Buffer.from(`{"_sd":[${blanks}],"ü":1,"mac":"${BLANK}"}`);
        const sealed = new LeafCompleter(randomBytes).complete(leaf, values({ claims, mac: MAC }));
        const { _sd: digests, mac } = leafSchema.parse(JSON.parse(leaf.toString()));
        expect(mac).toBe(createHmac('sha256', MAC_KEY).update(MAC.message).digest('base64url'));
        expect(digests).toEqual(digests.toSorted());
        const disclosures = sealed === undefined ? [] : openOpening(sealed, KEY, 'd1')?.split('~');
        expect(disclosures).toHaveLength(claims.length);
        const opened = disclosures?.map(one => openDisclosure(one, new Set(digests)));
        expect(opened).toEqual(pairs.map(([key, value]) => ({ key, value })));
      }),
    );
  });

  test('has for a claim the digest of RFC 9901 over salt, key and value', () => {
    const leaf = Buffer.from(`["${BLANK}"]`);
    new LeafCompleter(testRandom).complete(leaf, values({ claims: [claimOf('ip', '10.1.2.3')] }));
    const salt = Buffer.from('saltsaltsaltsalt').toString('base64url');
    const disclosure = Buffer.from(JSON.stringify([salt, 'ip', '10.1.2.3'])).toString('base64url');
    const digest = createHash('sha256').update(disclosure).digest('base64url');
    expect(JSON.parse(leaf.toString())).toEqual([digest]);
  });

  test("whose claims are nobody's is completed, and nothing opens them", () => {
    const leaf = Buffer.from(`["${BLANK}"]`);
    const late = values({ subject: undefined, claims: [claimOf('ip', '::1')] });
    expect(new LeafCompleter(randomBytes).complete(leaf, late)).toBeUndefined();
    expect(JSON.parse(leaf.toString())).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)]);
  });

  test.each<[string, string, Partial<LateValues>]>([
    ['a blank too few', '[]', { mac: MAC }],
    ['a blank too many', `["${BLANK}","${BLANK}"]`, { mac: MAC }],
    ['half a blank', `["${BLANK.slice(1)}"]`, { mac: MAC }],
    ['half a blank at its end', BLANK.slice(1), { mac: MAC }],
    ['a blank and no values', `["${BLANK}"]`, {}],
  ])('with %s is refused', (_what, text, members) => {
    const complete = () => new LeafCompleter(randomBytes).complete(Buffer.from(text), values(members));
    expect(complete).toThrow(/^a leaf has /);
  });

  test('without late values must have no blank', () => {
    expect(() => requireComplete(Buffer.from(`"${BLANK}"`))).toThrow('a blank that nothing fills');
    expect(() => requireComplete(Buffer.from('\0{"a":"\\u0001"}'))).not.toThrow();
  });
});

test('salts are 128 random bits each', () => {
  const completer = new LeafCompleter(randomBytes);
  const salts = Array.from({ length: 1_000 }, () => {
    const sealed = completer.complete(Buffer.from(BLANK), values({ claims: ['"k",1'] }));
    const disclosure = openOpening(sealed ?? new Uint8Array(0), KEY, 'd1') ?? '';
    const parts: unknown = JSON.parse(Buffer.from(disclosure, 'base64url').toString());
    return z.array(z.unknown()).parse(parts).map(String)[0] ?? '';
  });
  expect(new Set(salts).size).toBe(1_000);
  expect(salts.every(salt => /^[A-Za-z0-9_-]{22}$/.test(salt))).toBe(true);
});
