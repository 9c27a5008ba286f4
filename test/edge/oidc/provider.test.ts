/** Decisions about callers with tokens of an OpenID provider that nobody here wrote. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { sha256 } from '../../../src/identity/jwt/digest.ts';
import { makeAuthority } from '../../identity/certificates/forge.ts';
import { makeKey, signProof } from '../../identity/jwt/test-issuer.ts';
import { ADMIN_KEY, ALLOWED, startTestService, type TestService } from '../service.ts';
import { AUDIENCE, type OidcProvider, OPAQUE_AUDIENCE, OTHER_AUDIENCE, startProvider } from './provider.ts';

const ACTION = { action: ALLOWED.action, resource: ALLOWED.resource };
const answerSchema = z.looseObject({
  decisionId: z.string(),
  decision: z.string(),
  reason: z.looseObject({ code: z.string(), message: z.string() }),
  auth: z.object({ mode: z.string(), method: z.string() }),
});
const entrySchema = z.looseObject({
  caller: z.record(z.string(), z.string()).optional(),
  request: z.looseObject({ principal: z.object({ type: z.string(), id: z.string() }) }),
});

/** How far the monotonic clock of the service is ahead, in milliseconds. */
let ahead = 0;
/** Where that clock stands still, in milliseconds; undefined: it goes. */
let halted: number | undefined;
let provider: OidcProvider;
let service: TestService;
let folder: string;
let pep: string;
beforeAll(async () => {
  provider = await startProvider();
  folder = mkdtempSync(join(tmpdir(), 'duramen-oidc-'));
  const clientSecretFile = join(folder, 'secret');
  writeFileSync(clientSecretFile, provider.secret);
  const issuer = {
    name: 'sso',
    issuer: provider.url,
    audiences: [AUDIENCE, OPAQUE_AUDIENCE],
    tenants: ['acme'],
    privateHosts: [provider.host],
    id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
    introspection: {
      url: `${provider.url}/token/introspection`,
      clientId: 'pdp',
      clientSecretFile,
      cacheSeconds: 0,
      // this provider does not answer for JWTs
      jwt: false,
      opaque: true,
      clientSubjects: true,
    },
  };
  service = await startTestService({
    filled: true,
    clock: { now: () => Date.now(), monotonic: () => (halted ?? performance.now()) + ahead },
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([issuer]) },
  });
  const body = { roles: ['pep'], callers: [{ mode: 'verify', tenants: ['acme'] }] };
  const made = await service.call('POST', '/v1/keys', { body });
  pep = z.object({ key: z.string() }).parse(made.json).key;
});
afterAll(async () => {
  await service.stop();
  await provider.stop();
  rmSync(folder, { recursive: true });
});

async function decide(credential: object): Promise<z.output<typeof answerSchema>> {
  const reply = await service.call('POST', '/decide', { key: pep, body: { ...ACTION, credential } });
  if (reply.status !== 200) throw new Error(reply.text);
  return answerSchema.parse(reply.json);
}

