/**
 * Whether a key is known, revoked or nobody's, refusing it is the same work: the hashes are counted, not the time that
 * they take.
 */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../src/domain/credential.ts';
import type { CallerKey } from '../../src/domain/caller-key.ts';
import { CallerKeyTable } from '../../src/identity/caller-keys/key-table.ts';
import { digestOf, PepperHasher } from '../../src/identity/caller-keys/pepper-hash.ts';
import { makeKey } from '../../src/identity/key-format.ts';
import { KeyHasher } from '../../src/identity/key-hash.ts';
import { KeyRing } from '../../src/identity/key-ring.ts';
import { withChecksum } from './caller-keys/forged-key.ts';
import { manualClock } from './clock.ts';
import { withOtherLetter } from '../other-letter.ts';

const DAY_MS = 86_400_000;

class CountingHasher extends KeyHasher {
  count = 0;
  override hash(token: string): Buffer {
    this.count += 1;
    return super.hash(token);
  }
}

class CountingPeppers extends PepperHasher {
  count = 0;
  override hash(digest: Uint8Array, version: number): Buffer {
    this.count += 1;
    return super.hash(digest, version);
  }
}

/** The same id with another secret. */
function wrong(token: string): string {
  return withChecksum(`${token.slice(0, 21)}${'A'.repeat(43)}`);
}

describe('a key of the API', () => {
  const clock = manualClock();
  const hasher = new CountingHasher(randomBytes(32));
  const ring = new KeyRing(hasher, clock);
  const at = (ms: number) => new Date(clock.now() + ms).toISOString();
  const add = (change: Partial<ApiKey> = {}): string => {
    const { id, token } = makeKey(randomBytes);
    const hash = hasher.hash(token).toString('base64url');
    const base = {
      roles: ['pep'],
      description: '',
      mayAssert: true,
      createdAt: at(0),
      createdBy: 'system',
    } as const;
    ring.put({ ...base, id, hash, ...change });
    return token;
  };
  const active = add();
  const revoked = add({ revokedAt: at(-DAY_MS) });
  const expired = add({ expiresAt: at(-DAY_MS) });

  test.each([
    ['accepted', active, undefined],
    ['unknown', makeKey(randomBytes).token, 'unknown'],
    ['known with a wrong secret', wrong(active), 'mismatch'],
    ['revoked', revoked, 'revoked'],
    ['revoked with a wrong secret', wrong(revoked), 'mismatch'],
    ['expired', expired, 'expired'],
    ['expired with a wrong secret', wrong(expired), 'mismatch'],
    ['of a bad form', 'dmn_not-a-key', 'malformed'],
    ['with a typo', withOtherLetter(active), 'checksum'],
  ])('that is %s costs one hash', (_name, token, cause) => {
    const before = hasher.count;
    expect(ring.authenticate(`Bearer ${token}`).failure?.cause).toBe(cause);
    expect(hasher.count - before).toBe(1);
  });
});

describe('a key of a caller', () => {
  const clock = manualClock();
  const at = (ms: number) => new Date(clock.now() + ms).toISOString();
  let hasher: CountingPeppers;
  let table: CallerKeyTable;
  let tokens: Readonly<Record<'active' | 'revoked' | 'expired' | 'early' | 'peppered', string>>;
  beforeEach(() => {
    hasher = new CountingPeppers(new Map([[1, randomBytes(32)]]));
    table = new CallerKeyTable(hasher, clock);
    const add = (change: Partial<CallerKey> = {}): string => {
      const { id, token } = makeKey(randomBytes, 'dmc');
      table.put({
        id,
        hash: hasher.hash(digestOf(token), 1).toString('base64url'),
        pepper: 1,
        owner: { type: 'User', id: 'acme/alice' },
        tenant: 'acme',
        description: '',
        scopes: [],
        networks: [],
        oauthScopes: [],
        createdAt: at(-DAY_MS),
        createdBy: 'root',
        expiresAt: at(DAY_MS),
        ...change,
      });
      return token;
    };
    tokens = {
      active: add(),
      revoked: add({ revoked: { at: at(0), by: 'root', cause: 'request', reason: '' } }),
      expired: add({ expiresAt: at(-1) }),
      early: add({ notBefore: at(DAY_MS / 2) }),
      peppered: add({ pepper: 7 }),
    };
  });

  test.each([
    ['accepted', () => tokens.active, undefined],
    ['unknown', () => makeKey(randomBytes, 'dmc').token, 'key_unknown'],
    ['known with a wrong secret', () => wrong(tokens.active), 'key_mismatch'],
    ['revoked', () => tokens.revoked, 'key_revoked'],
    ['revoked with a wrong secret', () => wrong(tokens.revoked), 'key_mismatch'],
    ['expired', () => tokens.expired, 'key_expired'],
    ['expired with a wrong secret', () => wrong(tokens.expired), 'key_mismatch'],
    ['not yet valid', () => tokens.early, 'key_not_yet'],
    ['of a pepper that is gone', () => tokens.peppered, 'key_pepper'],
  ])('that is %s costs one keyed hash', (_name, token, cause) => {
    const before = hasher.count;
    expect(table.verify(token()).cause).toBe(cause);
    expect(hasher.count - before).toBe(1);
  });

  test('that was proven before costs a guess at its secret the same', () => {
    expect(table.verify(tokens.active).cause).toBeUndefined();
    const before = hasher.count;
    expect(table.verify(wrong(tokens.active)).cause).toBe('key_mismatch');
    expect(hasher.count - before).toBe(1);
    // only whoever holds the key is spared the work
    expect(table.verify(tokens.active).cause).toBeUndefined();
    expect(hasher.count - before).toBe(1);
  });
});
