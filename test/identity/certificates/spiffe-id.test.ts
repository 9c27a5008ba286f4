/** The grammar of SPIFFE ids, with the traps that have been stepped into elsewhere. */
import { describe, expect, test } from 'vitest';
import { claimsSpiffe, parseSpiffeId } from '../../../src/identity/certificates/spiffe-id.ts';

const ACCEPTED = [
  'spiffe://acme.example/gateway',
  'spiffe://acme.example/ns/Prod_1/sa/envoy.v2',
  'spiffe://acme-2_x.example/a',
  `spiffe://${'a'.repeat(255)}/x`,
  'spiffe://acme.example/...',
  'spiffe://acme.example/.hidden',
];

const REFUSED: Readonly<Record<string, string>> = {
  'the id of a trust domain alone': 'spiffe://acme.example',
  'an empty path': 'spiffe://acme.example/',
  'a slash at the end': 'spiffe://acme.example/gateway/',
  'an empty segment': 'spiffe://acme.example/ns//envoy',
  'a segment of one dot': 'spiffe://acme.example/./gateway',
  'a segment of two dots': 'spiffe://acme.example/ns/../admin',
  'two dots at the end': 'spiffe://acme.example/ns/..',
  'an upper-case scheme': 'SPIFFE://acme.example/gateway',
  'an upper-case trust domain': 'spiffe://Acme.example/gateway',
  'a percent-encoded slash': 'spiffe://acme.example/ns%2Fadmin',
  'a percent-encoded letter': 'spiffe://acme.example/g%61teway',
  'a port': 'spiffe://acme.example:8443/gateway',
  'user information': 'spiffe://user@acme.example/gateway',
  'a query': 'spiffe://acme.example/gateway?x=1',
  'a fragment': 'spiffe://acme.example/gateway#x',
  'another scheme': 'https://acme.example/gateway',
  'one slash': 'spiffe:/acme.example/gateway',
  'no trust domain': 'spiffe:///gateway',
  'a blank in front': ' spiffe://acme.example/gateway',
  'a line break at the end': 'spiffe://acme.example/gateway\n',
  'a NUL': 'spiffe://acme.example/gateway\u0000.evil.example',
  'a homoglyph in the trust domain': 'spiffe://аcme.example/gateway',
  'a composed letter in the path': 'spiffe://acme.example/gatewaý',
  'a full-width slash': 'spiffe://acme.example／gateway',
  'a comma and a second name': 'spiffe://acme.example/x, URI:spiffe://acme.example/admin',
  'a trust domain of 256 bytes': `spiffe://${'a'.repeat(256)}/x`,
  'more than 2048 bytes': `spiffe://acme.example/${'a'.repeat(2048)}`,
  'a backslash': 'spiffe://acme.example\\gateway',
  brackets: 'spiffe://[::1]/gateway',
};

describe('SPIFFE ids', () => {
  test.each(ACCEPTED)('are read as they are: %s', text => {
    const id = parseSpiffeId(text);
    expect(`spiffe://${id?.trustDomain}${id?.path}`).toBe(text);
  });

  test.each(Object.entries(REFUSED))('do not have %s', (_, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  test.each(['SPIFFE://x/y', ' spiffe://x/y', 'Spiffe:x'])('are claimed by %s, which is none', text => {
    expect(claimsSpiffe(text)).toBe(true);
    expect(parseSpiffeId(text)).toBeUndefined();
  });
});
