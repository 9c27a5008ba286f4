/**
 * Hostile tokens, keys and headers against a running service: what each is told, and what the log says of it. The tables of
 * tokens are those that the verifier is tested with.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { manualClock, type ManualClock } from '../identity/clock.ts';
import { withChecksum } from '../identity/caller-keys/forged-key.ts';
import { AUDIENCE } from '../identity/jwt/authentication-scene.ts';
import { claimRows } from '../identity/jwt/hostile-claim-rows.ts';
import { formRows } from '../identity/jwt/hostile-form-rows.ts';
import type { Row, RowScene } from '../identity/jwt/hostile-rows.ts';
import {
  makeKey,
  type SigningKey,
  signToken,
  startIssuer,
  type TestIssuer,
} from '../identity/jwt/test-issuer.ts';
import { codeOf, type TokenCause } from '../../src/identity/jwt/token-cause.ts';
import { ADMIN_KEY, ALLOWED, type Reply, startTestService, type TestService } from './service.ts';
import { withOtherLetter } from '../other-letter.ts';

const NOT_ACCEPTED = 'the credential of the caller is not accepted';
const ACTION = { action: ALLOWED.action, resource: ALLOWED.resource };
const DAY_MS = 86_400_000;
const decisionSchema = z.looseObject({
  decisionId: z.string(),
  decision: z.string(),
  reason: z.looseObject({ code: z.string(), message: z.string(), policies: z.array(z.string()) }),
});
const pageSchema = z.looseObject({
  items: z.array(
    z.looseObject({ decisionId: z.string(), caller: z.record(z.string(), z.string()).optional() }),
  ),
  nextCursor: z.string().nullable(),
});

let clock: ManualClock;
let issuer: TestIssuer;
let service: TestService;
let pep: string;
let keys: Readonly<Record<'own' | 'rsa' | 'bare' | 'foreign', SigningKey>>;

beforeAll(async () => {
  clock = manualClock();
  const [own, rsa, bare, foreign] = await Promise.all([
    makeKey('ES256', 'k1'),
    makeKey('RS256', 'r1'),
    makeKey('PS256', 'b1'),
    makeKey('ES256', 'k1'),
  ]);
  keys = { own, rsa, bare, foreign };
  const { alg: _, ...withoutAlg } = bare.jwk;
  issuer = await startIssuer([
    own.jwk,
    rsa.jwk,
    withoutAlg,
    { ...(await makeKey('ES256', 'enc1')).jwk, use: 'enc' },
    { ...(await makeKey('ES256', 'ops1')).jwk, key_ops: ['sign'] },
  ]);
  const settings = {
    name: 'idp',
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
  };
  service = await startTestService({
    filled: true,
    clock,
    env: {
      DURAMEN_IDENTITY_ISSUERS: JSON.stringify([settings]),
      DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: '100000',
    },
  });
  const body = { roles: ['pep'], callers: [{ mode: 'verify' }] };
  const made = await service.call('POST', '/v1/keys', { body });
  pep = z.object({ key: z.string() }).parse(made.json).key;
});
afterAll(async () => {
  await service.stop();
  await issuer.stop();
});

const now = () => Math.floor(clock.now() / 1000);
const scene = (): RowScene => ({
  key: keys.own,
  issuer,
  clock,
  claims: (change = {}) => ({
    iss: issuer.url,
    sub: 'alice',
    aud: AUDIENCE,
    iat: now(),
    exp: now() + 600,
    jti: 'token-1',
    client_id: 'app',
    scope: 'model:invoke',
    ...change,
  }),
});
const { form, headers } = formRows(
  scene,
  () => keys.foreign,
  () => keys.rsa,
);
const { keys: signatures, claims } = claimRows(
  scene,
  () => keys.foreign,
  () => keys.bare,
);

function decide(credential: object): Promise<Reply> {
  return service.call('POST', '/decide', { key: pep, body: { ...ACTION, credential } });
}

/** Logged causes of these decisions, by id. */
async function causesOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const found = new Map<string, string>();
    let cursor: string | null = null;
    do {
      const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const reply = await service.call('GET', `/v1/decisions?limit=1000${more}`);
      const page: z.output<typeof pageSchema> = pageSchema.parse(reply.json);
      for (const { decisionId, caller } of page.items) found.set(decisionId, caller?.['cause'] ?? '');
      cursor = page.nextCursor;
    } while (cursor !== null);
    if (ids.every(id => found.has(id)) || performance.now() > deadline) return found;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** Asks with each token and compares what it is told and what is logged. @returns what is wrong */
