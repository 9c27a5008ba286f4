/** Certificates in the headers of Envoy, nginx, Traefik and HAProxy: what is read, and what is refused. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ForwardingFormat } from '../../../src/domain/certificate-settings.ts';
import type { CertificateCause } from '../../../src/identity/certificates/certificate-cause.ts';
import {
  type ForwardedResult,
  readForwarded,
  readForwardedPem,
} from '../../../src/identity/certificates/forwarded-certificate.ts';
import { parseXfcc } from '../../../src/identity/certificates/xfcc.ts';
import { makeAuthority } from './forge.ts';

const ID = 'spiffe://acme.example/app';
const root = makeAuthority();
const client = root.issue({ uris: [ID], subject: 'CN=a "quoted" name' });
const other = root.issue({ uris: ['spiffe://acme.example/other'] });
const hash = client.x509.fingerprint256.replaceAll(':', '').toLowerCase();
const cert = encodeURIComponent(client.pem);
const bare = client.der.toString('base64');

type Headers = Readonly<Record<string, string | readonly string[]>>;

function read(format: ForwardingFormat, headers: Headers, hops = 1): ForwardedResult | undefined {
  return readForwarded(format, hops, name => {
    const value = headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  });
}

const xfcc = (value: string | readonly string[]): Headers => ({ 'x-forwarded-client-cert': value });
const ssl = (verify: string | undefined, value: string): Headers => ({
  ...(verify === undefined ? {} : { 'x-ssl-client-verify': verify }),
  'x-ssl-client-cert': value,
});
const traefik = (value: string): Headers => ({ 'x-forwarded-tls-client-cert': value });

const READ: Readonly<Record<string, readonly [ForwardingFormat, Headers, number?]>> = {
  'Envoy with everything': [
    'xfcc',
    xfcc(
      `By=spiffe://acme.example/edge;Hash=${hash};Cert="${cert}";Chain="${encodeURIComponent(client.pem + root.pem)}";Subject="CN=a \\"quoted\\" name";URI=${ID};DNS=a.example;DNS=b.example`,
    ),
  ],
  'Envoy with the certificate alone': ['xfcc', xfcc(`Cert="${cert}"`)],
  'Envoy with keys in another case': ['xfcc', xfcc(`HASH=${hash};cert="${cert}"`)],
  'Envoy behind what its client sent': [
    'xfcc',
    xfcc(`URI=spiffe://acme.example/admin,Cert="${cert}";URI=${ID}`),
  ],
  'Envoy with an empty URI': ['xfcc', xfcc(`Cert="${cert}";URI=`)],
  'two Envoys': ['xfcc', xfcc(`Cert="${cert}", Hash=00;Cert="${encodeURIComponent(other.pem)}"`), 2],
  nginx: ['nginx', ssl('SUCCESS', cert)],
  HAProxy: ['haproxy', ssl('0', bare)],
  'Traefik with percent-encoding': ['traefik', traefik(encodeURIComponent(bare))],
  'Traefik without percent-encoding': ['traefik', traefik(bare)],
  'Traefik with a chain': ['traefik', traefik(`${bare},${root.der.toString('base64')}`)],
};

const NONE: Readonly<Record<string, readonly [ForwardingFormat, Headers]>> = {
  'Envoy without the header': ['xfcc', {}],
  'Envoy with an empty header': ['xfcc', xfcc('')],
  'nginx without a certificate': ['nginx', { 'x-ssl-client-verify': 'NONE' }],
  'nginx without headers': ['nginx', {}],
  'HAProxy without a certificate': ['haproxy', ssl('0', '')],
  'Traefik without the header': ['traefik', {}],
};

const REFUSED: Readonly<Record<string, readonly [CertificateCause, ForwardingFormat, Headers, number?]>> = {
  'two header lines': ['forwarded_duplicate', 'xfcc', xfcc([`Cert="${cert}"`, `Cert="${cert}"`])],
  'two lines of nginx': [
    'forwarded_duplicate',
    'nginx',
    { 'x-ssl-client-verify': ['SUCCESS', 'SUCCESS'], 'x-ssl-client-cert': cert },
  ],
  'the header of another proxy beside it': [
    'forwarded_foreign',
    'nginx',
    { ...ssl('SUCCESS', cert), ...xfcc(`Cert="${cert}"`) },
  ],
  'the header of another proxy alone': ['forwarded_foreign', 'traefik', xfcc(`Cert="${cert}"`)],
  'no certificate but a URI': ['forwarded_incomplete', 'xfcc', xfcc(`Hash=${hash};URI=${ID}`)],
  'fewer elements than hops': ['forwarded_incomplete', 'xfcc', xfcc(`Cert="${cert}"`), 2],
  'an element of the client where the proxy adds none': [
    'forwarded_incomplete',
    'xfcc',
    xfcc(`Cert="${cert}",Hash=00`),
  ],
  'a hash of another certificate': [
    'forwarded_mismatch',
    'xfcc',
    xfcc(`Hash=${'0'.repeat(64)};Cert="${cert}"`),
  ],
  'a URI that the certificate does not have': [
    'forwarded_mismatch',
    'xfcc',
    xfcc(`Cert="${cert}";URI=spiffe://acme.example/admin`),
  ],
  'a second URI': [
    'forwarded_mismatch',
    'xfcc',
    xfcc(`Cert="${cert}";URI=${ID};URI=spiffe://acme.example/admin`),
  ],
  'a chain of another certificate': [
    'forwarded_mismatch',
    'xfcc',
    xfcc(`Cert="${cert}";Chain="${encodeURIComponent(other.pem)}"`),
  ],
  'two certificates in one value': [
    'forwarded_malformed',
    'xfcc',
    xfcc(`Cert="${encodeURIComponent(client.pem + other.pem)}"`),
  ],
  'the certificate twice': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${cert}";Cert="${cert}"`)],
  'an unknown key': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${cert}";Role=admin`)],
  'a quote that does not end': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${cert};URI=${ID}`)],
  'a subject that ends in a backslash': [
    'forwarded_malformed',
    'xfcc',
    xfcc(`Subject="CN=a\\";Cert="${cert}"`),
  ],
  'text behind a quote': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${cert}"x`)],
  'a bare value with an equals sign': ['forwarded_malformed', 'xfcc', xfcc(`URI=a=b;Cert="${cert}"`)],
  'a key without a value': ['forwarded_malformed', 'xfcc', xfcc(`Cert`)],
  'an empty element': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${cert}",`)],
  'a control character': ['forwarded_malformed', 'xfcc', xfcc(`Subject="CN=a\u0000";Cert="${cert}"`)],
  'more elements than anyone needs': [
    'forwarded_malformed',
    'xfcc',
    xfcc(Array.from({ length: 40 }, () => 'Hash=00').join(',')),
  ],
  'broken percent-encoding': ['forwarded_malformed', 'xfcc', xfcc('Cert="%zz"')],
  'text around the PEM': [
    'forwarded_malformed',
    'xfcc',
    xfcc(`Cert="${encodeURIComponent(`hello\n${client.pem}`)}"`),
  ],
  'a private key': ['forwarded_malformed', 'xfcc', xfcc(`Cert="${encodeURIComponent(client.key)}"`)],
  'nginx that failed': ['forwarded_unverified', 'nginx', ssl('FAILED:certificate has expired', cert)],
  'nginx in lower case': ['forwarded_unverified', 'nginx', ssl('success', cert)],
  'nginx that says NONE beside a certificate': ['forwarded_unverified', 'nginx', ssl('NONE', cert)],
  'nginx without its verdict': ['forwarded_incomplete', 'nginx', ssl(undefined, cert)],
  'nginx with a verdict alone': ['forwarded_incomplete', 'nginx', { 'x-ssl-client-verify': 'SUCCESS' }],
  'nginx with the deprecated folded PEM': ['forwarded_malformed', 'nginx', ssl('SUCCESS', bare)],
  'HAProxy that failed': ['forwarded_unverified', 'haproxy', ssl('10', bare)],
  'HAProxy with the verdict of nginx': ['forwarded_unverified', 'haproxy', ssl('SUCCESS', bare)],
  'HAProxy with base64 that is not canonical': [
    'forwarded_malformed',
    'haproxy',
    ssl('0', `${bare.slice(0, 40)} ${bare.slice(40)}`),
  ],
  'Traefik with an empty part': ['forwarded_malformed', 'traefik', traefik(`${bare},`)],
  'Traefik with PEM': ['forwarded_malformed', 'traefik', traefik(cert)],
  'Traefik with a chain without end': [
    'forwarded_malformed',
    'traefik',
    traefik(Array.from({ length: 8 }, () => bare).join(',')),
  ],
  'more text than a certificate has': ['forwarded_malformed', 'traefik', traefik('A'.repeat(80_000))],
};

describe('a forwarded certificate', () => {
  test.each(Object.entries(READ))('is read from %s', (_, [format, headers, hops]) => {
    const result = read(format, headers, hops);
    expect(result?.cause).toBeUndefined();
    expect(result).toMatchObject({ leaf: { names: { uris: [ID] } } });
  });

  test.each(Object.entries(NONE))('is absent from %s', (_, [format, headers]) => {
    expect(read(format, headers)).toBeUndefined();
  });

  test.each(Object.entries(REFUSED))('is refused with %s', (_, [cause, format, headers, hops]) => {
    expect(read(format, headers, hops)).toEqual({ cause });
  });

  test('in PEM may have its chain behind it', () => {
    expect(readForwardedPem(client.pem + root.pem)).toMatchObject({ extra: [{ isCa: true }] });
    expect(readForwardedPem('')).toEqual({ cause: 'forwarded_malformed' });
    expect(readForwardedPem(`x${client.pem}`)).toEqual({ cause: 'forwarded_malformed' });
  });
});

describe('X-Forwarded-Client-Cert', () => {
  const value = fc.string({ unit: fc.constantFrom(...Array.from(' abcAZ09/:%,;="')) });
  const pair = fc.tuple(fc.constantFrom('By', 'URI', 'DNS'), value);
  const quote = (text: string): string => `"${text.replaceAll('"', '\\"')}"`;

  test('reads back whatever is quoted as Envoy quotes it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(pair, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        elements => {
          const text = elements
            .map(pairs => pairs.map(([key, one]) => `${key}=${quote(one)}`).join(';'))
            .join(',');
          const parsed = parseXfcc(text).map(element => [...element.values()].flat().toSorted());
          expect(parsed).toEqual(elements.map(pairs => pairs.map(([, one]) => one).toSorted()));
        },
      ),
    );
  });

  test('is understood or refused, whatever it holds', () => {
    const noise = fc.string({ unit: fc.constantFrom(...Array.from('ByHashURIDNSCert=;,"\\ x\u0000é')) });
    fc.assert(
      fc.property(noise, text => {
        expect(['understood', 'CertificateError']).toContain(outcomeOf(() => parseXfcc(text)));
      }),
    );
  });

  test('keeps a client from ending its own subject', () => {
    // what Envoy makes of a subject that tries to close the quote and add a name
    const [element] = parseXfcc(`Subject="CN=x\\";URI=spiffe://acme.example/admin;Subject=\\"";URI=${ID}`);
    expect(element?.get('uri')).toEqual([ID]);
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
