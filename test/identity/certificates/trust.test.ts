/** Which certificates of clients are believed: a table of hostile ones, each with the cause that the log shows. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readCertificate } from '../../../src/identity/certificates/certificate.ts';
import type { CertificateCause } from '../../../src/identity/certificates/certificate-cause.ts';
import { CertificateError } from '../../../src/identity/certificates/certificate-error.ts';
import { makeBundle } from '../../../src/identity/certificates/trust.ts';
import { element, sequence } from './der-writer.ts';
import {
  type CertificateWish,
  CLIENT_AUTH,
  type Issued,
  makeAuthority,
  SERVER_AUTH,
  USAGE,
} from './forge.ts';
import { judge, NOBODY_DENIED, trustOf } from './judging.ts';

const ID = 'spiffe://acme.example/gateway';
const DAY_MS = 86_400_000;
const root = makeAuthority();
const other = makeAuthority({ subject: 'CN=other ca' });
/** Has the name of the root and another key. */
const namesake = makeAuthority();
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const leaf = (wish: CertificateWish = {}): Issued => root.issue({ uris: [ID], ...wish });
const extension = (id: string, critical: boolean) => ({ extra: [{ id, critical, value: sequence() }] });

type Case = readonly [cause: CertificateCause, certificate: Issued];
const now = Date.now();

const REFUSED: Readonly<Record<string, Case>> = {
  expired: ['certificate_expired', leaf({ notAfter: now - DAY_MS })],
  'not yet valid': ['certificate_not_yet_valid', leaf({ notBefore: now + DAY_MS })],
  'of an unknown CA': ['certificate_untrusted', other.issue({ uris: [ID] })],
  'of a CA with the same name and another key': ['certificate_untrusted', namesake.issue({ uris: [ID] })],
  'self-signed': ['certificate_untrusted', makeAuthority({ subject: 'CN=me', uris: [ID] })],
  'for servers': ['certificate_usage', leaf({ extendedKeyUsage: [SERVER_AUTH] })],
  'without an extended key usage': ['certificate_usage', leaf({ extendedKeyUsage: undefined })],
  'for any purpose': ['certificate_usage', leaf({ extendedKeyUsage: ['2.5.29.37.0'] })],
  'without a key usage': ['certificate_usage', leaf({ keyUsage: undefined })],
  'for encryption alone': ['certificate_usage', leaf({ keyUsage: [USAGE.keyEncipherment] })],
  'of a CA': ['certificate_usage', leaf({ ca: true, keyUsage: [USAGE.digitalSignature] })],
  'that may sign certificates': [
    'certificate_usage',
    leaf({ keyUsage: [USAGE.digitalSignature, USAGE.keyCertSign] }),
  ],
  'that may sign revocation lists': [
    'certificate_usage',
    leaf({ keyUsage: [USAGE.digitalSignature, USAGE.crlSign] }),
  ],
  'with two SPIFFE ids': ['certificate_identity', leaf({ uris: [ID, 'spiffe://acme.example/admin'] })],
  'with the same SPIFFE id twice': ['certificate_identity', leaf({ uris: [ID, ID] })],
  'with a SPIFFE id and another URI': ['certificate_identity', leaf({ uris: ['https://x.example', ID] })],
  'without a URI': ['certificate_untrusted', leaf({ uris: [] })],
  'with a URI that is no SPIFFE id': [
    'certificate_untrusted',
    leaf({ uris: ['https://acme.example/gateway'] }),
  ],
  'of another trust domain': ['certificate_untrusted', leaf({ uris: ['spiffe://globex.example/gateway'] })],
  'of a subdomain of the trust domain': [
    'certificate_untrusted',
    leaf({ uris: ['spiffe://x.acme.example/gateway'] }),
  ],
  'with an upper-case scheme': ['certificate_identity', leaf({ uris: ['SPIFFE://acme.example/gateway'] })],
  'with an upper-case trust domain': [
    'certificate_identity',
    leaf({ uris: ['spiffe://ACME.example/gateway'] }),
  ],
  'with a percent-encoded id': ['certificate_identity', leaf({ uris: ['spiffe://acme.example/%67ateway'] })],
  'with an id that climbs': ['certificate_identity', leaf({ uris: ['spiffe://acme.example/x/../gateway'] })],
  'with a homoglyph': ['certificate_identity', leaf({ uris: ['spiffe://аcme.example/gateway'] })],
  'with a NUL in the id': ['certificate_identity', leaf({ uris: [`${ID}\u0000.evil.example`] })],
  'with a second name in one': [
    'certificate_identity',
    leaf({ uris: [`${ID}, URI:spiffe://acme.example/admin`] }),
  ],
  'with the id of the trust domain': ['certificate_identity', leaf({ uris: ['spiffe://acme.example'] })],
  'with a weak key': ['certificate_weak', leaf({ keys: weak })],
  'with an unusual curve': ['certificate_weak', leaf({ keys: odd })],
  'with a critical extension that nobody knows': [
    'certificate_constraints',
    leaf(extension('1.2.3.4', true)),
  ],
};

