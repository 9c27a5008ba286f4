/** Authentication against the keys in memory: every way to fail has its cause, and none gets a credential. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ApiKey } from '../../src/domain/credential.ts';
import { makeKey } from '../../src/identity/key-format.ts';
import { KeyHasher, sameHash } from '../../src/identity/key-hash.ts';
import { KeyRing, rememberNothing } from '../../src/identity/key-ring.ts';
import { manualClock } from './clock.ts';
import { withOtherLetter } from '../other-letter.ts';

const DAY = 86_400_000;

/** Counts what it hashes. */
class CountingHasher extends KeyHasher {
  count = 0;

  override hash(token: string): Buffer {
    this.count += 1;
    return super.hash(token);
  }
}

function scene() {
  const clock = manualClock();
  const hasher = new CountingHasher(randomBytes(32));
  const ring = new KeyRing(hasher, clock);
  const add = (change: Partial<ApiKey> = {}, token?: string) => {
    const made = makeKey(randomBytes);
    const text = token ?? made.token;
    ring.put({
      id: made.id,
      hash: hasher.hash(text).toString('base64url'),
      roles: ['pep'],
      description: '',
      mayAssert: true,
      createdAt: new Date(clock.now()).toISOString(),
      createdBy: 'system',
      ...change,
    });
    return { id: change.id ?? made.id, token: text };
  };
  return { clock, hasher, ring, add };
}

describe('a valid key', () => {
  test('gives its roles and tenants', () => {
    const { ring, add } = scene();
    const { id, token } = add({ roles: ['pep', 'auditor'], tenants: ['acme'], mayAssert: false });
    expect(ring.authenticate(`Bearer ${token}`).credential).toEqual({
      keyId: id,
      roles: new Set(['pep', 'auditor']),
      tenants: new Set(['acme']),
      mayAssert: false,
    });
  });

  test('is found whatever the case of the scheme', () => {
    const { ring, add } = scene();
    expect(ring.authenticate(`bEARER ${add().token}`).failure).toBeUndefined();
  });

  test('stops at the instant of its expiry', () => {
    const { clock, ring, add } = scene();
    const { id, token } = add({ expiresAt: new Date(clock.now() + DAY).toISOString() });
    clock.advance(DAY - 1);
    expect(ring.authenticate(`Bearer ${token}`).failure).toBeUndefined();
    clock.advance(1);
    expect(ring.authenticate(`Bearer ${token}`).failure).toEqual({ cause: 'expired', keyId: id });
  });

  test('stops as soon as it is revoked', () => {
    const { clock, ring, add } = scene();
    const { id, token } = add();
    const key = ring.find(id);
    if (key !== undefined) ring.put({ ...key, revokedAt: new Date(clock.now()).toISOString() });
    expect(ring.authenticate(`Bearer ${token}`).failure).toEqual({ cause: 'revoked', keyId: id });
  });

  test('that the operator chose needs no form', () => {
    const { ring, add } = scene();
    add({ id: 'bootstrap', roles: ['admin'] }, 'a chosen key with spaces, 32 characters');
    const header = 'Bearer a chosen key with spaces, 32 characters';
    expect(ring.authenticate(header).credential?.keyId).toBe('bootstrap');
    expect(ring.authenticate(`${header}!`).failure).toEqual({ cause: 'malformed' });
  });
});

describe('no credential', () => {
  const { ring, add } = scene();
  const { id, token } = add();
  const other = makeKey(randomBytes).token;
  const cases: [name: string, header: string | undefined, cause: string][] = [
    ['without a header', undefined, 'missing'],
    ['for an empty header', '', 'missing'],
    ['for another scheme', 'Basic YTpi', 'scheme'],
    ['for a scheme without a token', 'Bearer ', 'scheme'],
    ['for the bare key', token, 'scheme'],
    ['for a cut key', `Bearer ${token.slice(0, -1)}`, 'malformed'],
    ['for a key with a typo', `Bearer ${withOtherLetter(token)}`, 'checksum'],
    ['for a well-formed unknown key', `Bearer ${other}`, 'unknown'],
    ['for a huge token', `Bearer ${'a'.repeat(100_000)}`, 'malformed'],
    ['for two keys in one header', `Bearer ${token}, Bearer ${token}`, 'malformed'],
  ];
  test.each(cases)('%s', (_name, header, cause) => {
    const { credential, failure } = ring.authenticate(header);
    expect(credential).toBeUndefined();
    expect(failure?.cause).toBe(cause);
  });

  test('for a known id with another secret', () => {
    const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    const idBytes = Uint8Array.from(Array.from(id, letter => letters.indexOf(letter)));
    const forged = makeKey(size => (size === id.length ? idBytes : randomBytes(size)));
    expect(forged.id).toBe(id);
    expect(ring.authenticate(`Bearer ${forged.token}`)).toEqual({
      failure: { cause: 'mismatch', keyId: id },
    });
  });
});

