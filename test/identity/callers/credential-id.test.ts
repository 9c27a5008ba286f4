/** What limits call the credential of a caller. */
import { describe, expect, test } from 'vitest';
import { idSchema } from '../../../src/domain/ids.ts';
import { certificateCredential, tokenCredential } from '../../../src/identity/callers/credential-id.ts';

const ALICE = { issuer: 'sso', client: undefined, subject: 'alice' };

describe('a token', () => {
  test('is its client, which users share unless it is itself the subject', () => {
    expect(tokenCredential({ ...ALICE, client: 'app' })).toEqual({ id: 'sso:client:app', isShared: true });
    expect(tokenCredential({ ...ALICE, client: 'alice' })).toEqual({
      id: 'sso:client:alice',
      isShared: false,
    });
  });

  test('without a client is its subject', () => {
    expect(tokenCredential(ALICE)).toEqual({ id: 'sso:subject:alice', isShared: false });
  });

  test('of an issuer is never that of another, nor a subject a client', () => {
    const ids = [
      ALICE,
      { ...ALICE, issuer: 'other' },
      { ...ALICE, client: 'alice' },
      { ...ALICE, subject: 'client:alice' },
      { ...ALICE, subject: 'a b' },
      { ...ALICE, subject: 'a  b' },
      { ...ALICE, client: 'a b' },
      { ...ALICE, subject: 'x'.repeat(256) },
      { ...ALICE, subject: 'x'.repeat(255) },
    ].map(holder => tokenCredential(holder).id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('has an id that limits.json and the API take, whatever its subject is', () => {
    for (const subject of ['a b', 'ä', '"', 'x'.repeat(256)]) {
      expect(idSchema.safeParse(tokenCredential({ ...ALICE, subject }).id).success).toBe(true);
    }
  });
});

describe('a certificate', () => {
  const thumbprint = 'n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg';

  test('is its workload, and itself where it names none', () => {
    const subject = 'spiffe://acme.example/worker';
    expect(certificateCredential({ thumbprint, subject }).id).toBe(subject);
    expect(certificateCredential({ thumbprint, subject: 'CN=alice' }).id).toBe(thumbprint);
    expect(certificateCredential({ thumbprint, subject: undefined }).id).toBe(thumbprint);
  });
});
