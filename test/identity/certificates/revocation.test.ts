/** Lists of revoked certificates and the deny list: what they say, until when, and what is refused to be read. */
import { describe, expect, test } from 'vitest';
import type { CertificateCause } from '../../../src/identity/certificates/certificate-cause.ts';
import { CertificateError } from '../../../src/identity/certificates/certificate-error.ts';
import { readDenyList } from '../../../src/identity/certificates/deny-list.ts';
import { readPemFile } from '../../../src/identity/certificates/pem.ts';
import { readRevocationList } from '../../../src/identity/certificates/revocation-list.ts';
import { sequence } from './der-writer.ts';
import { makeAuthority, USAGE } from './forge.ts';
import { judge } from './judging.ts';

const ID = 'spiffe://acme.example/gateway';
const HOUR_MS = 3_600_000;
const now = Date.now();
const root = makeAuthority();
const namesake = makeAuthority();
const middle = root.issueAuthority();
const leaf = root.issue({ uris: [ID] });
const below = middle.issue({ uris: [ID] });
const silent = makeAuthority({ subject: 'CN=silent', keyUsage: [USAGE.keyCertSign] });
const empty = root.revoke([]);

type Case = readonly [cause: CertificateCause | undefined, lists: readonly string[]];

const CASES: Readonly<Record<string, Case>> = {
  'is believed when the list does not name it': [undefined, [empty]],
  'is refused when the list names it': ['certificate_revoked', [root.revoke([leaf.serial])]],
  'is refused when the newest of two lists names it': [
    'certificate_revoked',
    [root.revoke([], { thisUpdate: now - 2 * HOUR_MS }), root.revoke([leaf.serial])],
  ],
  'is believed when the newest of two lists no longer names it': [
    undefined,
    [root.revoke([leaf.serial], { thisUpdate: now - 2 * HOUR_MS }), empty],
  ],
  'is refused when the list is out of date': [
    'certificate_revocation_unknown',
    [root.revoke([], { thisUpdate: now - 2 * HOUR_MS, nextUpdate: now - HOUR_MS })],
  ],
  'is refused when the list is of tomorrow': [
    'certificate_revocation_unknown',
    [root.revoke([], { thisUpdate: now + HOUR_MS, nextUpdate: now + 2 * HOUR_MS })],
  ],
  'is refused when its CA has no list': ['certificate_revocation_unknown', [silent.revoke([])]],
  'is refused when a namesake of its CA signed the list': [
    'certificate_revocation_unknown',
    [namesake.revoke([])],
  ],
  'is refused when there are lists and none is given': ['certificate_revocation_unknown', []],
};

describe('a certificate', () => {
  test.each(Object.entries(CASES))('%s', (_, [cause, lists]) => {
    expect(judge({ roots: [root], lists }, leaf).cause).toBe(cause);
  });

  test('is refused when the CA between is revoked, or has no list', () => {
    const lists = [middle.revoke([])];
    expect(judge({ roots: [root], lists: [...lists, empty] }, below, middle).cause).toBeUndefined();
    expect(
      judge({ roots: [root], lists: [...lists, root.revoke([middle.serial])] }, below, middle).cause,
    ).toBe('certificate_revoked');
    expect(judge({ roots: [root], lists: [empty] }, below, middle).cause).toBe(
      'certificate_revocation_unknown',
    );
  });

  test('is not believed beyond the end of the list', () => {
    const until = judge({ roots: [root], lists: [root.revoke([], { nextUpdate: now + HOUR_MS })] }, leaf);
    expect(until).toMatchObject({ validUntil: Math.floor((now + HOUR_MS) / 1000) * 1000 });
  });

  test('is refused when its CA may not sign lists', () => {
    const certificate = silent.issue({ uris: [ID] });
    expect(judge({ roots: [silent], lists: [silent.revoke([])] }, certificate).cause).toBe(
      'certificate_revocation_unknown',
    );
  });
});

describe('the reading of a list', () => {
  const derOf = (pem: string): Uint8Array => readPemFile(pem, 'X509 CRL')[0] ?? new Uint8Array();
  const critical = { extra: [{ id: '2.5.29.28', critical: true, value: sequence() }] };
  const MALFORMED: Readonly<Record<string, () => Uint8Array>> = {
    'is partial or indirect': () => derOf(root.revoke([], critical)),
    'is a delta': () =>
      derOf(root.revoke([], { extra: [{ id: '2.5.29.27', critical: true, value: sequence() }] })),
    'has entries of other CAs': () =>
      derOf(root.revoke([1n], { entryExtra: [{ id: '2.5.29.29', critical: true, value: sequence() }] })),
    'does not say when the next one comes': () => derOf(root.revoke([], { nextUpdate: undefined })),
    'is a certificate': () => leaf.der,
    'is cut off': () => derOf(empty).subarray(0, 100),
    'has bytes behind it': () => Buffer.concat([derOf(empty), Buffer.from([5, 0])]),
    'is nothing': () => new Uint8Array(),
  };
  test.each(Object.entries(MALFORMED))('refuses one that %s', (_, make) => {
    expect(() => readRevocationList(make())).toThrow(CertificateError);
  });

  test('takes extensions that are not critical', () => {
    const list = root.revoke([7n], { extra: [{ id: '2.5.29.20', critical: false, value: sequence() }] });
    expect([...readRevocationList(derOf(list)).serials]).toEqual(['07']);
  });

  test('reads many entries', () => {
    const serials = Array.from({ length: 20_000 }, (_, at) => BigInt(at + 1));
    expect(readRevocationList(derOf(root.revoke(serials))).serials.size).toBe(20_000);
  });
});

describe('the deny list', () => {
  test('is read line by line, in the spellings that tools print', () => {
    const hash = Buffer.alloc(32, 0xab);
    const colons = hash.toString('hex').replaceAll(/(..)(?=.)/g, '$1:');
    const list = readDenyList(
      `# stolen laptops\n\nserial 0a:1b\nserial 0x0C1\nkey ${colons}\nkey ${hash.toString('base64')}\n  id ${ID}\r\n`,
    );
    expect([...list.serials]).toEqual(['0A1B', 'C1']);
    expect([...list.keys]).toEqual([hash.toString('base64url')]);
    expect([...list.ids]).toEqual([ID]);
  });

  test.each(['serial', 'serial xyz', 'serial 1 2', 'key 1234', 'id gateway', 'fingerprint 00', 'SERIAL 00'])(
    'is refused as a whole with the line `%s`',
    line => expect(() => readDenyList(`serial 01\n${line}`)).toThrow(/line 2 is not understood/),
  );
});