describe('a certificate', () => {
  test.each(Object.entries(REFUSED))('%s is refused', (_, [cause, certificate]) => {
    expect(judge({ roots: [root] }, certificate).cause).toBe(cause);
  });

  test('of the trust domain is believed, and its id told', () => {
    const result = judge({ roots: [root] }, leaf());
    expect(result).toMatchObject({ spiffeId: ID, authority: { name: 'mesh' } });
  });

  test('is believed with other purposes beside that of clients', () => {
    const both = leaf({ extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH] });
    expect(judge({ roots: [root] }, both).cause).toBeUndefined();
  });

  test('with a SPIFFE id is never one of an authority without a trust domain', () => {
    expect(judge({ roots: [root], trustDomain: undefined }, leaf()).cause).toBe('certificate_untrusted');
  });

  test('is not believed where its authority does not count', () => {
    const certificate = readCertificate(leaf().der);
    const trust = trustOf({ roots: [root] });
    expect(trust.judge(certificate, [], new Set(['mesh']), now).cause).toBeUndefined();
    expect(trust.judge(certificate, [], new Set(['others']), now).cause).toBe('certificate_untrusted');
  });
});

describe('a path', () => {
  const middle = root.issueAuthority();
  const PATHS: Readonly<Record<string, readonly [CertificateCause | undefined, Issued, readonly Issued[]]>> =
    {
      'through a CA that came along holds': [undefined, middle.issue({ uris: [ID] }), [middle]],
      'without the CA between is none': ['certificate_untrusted', middle.issue({ uris: [ID] }), []],
      'through a certificate that is no CA does not hold': (() => {
        const fake = root.issueAuthority({ ca: false });
        return ['certificate_constraints', fake.issue({ uris: [ID] }), [fake]] as const;
      })(),
      'through a CA that may not sign certificates does not hold': (() => {
        const fake = root.issueAuthority({ keyUsage: [USAGE.digitalSignature] });
        return ['certificate_untrusted', fake.issue({ uris: [ID] }), [fake]] as const;
      })(),
      'through a CA for servers alone does not hold': (() => {
        const fake = root.issueAuthority({ extendedKeyUsage: [SERVER_AUTH] });
        return ['certificate_usage', fake.issue({ uris: [ID] }), [fake]] as const;
      })(),
      'through an expired CA does not hold': (() => {
        const old = root.issueAuthority({ notAfter: now - DAY_MS });
        return ['certificate_expired', old.issue({ uris: [ID] }), [old]] as const;
      })(),
      'longer than its CA allows does not hold': (() => {
        const last = root.issueAuthority({ subject: 'CN=last', pathLength: 0 });
        const beyond = last.issueAuthority({ subject: 'CN=beyond' });
        return ['certificate_constraints', beyond.issue({ uris: [ID] }), [beyond, last]] as const;
      })(),
      'under constraints of names, which are not evaluated, does not hold': (() => {
        const bound = root.issueAuthority({ subject: 'CN=bound', ...extension('2.5.29.30', true) });
        return ['certificate_constraints', bound.issue({ uris: [ID] }), [bound]] as const;
      })(),
      'of five CAs is too long': (() => {
        const chain = [root.issueAuthority({ subject: 'CN=a' })];
        for (const name of ['b', 'c', 'd', 'e'])
          chain.unshift((chain[0] ?? middle).issueAuthority({ subject: `CN=${name}` }));
        return ['certificate_untrusted', (chain[0] ?? middle).issue({ uris: [ID] }), chain] as const;
      })(),
      'in a circle ends': (() => {
        const twin = makeAuthority({ subject: 'CN=intermediate' });
        return ['certificate_untrusted', twin.issue({ uris: [ID] }), [twin]] as const;
      })(),
    };
  test.each(Object.entries(PATHS))('%s', (_, [cause, certificate, extra]) => {
    expect(judge({ roots: [root] }, certificate, ...extra).cause).toBe(cause);
  });

  test('is looked for with bounded work among many CAs of one name', () => {
    const crowd = Array.from({ length: 40 }, () => makeAuthority({ subject: 'CN=intermediate' }));
    expect(judge({ roots: [root] }, middle.issue({ uris: [ID] }), ...crowd).cause).toBe(
      'certificate_untrusted',
    );
  });
});