async function faultsOf(rows: readonly Row[]): Promise<readonly string[]> {
  const faults: string[] = [];
  const asked: { readonly name: string; readonly cause: string; readonly id: string }[] = [];
  for (const [name, cause, make] of rows) {
    const token = await make();
    // the schema of the request refuses the empty text before there is a credential
    if (token === '') continue;
    const reply = await decide({ kind: 'jwt', token });
    const { decisionId, decision, reason } = decisionSchema.parse(reply.json);
    asked.push({ name, cause, id: decisionId });
    const code = isTokenCause(cause) ? codeOf(cause) : cause;
    const told = `${decision} ${reason.code} ${reason.message} ${reason.policies.length}`;
    if (told !== `deny ${code} ${NOT_ACCEPTED} 0`) faults.push(`${name}: told ${told}`);
    const parts = token.split('.').filter(part => part.length > 20);
    if (parts.some(part => reply.text.includes(part))) faults.push(`${name}: repeated`);
  }
  const causes = await causesOf(asked.map(({ id }) => id));
  for (const { name, cause, id } of asked) {
    if (causes.get(id) !== cause) faults.push(`${name}: logged ${causes.get(id)}`);
  }
  return faults;
}

function isTokenCause(cause: string): cause is TokenCause {
  return cause !== '';
}

describe('a token', () => {
  test('that is right is accepted, so that the tables say something', async () => {
    const token = await signToken(keys.own, scene().claims());
    const { reason } = decisionSchema.parse((await decide({ kind: 'jwt', token })).json);
    expect(reason.code).toBe('UNKNOWN_PRINCIPAL');
  });

  test.each([
    ['form', () => form],
    ['header', () => headers],
    ['key or signature', () => signatures],
    ['claims', () => claims],
  ])('of a bad %s is denied in one sentence, with the exact cause in the log', async (_name, rows) => {
    expect(await faultsOf(rows())).toEqual([]);
  });

  test('there are at least eighty of them', () => {
    expect(form.length + headers.length + signatures.length + claims.length).toBeGreaterThanOrEqual(120);
  });
});

const madeKey = z.looseObject({ id: z.string(), key: z.string() });

async function callerKey(change: object = {}): Promise<{ id: string; key: string }> {
  const expiresAt = new Date(clock.now() + DAY_MS).toISOString();
  const body = { owner: { type: 'User', id: 'acme/alice' }, expiresAt, ...change };
  return madeKey.parse((await service.call('POST', '/v1/caller-keys', { body })).json);
}

test('keys of callers are denied in one sentence, whatever is wrong, with the exact cause in the log', async () => {
  const good = await callerKey();
  const revoked = await callerKey();
  await service.call('DELETE', `/v1/caller-keys/${revoked.id}`);
  const early = await callerKey({ notBefore: new Date(clock.now() + DAY_MS / 2).toISOString() });
  const expired = await callerKey({ expiresAt: new Date(clock.now() + 61_000).toISOString() });
  clock.advance(62_000);
  const { id, key } = good;
  const secret = key.slice(21, 64);
  const rows: readonly (readonly [name: string, key: string, code: string, cause: string])[] = [
    ['unknown', withChecksum(`dmc_${'A'.repeat(16)}_${secret}`), 'UNAUTHENTICATED', 'key_unknown'],
    ['wrong secret', withChecksum(`dmc_${id}_${'A'.repeat(43)}`), 'UNAUTHENTICATED', 'key_mismatch'],
    [
      'wrong secret of a revoked one',
      withChecksum(`dmc_${revoked.id}_${'A'.repeat(43)}`),
      'UNAUTHENTICATED',
      'key_mismatch',
    ],
    ['revoked', revoked.key, 'CREDENTIAL_REVOKED', 'key_revoked'],
    ['expired', expired.key, 'CREDENTIAL_EXPIRED', 'key_expired'],
    ['not yet valid', early.key, 'UNAUTHENTICATED', 'key_not_yet'],
    ['a typo', withOtherLetter(key, 30), 'UNAUTHENTICATED', 'key_checksum'],
    ['cut short', key.slice(0, -1), 'UNAUTHENTICATED', 'key_malformed'],
    ['with more behind it', `${key}A`, 'UNAUTHENTICATED', 'key_malformed'],
    ['with a space before', ` ${key.slice(1)}`, 'UNAUTHENTICATED', 'key_malformed'],
    ['with a line break', `${key.slice(0, -1)}\n`, 'UNAUTHENTICATED', 'key_malformed'],
    ['of another prefix', `dmn${key.slice(3)}`, 'UNAUTHENTICATED', 'key_malformed'],
    ['a key of the API', ADMIN_KEY, 'UNAUTHENTICATED', 'key_malformed'],
    ['of 64 KB', 'A'.repeat(65_536), 'UNAUTHENTICATED', 'key_malformed'],
  ];
  const faults: string[] = [];
  const asked: { readonly name: string; readonly cause: string; readonly decisionId: string }[] = [];
  for (const [name, text, code, cause] of rows) {
    const reply = await decide({ kind: 'api_key', key: text });
    const { decisionId, decision, reason } = decisionSchema.parse(reply.json);
    const told = `${decision} ${reason.code} ${reason.message}`;
    if (told !== `deny ${code} ${NOT_ACCEPTED}`) faults.push(`${name}: told ${told}`);
    if (reply.text.includes(text.slice(21, 45))) faults.push(`${name}: repeated`);
    asked.push({ name, cause, decisionId });
  }
  const causes = await causesOf(asked.map(({ decisionId }) => decisionId));
  for (const { name, cause, decisionId } of asked) {
    if (causes.get(decisionId) !== cause) faults.push(`${name}: logged ${causes.get(decisionId)}`);
  }
  expect(faults).toEqual([]);
  expect(decisionSchema.parse((await decide({ kind: 'api_key', key })).json).decision).toBe('allow');
});