describe('a connection that proved a key', () => {
  /** A key that a connection has proved; hashes are counted from there on. */
  function proven(change: Partial<ApiKey> = {}) {
    const { clock, hasher, ring, add } = scene();
    const { id, token } = add(change);
    const memory = rememberNothing();
    const header = `Bearer ${token}`;
    expect(ring.authenticate(header, memory).credential?.keyId).toBe(id);
    hasher.count = 0;
    const key = ring.find(id);
    if (key === undefined) throw new Error('the ring lost the key');
    return { clock, ring, add, id, key, header, memory, hasher };
  }

  test('is not asked to prove the same text again', () => {
    const { ring, id, header, memory, hasher } = proven();
    expect(ring.authenticate(header, memory).credential?.keyId).toBe(id);
    expect(hasher.count).toBe(0);
  });

  test('is refused from the moment of the revocation', () => {
    const { clock, ring, id, key, header, memory } = proven();
    ring.put({ ...key, revokedAt: new Date(clock.now()).toISOString() });
    const refused = { failure: { cause: 'revoked', keyId: id } };
    expect(ring.authenticate(header, memory)).toEqual(refused);
    expect(ring.authenticate(header, memory)).toEqual(refused);
  });

  test('is refused from the instant of the expiry', () => {
    const { clock, ring, id, header, memory } = proven({
      expiresAt: new Date(manualClock().now() + DAY).toISOString(),
    });
    clock.advance(DAY - 1);
    expect(ring.authenticate(header, memory).failure).toBeUndefined();
    clock.advance(1);
    expect(ring.authenticate(header, memory)).toEqual({ failure: { cause: 'expired', keyId: id } });
  });

  test('is verified anew when the key got another hash', () => {
    const { ring, id, key, header, memory } = proven();
    ring.put({ ...key, hash: randomBytes(32).toString('base64url') });
    expect(ring.authenticate(header, memory)).toEqual({ failure: { cause: 'mismatch', keyId: id } });
  });

  test('gets the roles that the key has now', () => {
    const { ring, key, header, memory } = proven();
    ring.put({ ...key, roles: ['auditor'] });
    expect(ring.authenticate(header, memory).credential?.roles).toEqual(new Set(['auditor']));
  });

  test('is refused when the ring no longer holds the key', () => {
    const { ring, id, header, memory } = proven();
    ring.replace([]);
    expect(ring.authenticate(header, memory)).toEqual({ failure: { cause: 'unknown', keyId: id } });
  });

  test('proves nothing for another text', () => {
    const { ring, add, id, header, memory, hasher } = proven();
    const other = add();
    for (const text of [withOtherLetter(header), header.slice(0, -1), `${header}0`, header.toLowerCase()]) {
      expect(ring.authenticate(text, memory).credential).toBeUndefined();
    }
    expect(ring.authenticate(undefined, memory)).toEqual({ failure: { cause: 'missing' } });
    expect(ring.authenticate('', memory)).toEqual({ failure: { cause: 'missing' } });
    expect(hasher.count).toBeGreaterThan(0);
    expect(ring.authenticate(`Bearer ${other.token}`, memory).credential?.keyId).toBe(other.id);
    expect(ring.authenticate(header, memory).credential?.keyId).toBe(id);
  });

  test('proves nothing for another connection', () => {
    const { ring, header, hasher } = proven();
    const other = rememberNothing();
    expect(ring.authenticate(header, other).failure).toBeUndefined();
    expect(hasher.count).toBe(1);
  });
});

test('the same key hashes differently under another pepper', () => {
  const { token } = makeKey(randomBytes);
  const [one, two] = [new KeyHasher(randomBytes(32)), new KeyHasher(randomBytes(32))];
  expect(sameHash(one.hash(token), two.hash(token))).toBe(false);
  expect(sameHash(one.hash(token), one.hash(token))).toBe(true);
});

test('a short pepper is refused', () => {
  expect(() => new KeyHasher(randomBytes(31))).toThrow('fewer than 32 bytes');
});
