/** Callers of /decide whose credential is verified here, against a real issuer, policies, directory and log. */
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { IssuerSettingsInput } from '../../src/domain/issuer-settings.ts';
import { sha256 } from '../../src/identity/jwt/digest.ts';
import { type ManualClock, manualClock } from '../identity/clock.ts';
import {
  makeKey,
  signProof,
  type SigningKey,
  signToken,
  startIssuer,
  type TestIssuer,
} from '../identity/jwt/test-issuer.ts';
import { ALLOWED, problemOf, type Reply, startTestService, type TestService } from './service.ts';

const AUDIENCE = 'https://duramen.example';
const ACTION = { action: ALLOWED.action, resource: ALLOWED.resource };
let clock: ManualClock;
let issuer: TestIssuer;
let key: SigningKey;
let service: TestService;
let pep: string;

beforeAll(async () => {
  clock = manualClock();
  key = await makeKey('ES256', 'k1');
  issuer = await startIssuer([key.jwk]);
  const base = {
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
  };
  const issuers: IssuerSettingsInput[] = [
    {
      ...base,
      name: 'sso',
      id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
      roles: [{ claim: 'groups', steps: [{ lookup: { ml: 'acme/data-scientist' } }] }],
      delegation: { agent: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' } },
      justInTime: { attributes: { actsFor: [], org: 'acme/eu/fraud', tier: 'standard', clearance: 2 } },
    },
  ];
  service = await startTestService({
    filled: true,
    clock,
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify(issuers) },
  });
  pep = await keyWith([{ mode: 'verify', tenants: ['acme'] }]);
});
afterAll(async () => {
  await service.stop();
  await issuer.stop();
});

async function keyWith(callers: readonly object[] | undefined, more: object = {}): Promise<string> {
  const body = { roles: ['pep'], ...(callers === undefined ? {} : { callers }), ...more };
  const reply = await service.call('POST', '/v1/keys', { body });
  return z.object({ key: z.string() }).parse(reply.json).key;
}

let count = 0;
function claims(change: Record<string, unknown> = {}): Record<string, unknown> {
  count += 1;
  const now = Math.floor(clock.now() / 1000);
  const base = { iss: issuer.url, sub: 'alice', aud: AUDIENCE, iat: now, exp: now + 600, jti: `t${count}` };
  return { ...base, client_id: 'app', scope: 'model:invoke', ...change };
}
const tokenOf = (change: Record<string, unknown> = {}) => signToken(key, claims(change));
const jwt = async (change: Record<string, unknown> = {}) => ({ kind: 'jwt', token: await tokenOf(change) });

function decide(body: object, as = pep): Promise<Reply> {
  return service.call('POST', '/decide', { key: as, body });
}

const decision = z.looseObject({
  decisionId: z.string(),
  decision: z.string(),
  reason: z.looseObject({ code: z.string(), message: z.string() }),
  auth: z.looseObject({ mode: z.string(), method: z.string() }),
});

function decisionOf(reply: Reply) {
  expect(reply.text).toContain('"decision"');
  expect(reply.status).toBe(200);
  return decision.parse(reply.json);
}

const entrySchema = z.looseObject({
  caller: z.record(z.string(), z.string()).optional(),
  request: z.looseObject({
    principal: z.object({ type: z.string(), id: z.string() }),
    tenant: z.string(),
    context: z.looseObject({ auth: z.unknown().optional(), via: z.unknown().optional() }).optional(),
  }),
});