describe('a header', () => {
  const ONE = 'the key is not accepted: it is unknown, has expired or was revoked';
  const FORM = 'the key does not have the form of a key: check that it was copied as a whole';
  const SCHEME =
    'the `Authorization` header must use the scheme `Bearer`: send `Authorization: Bearer dmn_…`';
  const TYPO = 'the key has a typo: its checksum does not fit';

  async function rows(): Promise<
    readonly (readonly [name: string, header: string, detail: string, cause: string])[]
  > {
    const body = { roles: ['auditor'] };
    const make = async (more: object = {}) =>
      madeKey.parse((await service.call('POST', '/v1/keys', { body: { ...body, ...more } })).json);
    const { id, key } = await make();
    const revoked = await make();
    await service.call('DELETE', `/v1/keys/${revoked.id}`);
    const expired = await make({ expiresAt: new Date(clock.now() + 1_000).toISOString() });
    clock.advance(2_000);
    const guess = withChecksum(`dmn_${id}_${'A'.repeat(43)}`);
    return [
      ['an unknown key', `Bearer ${withChecksum(`dmn_${'A'.repeat(16)}_${'B'.repeat(43)}`)}`, ONE, 'unknown'],
      ['a wrong secret', `Bearer ${guess}`, ONE, 'mismatch'],
      ['a revoked key', `Bearer ${revoked.key}`, ONE, 'revoked'],
      ['an expired key', `Bearer ${expired.key}`, ONE, 'expired'],
      [
        'a wrong secret of a revoked key',
        `Bearer ${withChecksum(`dmn_${revoked.id}_${'A'.repeat(43)}`)}`,
        ONE,
        'mismatch',
      ],
      ['a typo', `Bearer ${withOtherLetter(key, 30)}`, TYPO, 'checksum'],
      ['a key that is cut short', `Bearer ${key.slice(0, -1)}`, FORM, 'malformed'],
      ['two keys', `Bearer ${key} ${key}`, FORM, 'malformed'],
      ['two keys with a comma', `Bearer ${key}, Bearer ${key}`, FORM, 'malformed'],
      ['quotes', `Bearer "${key}"`, FORM, 'malformed'],
      ['a key of a caller', `Bearer ${withChecksum(`dmc_${id}_${key.slice(21, 64)}`)}`, FORM, 'malformed'],
      ['8 KB', `Bearer ${'A'.repeat(8_000)}`, FORM, 'malformed'],
      ['letters beyond ASCII', `Bearer ${key.slice(0, -1)}\u00e9`, FORM, 'malformed'],
      ['Basic', `Basic ${Buffer.from(`key:${key}`).toString('base64')}`, SCHEME, 'scheme'],
      ['a key without a scheme', key, SCHEME, 'scheme'],
      ['a scheme without a key', 'Bearer', SCHEME, 'scheme'],
      ['a colon', `Bearer: ${key}`, SCHEME, 'scheme'],
      ['DPoP', `DPoP ${key}`, SCHEME, 'scheme'],
      ['Negotiate', 'Negotiate YIIB', SCHEME, 'scheme'],
    ];
  }

  test('is answered with 401 and one sentence for unknown, expired and revoked keys, and its cause is in the log', async () => {
    const faults: string[] = [];
    const seen = new Set<string>();
    for (const [name, header, detail, cause] of await rows()) {
      const reply = await service.call('GET', '/v1/status', {
        key: undefined,
        headers: { authorization: header },
      });
      const problem = z.looseObject({ code: z.string(), detail: z.string() }).parse(reply.json);
      if (reply.status !== 401 || problem.code !== 'CREDENTIAL_REQUIRED' || problem.detail !== detail) {
        faults.push(`${name}: told ${reply.status} ${problem.detail}`);
      }
      if (reply.headers.get('www-authenticate')?.startsWith('Bearer') !== true)
        faults.push(`${name}: no challenge`);
      seen.add(cause);
    }
    expect(faults).toEqual([]);
    // the first of a minute at once, the others as one count at its end
    const missing = async (): Promise<readonly string[]> => {
      const events = await service.call('GET', '/v1/events?kind=auth.failed&limit=1000');
      const { text: metrics } = await service.call('GET', '/metrics');
      return [...seen].filter(
        cause => !events.text.includes(`"${cause}"`) || !metrics.includes(`cause="${cause}"`),
      );
    };
    // no failure waits for its entry
    await expect.poll(missing).toEqual([]);
  });
});
