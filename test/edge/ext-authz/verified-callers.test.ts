/** Gateways that forward the token of the caller: whom it proves is asked about, and nobody else. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import type { IssuerSettingsInput } from '../../../src/domain/issuer-settings.ts';
import { manualClock } from '../../identity/clock.ts';
import {
  makeKey,
  signToken,
  type SigningKey,
  startIssuer,
  type TestIssuer,
} from '../../identity/jwt/test-issuer.ts';
import { startTestService, type TestService } from '../service.ts';
import { ASSERTS, ask, chatOf } from './asking.ts';

const AUDIENCE = 'https://duramen.example';
const PROFILES: readonly PepProfileInput[] = [
  { name: 'verify', kind: 'envoy', body: 'whole', dialects: ['openai'], identity: { mode: 'verify' } },
  { name: 'assert', kind: 'envoy', body: 'whole', dialects: ['openai'], identity: ASSERTS },
];
const clock = manualClock();
let issuer: TestIssuer;
let key: SigningKey;
let service: TestService;

beforeAll(async () => {
  key = await makeKey('ES256', 'k1');
  issuer = await startIssuer([key.jwk]);
  const issuers: readonly IssuerSettingsInput[] = [
    {
      issuer: issuer.url,
      name: 'sso',
      audiences: [AUDIENCE],
      tenants: ['acme'],
      privateHosts: [issuer.host],
      id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
    },
  ];
  const env = {
    DURAMEN_IDENTITY_ISSUERS: JSON.stringify(issuers),
    DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES),
  };
  service = await startTestService({ filled: true, clock, env });
});
afterAll(async () => {
  await service.stop();
  await issuer.stop();
});

let tokens = 0;
function tokenOf(change: Record<string, unknown> = {}): Promise<string> {
  tokens += 1;
  const now = Math.floor(clock.now() / 1000);
  const base = { iss: issuer.url, sub: 'alice', aud: AUDIENCE, iat: now, exp: now + 600, jti: `t${tokens}` };
  return signToken(key, { ...base, client_id: 'app', ...change });
}

async function asks(profile: string, headers: Record<string, string>, pep?: string) {
  return ask(service.url, {
    path: `/ext-authz/${profile}/v1/chat/completions`,
    headers: {
      'x-duramen-key': pep ?? (await service.makeKey(['pep'])),
      'content-type': 'application/json',
      ...headers,
    },
    body: chatOf('support-llm'),
  });
}

describe('a token', () => {
  test('names the caller, whatever the gateway says beside it', async () => {
    const reply = await asks('verify', {
      authorization: `Bearer ${await tokenOf()}`,
      'x-user': 'globex/erin',
    });
    expect(reply).toMatchObject({ status: 200, headers: { 'x-duramen-principal': 'User::acme/alice' } });
    expect(reply.headers['x-duramen-tenant']).toBe('acme');
  });

  test.each([
    ['of another audience', { aud: 'https://other.example' }, 'UNAUTHENTICATED'],
    ['that has expired', { iat: 1, exp: 2 }, 'CREDENTIAL_EXPIRED'],
  ])('%s names nobody, which is in the log', async (_, change, code) => {
    const reply = await asks('verify', { authorization: `Bearer ${await tokenOf(change)}` });
    expect(reply).toMatchObject({
      status: 401,
      headers: { 'x-duramen-reason': code, 'x-duramen-principal': '' },
    });
    const entry = await service.call('GET', `/v1/decisions/${reply.headers['x-duramen-decision-id']}`);
    expect(entry.json).toMatchObject({ decision: 'deny', reason: { code } });
  });

  test('is not taken twice', async () => {
    const [one, two] = [await tokenOf(), await tokenOf({ sub: 'bob' })];
    const reply = await asks('verify', { authorization: `Bearer ${one}, Bearer ${two}` });
    expect(reply.status).toBe(401);
  });
});

describe('a key whose rules demand the credential of the caller', () => {
  test('may not name callers in a header', async () => {
    const body = { roles: ['pep'], callers: [{ mode: 'verify' }] };
    const made = await service.call('POST', '/v1/keys', { body });
    const pep = /"key":"(dmn_[^"]+)"/.exec(made.text)?.[1];
    const reply = await asks('assert', { 'x-user': 'acme/alice' }, pep);
    expect(reply).toMatchObject({ status: 401, headers: { 'x-duramen-reason': 'UNAUTHENTICATED' } });
  });

  test('may not assert more than its limits', async () => {
    const body = { roles: ['pep'], callers: [{ mode: 'assert', maxAssurance: 0 }] };
    const made = await service.call('POST', '/v1/keys', { body });
    const pep = /"key":"(dmn_[^"]+)"/.exec(made.text)?.[1];
    const reply = await asks('assert', { 'x-user': 'acme/alice' }, pep);
    expect(reply).toMatchObject({ status: 403, headers: { 'x-duramen-reason': 'ASSERTION_NOT_ALLOWED' } });
  });
});