/** The logged caller of a decision. */
async function callerOf(decisionId: string): Promise<z.output<typeof entrySchema>> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const reply = await service.call('GET', `/v1/decisions/${decisionId}`, { key: ADMIN_KEY });
    if (reply.status === 200) return entrySchema.parse(reply.json);
    if (performance.now() > deadline) throw new Error(`no entry: ${reply.text}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

async function causeOf(credential: object): Promise<string> {
  const { decision, decisionId, reason } = await decide(credential);
  const { caller } = await callerOf(decisionId);
  return `${decision} ${reason.code} ${caller?.['cause'] ?? ''}`;
}

const jwt = async (options: Parameters<OidcProvider['token']>[0] = {}) => ({
  kind: 'jwt',
  token: await provider.token(options),
});
const opaque = async () => ({ kind: 'opaque', token: await provider.token({ resource: OPAQUE_AUDIENCE }) });

describe('a JWT of the client credentials grant', () => {
  test('is found by discovery, verified and decided', async () => {
    const credential = await jwt();
    expect(credential.token.split('.')).toHaveLength(3);
    const answer = await decide(credential);
    expect(answer).toMatchObject({ decision: 'allow', auth: { mode: 'verify', method: 'jwt' } });
    const { request } = await callerOf(answer.decisionId);
    expect(request.principal).toEqual({ type: 'User', id: 'acme/alice' });
  });

  test('of another client is another principal', async () => {
    const { decisionId } = await decide(await jwt({ client: 'bob' }));
    expect((await callerOf(decisionId)).request.principal.id).toBe('acme/bob');
  });

  test('for another resource is refused', async () => {
    expect(await causeOf(await jwt({ resource: OTHER_AUDIENCE }))).toBe('deny UNAUTHENTICATED audience');
  });

  test('that the provider changed by a bit is refused', async () => {
    const { token } = await jwt();
    const [head = '', body = '', signature = ''] = token.split('.');
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const broken = { kind: 'jwt', token: `${head}.${body}.${flipped}` };
    expect(await causeOf(broken)).toBe('deny UNAUTHENTICATED signature');
  });
});

describe('an opaque token', () => {
  test('is asked about and decided', async () => {
    const credential = await opaque();
    expect(credential.token).not.toContain('.');
    expect(await decide(credential)).toMatchObject({
      decision: 'allow',
      auth: { mode: 'verify', method: 'opaque' },
    });
  });

  test('is over with its revocation', async () => {
    const credential = await opaque();
    expect((await decide(credential)).decision).toBe('allow');
    await provider.revoke(credential.token);
    expect(await causeOf(credential)).toBe('deny CREDENTIAL_REVOKED inactive');
  });

  test('that nobody issued is inactive', async () => {
    const invented = { kind: 'opaque', token: 'nobody-has-ever-issued-this-token-000000000' };
    expect(await causeOf(invented)).toBe('deny CREDENTIAL_REVOKED inactive');
  });

  test('is no JWT, and a JWT is no opaque token', async () => {
    const { token } = await opaque();
    expect(await causeOf({ kind: 'jwt', token })).toBe('deny UNAUTHENTICATED malformed');
  });
});

describe('a token that is bound to its sender', () => {
  const url = 'https://gateway.example/v1/chat';
  const seconds = () => Math.floor(Date.now() / 1000);

  test('by DPoP needs a fresh proof for each request', async () => {
    const holder = await makeKey('ES256', 'holder');
    const atProvider = { jti: 'a', htm: 'POST', htu: provider.tokenEndpoint, iat: seconds() };
    const { token } = await jwt({ dpop: await signProof(holder, atProvider) });
    expect(await causeOf({ kind: 'jwt', token })).toBe('deny UNAUTHENTICATED proof_missing');
    const claims = { jti: 'b', htm: 'POST', htu: url, iat: seconds(), ath: sha256(token) };
    const bound = {
      kind: 'jwt',
      token,
      dpop: { proof: await signProof(holder, claims), method: 'POST', url },
    };
    const answer = await decide(bound);
    expect(answer.decision).toBe('allow');
    expect((await callerOf(answer.decisionId)).caller).toMatchObject({ binding: 'dpop' });
    expect(await causeOf(bound)).toBe('deny UNAUTHENTICATED proof_replayed');
    const thief = await makeKey('ES256', 'thief');
    expect(await calculateJwkThumbprint(thief.jwk)).not.toBe(await calculateJwkThumbprint(holder.jwk));
    const stolen = { proof: await signProof(thief, { ...claims, jti: 'c' }), method: 'POST', url };
    expect(await causeOf({ kind: 'jwt', token, dpop: stolen })).toBe('deny UNAUTHENTICATED proof_key');
  });

  test('by its certificate needs that certificate', async () => {
    const authority = makeAuthority({ subject: 'CN=clients' });
    const own = authority.issue({ subject: 'CN=alice' });
    const { token } = await jwt({ certificate: own.pem });
    expect(await causeOf({ kind: 'jwt', token })).toBe('deny UNAUTHENTICATED certificate');
    const other = authority.issue({ subject: 'CN=alice' });
    expect(await causeOf({ kind: 'jwt', token, certificate: thumbprintOf(other.pem) })).toBe(
      'deny UNAUTHENTICATED certificate',
    );
    const answer = await decide({ kind: 'jwt', token, certificate: thumbprintOf(own.pem) });
    // proven, and unknown to the directory
    expect(answer.reason.code).toBe('UNKNOWN_PRINCIPAL');
    expect(await callerOf(answer.decisionId)).toMatchObject({ caller: { binding: 'certificate' } });
  });
});

test('revocations here count for tokens that the provider calls active', async () => {
  const credential = await jwt({ client: 'bob' });
  expect((await decide(credential)).auth.method).toBe('jwt');
  const body = { issuer: 'sso', kind: 'subject', value: 'bob', reason: 'test' };
  expect((await service.call('POST', '/v1/revocations', { body })).status).toBe(201);
  expect(await causeOf(credential)).toBe('deny CREDENTIAL_REVOKED revoked');
});

test('a gateway that brings wrong tokens is slowed, without an entry for each, and right tokens are not', async () => {
  const body = { roles: ['pep'], callers: [{ mode: 'verify', tenants: ['acme'] }] };
  const made = await service.call('POST', '/v1/keys', { body });
  const { key } = z.object({ key: z.string() }).parse(made.json);
  const right = await jwt();
  const ask = (credential: object) =>
    service.call('POST', '/decide', { key, body: { ...ACTION, credential } });
  const statuses: number[] = [];
  // no minute ends meanwhile
  halted = performance.now();
  onTestFinished(() => {
    halted = undefined;
  });
  for (let at = 0; at < 70; at++) statuses.push((await ask({ kind: 'jwt', token: `a.b.c${at}` })).status);
  expect(statuses.filter(status => status === 200)).toHaveLength(60);
  expect(statuses.filter(status => status === 429)).toHaveLength(10);
  expect((await ask(right)).status).toBe(200);
  // while an invented opaque token is not asked about any more
  const refused = await ask({ kind: 'opaque', token: 'nobody-has-ever-issued-this-token-111111111' });
  expect(refused.status).toBe(429);
});

describe('keys that change', () => {
  test('are found when a token comes with a new one, while the old one goes on counting', async () => {
    const before = await jwt();
    expect((await decide(before)).decision).toBe('allow');
    await provider.rotate(true);
    const after = await jwt();
    expect(headerOf(after.token)).not.toBe(headerOf(before.token));
    // a new key is worth one question in half a minute
    ahead += 30_000;
    expect((await decide(after)).decision).toBe('allow');
    expect((await decide(before)).decision).toBe('allow');
  });

  test('take those tokens with them that an old one signed', async () => {
    const before = await jwt();
    await provider.rotate(false);
    const after = await jwt();
    ahead += 30_000;
    expect((await decide(after)).decision).toBe('allow');
    expect(await causeOf(before)).toBe('deny UNAUTHENTICATED unknown_key');
  });
});

test('a provider that is down lets the keys that are known go on counting, and nothing that would have to be asked', async () => {
  const [known, asked] = [await jwt(), await opaque()];
  await provider.stop();
  expect((await decide(known)).decision).toBe('allow');
  expect(await causeOf(asked)).toBe('deny UNAUTHENTICATED introspection_unavailable');
});

function headerOf(token: string): string {
  return token.split('.')[0] ?? '';
}

/** SHA-256 of the DER, base64url. */
function thumbprintOf(pem: string): string {
  const hex = new X509Certificate(pem).fingerprint256.replaceAll(':', '');
  return Buffer.from(hex, 'hex').toString('base64url');
}