async function entryOf(id: string) {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const reply = await service.call('GET', `/v1/decisions/${id}`);
    if (reply.status === 200) return entrySchema.parse(reply.json);
    if (performance.now() > deadline) throw new Error(`no entry: ${reply.text}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

describe('a forwarded token', () => {
  test('says who the principal is, how it was authenticated, and to which tenant it belongs', async () => {
    const answer = decisionOf(await decide({ ...ACTION, credential: await jwt() }));
    expect(answer).toMatchObject({ decision: 'allow', auth: { mode: 'verify', method: 'jwt' } });
    const entry = await entryOf(answer.decisionId);
    expect(entry.request).toMatchObject({ principal: { type: 'User', id: 'acme/alice' }, tenant: 'acme' });
    expect(entry.request.context?.auth).toEqual({
      method: 'jwt',
      assurance: 1,
      scopes: ['model:invoke'],
      issuer: issuer.url,
      keyId: 'k1',
      mode: 'verify',
    });
    expect(entry.caller).toEqual({ mode: 'verify', method: 'jwt', binding: 'none' });
  });

  test('may stand beside the principal that it proves, and no other', async () => {
    const credential = await jwt();
    expect(decisionOf(await decide({ ...ALLOWED, credential })).decision).toBe('allow');
    const other = { ...ACTION, principal: { type: 'User', id: 'acme/bob' }, credential };
    const answer = decisionOf(await decide(other));
    expect(answer).toMatchObject({ decision: 'deny', reason: { code: 'UNAUTHENTICATED' } });
    expect((await entryOf(answer.decisionId)).caller).toMatchObject({ cause: 'principal_mismatch' });
  });

  test('works in a batch, item by item', async () => {
    const requests = [
      { ...ACTION, credential: await jwt() },
      { ...ACTION, credential: { kind: 'jwt', token: 'x' } },
      { ...ACTION },
    ];
    const reply = await service.call('POST', '/decide/batch', { key: pep, body: { requests } });
    const { decisions } = z
      .object({ decisions: z.array(z.looseObject({ decision: z.string().optional() })) })
      .parse(reply.json);
    expect(decisions.map(one => one.decision)).toEqual(['allow', 'deny', undefined]);
  });

  test('that names actors makes them the agents of the decision', async () => {
    const credential = await jwt({ act: { sub: 'copilot' } });
    const answer = decisionOf(await decide({ ...ACTION, credential }));
    const entry = await entryOf(answer.decisionId);
    expect(entry.request.context?.via).toMatchObject({
      agent: 'acme/copilot',
      chain: ['acme/copilot'],
      depth: 1,
      scopes: ['model:invoke'],
      humanApproved: false,
    });
  });

  test('with a proof is bound, and the proof counts once', async () => {
    const client = await makeKey('ES256', 'client');
    const token = await tokenOf({ cnf: { jkt: await calculateJwkThumbprint(client.jwk) } });
    const url = 'https://gateway.example/v1/chat';
    const iat = Math.floor(clock.now() / 1000);
    const proof = await signProof(client, { jti: 'p1', htm: 'POST', htu: url, iat, ath: sha256(token) });
    const credential = { kind: 'jwt', token, dpop: { proof, method: 'POST', url } };
    const answer = decisionOf(await decide({ ...ACTION, credential }));
    expect(answer.decision).toBe('allow');
    expect((await entryOf(answer.decisionId)).caller).toMatchObject({ binding: 'dpop' });
    const again = decisionOf(await decide({ ...ACTION, credential }));
    expect((await entryOf(again.decisionId)).caller).toMatchObject({ cause: 'proof_replayed' });
  });

  test('of an unknown subject makes a principal with its roles, which is then decided about', async () => {
    const groups = ['ml', 'everyone'];
    const answer = decisionOf(
      await decide({ ...ACTION, credential: await jwt({ sub: 'newcomer', groups }) }),
    );
    expect(answer.decision).toBe('allow');
    const made = await service.call('GET', '/v1/principals/User/acme%2Fnewcomer');
    expect(made.json).toMatchObject({
      parents: [
        { type: 'Role', id: 'acme/data-scientist' },
        { type: 'Tenant', id: 'acme' },
      ],
      status: 'active',
    });
    const events = await service.call('GET', '/v1/events?kind=entity.put');
    expect(events.text).toContain('"issuer:sso"');
  });

  test('of a principal that was disabled does not help', async () => {
    const body = { status: 'disabled' };
    await decide({ ...ACTION, credential: await jwt({ sub: 'leaver' }) });
    expect((await service.call('PATCH', '/v1/principals/User/acme%2Fleaver', { body })).status).toBe(200);
    const answer = decisionOf(await decide({ ...ACTION, credential: await jwt({ sub: 'leaver' }) }));
    expect(answer.reason.code).toBe('PRINCIPAL_DISABLED');
  });
});

describe('a refused credential', () => {
  test.each<[string, Record<string, unknown>, string, string]>([
    ['expired', { iat: 1, exp: 2 }, 'CREDENTIAL_EXPIRED', 'expired'],
    ['for another audience', { aud: 'other' }, 'UNAUTHENTICATED', 'audience'],
    ['of another issuer', { iss: 'https://other.example' }, 'UNAUTHENTICATED', 'issuer'],
  ])('that is %s is a logged deny with its cause in the log alone', async (_, change, code, cause) => {
    const reply = await decide({ ...ACTION, credential: await jwt(change) });
    const answer = decisionOf(reply);
    expect(answer).toMatchObject({
      decision: 'deny',
      reason: { code, message: 'the credential of the caller is not accepted', policies: [] },
      levels: {},
      auth: { mode: 'verify', method: 'jwt' },
    });
    expect(reply.headers.get('x-duramen-reason')).toBe(code);
    const entry = await entryOf(answer.decisionId);
    expect(entry.caller).toEqual({ mode: 'verify', method: 'jwt', cause });
    expect(reply.text).not.toContain(cause === 'expired' ? '"cause"' : cause);
  });

  test('that was revoked is refused from the next decision on', async () => {
    const credential = await jwt({ jti: 'lost' });
    expect(decisionOf(await decide({ ...ACTION, credential })).decision).toBe('allow');
    const body = { issuer: 'sso', kind: 'token', value: 'lost', reason: 'lost' };
    const revoked = await service.call('POST', '/v1/revocations', { body });
    expect(revoked.status).toBe(201);
    const answer = decisionOf(await decide({ ...ACTION, credential }));
    expect(answer.reason.code).toBe('CREDENTIAL_REVOKED');
    const list = await service.call('GET', '/v1/revocations');
    expect(list.json).toMatchObject({ items: [{ kind: 'token', value: 'lost' }], nextCursor: null });
    const pepReply = await service.call('POST', '/v1/revocations', { key: pep, body });
    expect(pepReply.status).toBe(403);
  });

  test('is not answered from the memory of an earlier request with the same id', async () => {
    const credential = await jwt({ jti: 'repeated' });
    const body = { ...ACTION, requestId: 'same', credential };
    expect(decisionOf(await decide(body)).decision).toBe('allow');
    await service.call('POST', '/v1/revocations', {
      body: { issuer: 'sso', kind: 'token', value: 'repeated' },
    });
    expect(decisionOf(await decide(body)).reason.code).toBe('CREDENTIAL_REVOKED');
    const fresh = await jwt();
    expect(decisionOf(await decide({ ...body, credential: fresh })).decision).toBe('allow');
  });
});

describe('a gateway that must verify', () => {
  test('gets a logged deny for a caller whom it only names', async () => {
    const answer = decisionOf(await decide({ ...ALLOWED }));
    expect(answer).toMatchObject({ decision: 'deny', reason: { code: 'UNAUTHENTICATED' } });
    expect((await entryOf(answer.decisionId)).caller).toMatchObject({ cause: 'missing' });
  });

  test('cannot bring callers of a tenant without a rule', async () => {
    const principal = { type: 'User', id: 'globex/greta' };
    const reply = await decide({ ...ACTION, principal });
    expect(reply.status).toBe(403);
    expect(problemOf(reply).code).toBe('ASSERTION_NOT_ALLOWED');
  });

  test('is the default where it is configured, and a key with rules of its own is not touched', async () => {
    const strict = await startTestService({
      clock,
      filled: true,
      env: { DURAMEN_IDENTITY_DEFAULT_MODE: 'verify' },
    });
    const plain = await strict.makeKey(['pep']);
    const denied = await strict.call('POST', '/decide', { key: plain, body: ALLOWED });
    expect(decisionOf(denied).reason.code).toBe('UNAUTHENTICATED');
    const body = { roles: ['pep'], callers: [{ mode: 'assert' }] };
    const made = z.object({ key: z.string() }).parse((await strict.call('POST', '/v1/keys', { body })).json);
    const allowed = await strict.call('POST', '/decide', { key: made.key, body: ALLOWED });
    expect(decisionOf(allowed)).toMatchObject({
      decision: 'allow',
      auth: { mode: 'assert', method: 'asserted' },
    });
    await strict.stop();
  });
});

describe('a gateway that asserts', () => {
  test('is answered with the mode, and has no caller in the log', async () => {
    const plain = await keyWith(undefined);
    const auth = { method: 'mtls', assurance: 3, scopes: [] };
    const answer = decisionOf(await decide({ ...ALLOWED, auth }, plain));
    expect(answer.auth).toEqual({ mode: 'assert', method: 'mtls' });
    expect((await entryOf(answer.decisionId)).caller).toBeUndefined();
  });

  test.each<[string, object, object, string | undefined]>([
    ['within its limits', {}, {}, undefined],
    ['another type', { principalTypes: ['Service'] }, {}, '/principal/type'],
    [
      'a higher assurance',
      { maxAssurance: 1 },
      { auth: { method: 'x', assurance: 2, scopes: [] } },
      '/auth/assurance',
    ],
    [
      'an allowed assurance',
      { maxAssurance: 2 },
      { auth: { method: 'x', assurance: 2, scopes: [] } },
      undefined,
    ],
    ['another tenant', { tenants: ['globex'] }, {}, '/principal'],
  ])('asserts %s', async (_, rule, change, pointer) => {
    const limited = await keyWith([{ mode: 'assert', ...rule }]);
    const reply = await decide({ ...ALLOWED, ...change }, limited);
    expect(reply.status).toBe(pointer === undefined ? 200 : 403);
    expect(reply.status === 200 ? undefined : problemOf(reply).errors[0]?.pointer).toBe(pointer);
  });

  test('cannot say that the service verified the caller', async () => {
    const plain = await keyWith(undefined);
    const auth = { method: 'jwt', assurance: 3, scopes: [], mode: 'verify' };
    const reply = await decide({ ...ALLOWED, auth }, plain);
    expect(reply.status).toBe(403);
    expect(problemOf(reply).errors[0]?.pointer).toBe('/auth/mode');
  });

  test('may forward a credential as well', async () => {
    const plain = await keyWith(undefined);
    const answer = decisionOf(await decide({ ...ACTION, credential: await jwt() }, plain));
    expect(answer.auth.mode).toBe('verify');
  });
});

test('a key that may not assert can still forward credentials', async () => {
  const modest = await keyWith(undefined, { mayAssert: false });
  expect(decisionOf(await decide({ ...ACTION, credential: await jwt() }, modest)).decision).toBe('allow');
  const via = { ...VIA, humanApproved: true };
  const reply = await decide({ ...ACTION, credential: await jwt(), via }, modest);
  expect(problemOf(reply).errors[0]?.pointer).toBe('/via/humanApproved');
});

const VIA = {
  agent: 'acme/copilot',
  chain: ['acme/copilot'],
  depth: 1,
  scopes: ['model:invoke'],
  expires: '2099-01-01T00:00:00Z',
  humanApproved: false,
};

describe('what a request may say beside a credential', () => {
  test.each<[string, object, number, string]>([
    ['how the caller was authenticated', { auth: { method: 'x', assurance: 3, scopes: [] } }, 400, '/auth'],
    [
      'a credential of another kind',
      { credential: { kind: 'password', token: 'x' } },
      400,
      '/credential/kind',
    ],
    ['a credential that is null', { credential: null }, 400, '/credential'],
    [
      'a credential with more in it',
      { credential: { kind: 'jwt', token: 'x', verified: true } },
      400,
      '/credential/verified',
    ],
    ['a misspelt credential', { credentials: { kind: 'jwt' } }, 400, '/credentials'],
  ])('not %s', async (_, change, status, pointer) => {
    const reply = await decide({ ...ACTION, credential: await jwt(), ...change });
    expect(reply.status).toBe(status);
    expect(problemOf(reply).errors.map(one => one.pointer)).toContain(pointer);
  });

  test('which agent acts, where the credential names none, with no more scopes than it has', async () => {
    const allowed = decisionOf(await decide({ ...ACTION, credential: await jwt(), via: VIA }));
    expect((await entryOf(allowed.decisionId)).request.context?.via).toMatchObject({ agent: 'acme/copilot' });
    const wider = { ...VIA, scopes: ['model:invoke', 'payments:refund'] };
    const answer = decisionOf(await decide({ ...ACTION, credential: await jwt(), via: wider }));
    expect(answer.reason.code).toBe('CREDENTIAL_SCOPE');
    const twice = await decide({ ...ACTION, credential: await jwt({ act: { sub: 'copilot' } }), via: VIA });
    expect(problemOf(twice).errors[0]?.pointer).toBe('/via');
  });
});