describe('the deny list', () => {
  const certificate = leaf();
  const read = readCertificate(certificate.der);
  const middle = root.issueAuthority();
  const DENIED: Readonly<Record<string, Partial<typeof NOBODY_DENIED>>> = {
    'serial number': { serials: new Set([read.serial]) },
    key: { keys: new Set([read.keyHash]) },
    id: { ids: new Set([ID]) },
  };
  test.each(Object.entries(DENIED))('refuses by %s', (_, list) => {
    expect(judge({ roots: [root], denied: { ...NOBODY_DENIED, ...list } }, certificate).cause).toBe(
      'certificate_revoked',
    );
  });

  test('refuses what a denied CA issued', () => {
    const denied = { ...NOBODY_DENIED, keys: new Set([readCertificate(middle.der).keyHash]) };
    expect(judge({ roots: [root], denied }, middle.issue({ uris: [ID] }), middle).cause).toBe(
      'certificate_revoked',
    );
  });
});

describe('the files of an authority', () => {
  test('must hold a self-signed CA', () => {
    expect(() => makeBundle([readCertificate(root.issueAuthority().der)])).toThrow(/no self-signed CA/);
  });
  test('must hold nothing but CAs', () => {
    expect(() => makeBundle([readCertificate(root.der), readCertificate(leaf().der)])).toThrow(/is no CA/);
  });
});

describe('the reading of a certificate', () => {
  /** The object identifier, whose bytes no key and no serial number has by accident. */
  const BASIC_CONSTRAINTS = '0603551d13';
  const swap = (from: string, to: string) => (body: Buffer) =>
    Buffer.from(body.toString('hex').replace(from, to), 'hex');
  const MALFORMED: Readonly<Record<string, () => Buffer>> = {
    'no bytes': () => Buffer.alloc(0),
    'bytes behind it': () => Buffer.concat([leaf().der, Buffer.from([0])]),
    'cut off': () => leaf().der.subarray(0, 200),
    'version 1': () => leaf({ mangle: swap('a003020102', 'a003020100') }).der,
    'an extension twice': () =>
      leaf({ extra: [{ id: '2.5.29.37', critical: false, value: sequence() }] }).der,
    'an extension that is no DER': () =>
      leaf({ uris: [], extra: [{ id: '2.5.29.17', critical: false, value: Buffer.from('3080', 'hex') }] })
        .der,
    'an extension that states a default': () =>
      leaf({ mangle: swap(`${BASIC_CONSTRAINTS}0101ff`, `${BASIC_CONSTRAINTS}010100`) }).der,
    'more names than anyone needs': () =>
      leaf({ dns: Array.from({ length: 600 }, (_, at) => `h${at}.example`) }).der,
    'too many bytes': () =>
      leaf({ extra: [{ id: '1.2.3.4', critical: false, value: Buffer.alloc(40_000) }] }).der,
    'an alternative name in an indefinite form': () =>
      leaf({
        uris: [],
        extra: [
          {
            id: '2.5.29.17',
            critical: false,
            value: Buffer.concat([
              Buffer.from('3080', 'hex'),
              element(0x86, Buffer.from(ID)),
              Buffer.alloc(2),
            ]),
          },
        ],
      }).der,
  };
  test.each(Object.entries(MALFORMED))('refuses one with %s', (_, make) => {
    expect(() => readCertificate(make())).toThrow(CertificateError);
  });

  test('agrees with OpenSSL about thumbprint, serial number and dates', () => {
    const { der, x509, serial } = leaf();
    const read = readCertificate(der);
    expect(Buffer.from(read.thumbprint, 'base64url').toString('hex').toUpperCase()).toBe(
      x509.fingerprint256.replaceAll(':', ''),
    );
    expect(BigInt(`0x${read.serial}`)).toBe(serial);
    expect(read.notAfter).toBe(Date.parse(x509.validTo));
    expect(read.subjectText).toBe('CN=client');
  });
});
