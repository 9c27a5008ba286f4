/** Owners and their keys: by a credential that is verified here, within what the operator lets them, and no further. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type ManualClock, manualClock } from '../identity/clock.ts';
import {
  makeKey,
  type SigningKey,
  signToken,
  startIssuer,
  type TestIssuer,
} from '../identity/jwt/test-issuer.ts';
import { ALLOWED, problemOf, startTestService, type TestService } from './service.ts';
import { withOtherLetter } from '../other-letter.ts';

const AUDIENCE = 'https://duramen.example';
const DAY_MS = 86_400_000;
const keySchema = z.looseObject({ id: z.string(), key: z.string().optional(), createdBy: z.string() });
const listSchema = z.object({ items: z.array(keySchema) });

let clock: ManualClock;
let issuer: TestIssuer;
let signer: SigningKey;
let service: TestService;
let pep: string;
beforeAll(async () => {
  clock = manualClock();
  signer = await makeKey('ES256', 'k1');
  issuer = await startIssuer([signer.jwk]);
  const settings = {
    name: 'sso',
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
    id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
    delegation: { agent: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' } },
  };
  service = await startTestService({
    filled: true,
    clock,
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([settings]) },
  });
  pep = await service.makeKey(['pep']);
});
afterAll(async () => {
  await service.stop();
  await issuer.stop();
});

let count = 0;
async function tokenOf(sub: string, change: Record<string, unknown> = {}) {
  count += 1;
  const now = Math.floor(clock.now() / 1000);
  const claims = {
    iss: issuer.url,
    sub,
    client_id: 'app',
    aud: AUDIENCE,
    iat: now,
    exp: now + 600,
    jti: `s${count}`,
  };
  return { kind: 'jwt', token: await signToken(signer, { ...claims, ...change }) };
}

async function make(change: object = {}): Promise<{ id: string; key: string }> {
  const expiresAt = new Date(clock.now() + 30 * DAY_MS).toISOString();
  const body = { owner: { type: 'User', id: 'acme/alice' }, expiresAt, ...change };
  const { id, key = '' } = keySchema.parse((await service.call('POST', '/v1/caller-keys', { body })).json);
  return { id, key };
}

const self = (operation: string, body: object, key = pep) =>
  service.call('POST', `/v1/self/caller-keys/${operation}`, { key, body });
const asKey = (key: string) => ({ credential: { kind: 'api_key', key } });

async function works(key: string, context: object = {}): Promise<boolean> {
  const { action, resource } = ALLOWED;
  const reply = await service.call('POST', '/decide', {
    key: pep,
    body: { action, resource, ...asKey(key), context },
  });
  return reply.text.includes('"decision":"allow"');
}

describe('an owner with a token', () => {
  test('lists its keys and nobody else’s', async () => {
    const mine = await make();
    const bobs = await make({ owner: { type: 'User', id: 'acme/bob' } });
    const { items } = listSchema.parse((await self('list', { credential: await tokenOf('alice') })).json);
    expect(items.map(({ id }) => id)).toContain(mine.id);
    expect(items.map(({ id }) => id)).not.toContain(bobs.id);
    expect(items.every(item => !('hash' in item) && !('key' in item))).toBe(true);
  });

  test('rotates and revokes its keys; those of others are not there', async () => {
    const [mine, bobs] = [await make(), await make({ owner: { type: 'User', id: 'acme/bob' } })];
    const credential = await tokenOf('alice');
    const rotated = await self('rotate', { credential, id: mine.id, overlapSeconds: 0 });
    expect(rotated.status).toBe(201);
    const next = keySchema.parse(rotated.json);
    expect([await works(mine.key), await works(next.key ?? '')]).toEqual([false, true]);
    expect((await self('revoke', { credential, id: next.id })).status).toBe(204);
    expect(await works(next.key ?? '')).toBe(false);
    for (const [operation, id] of [
      ['rotate', bobs.id],
      ['revoke', bobs.id],
      ['revoke', 'nowhere'],
    ] as const) {
      const reply = await self(operation, { credential, id });
      expect(problemOf(reply)).toMatchObject({
        code: 'NOT_FOUND',
        detail: `the caller has no key \`${id}\``,
      });
    }
    expect(await works(bobs.key)).toBe(true);
  });

  test('cannot have a longer life or a wider key than an administrator could give', async () => {
    const { id } = await make({ scopes: [{ models: ['acme/support-llm'] }] });
    const credential = await tokenOf('alice');
    const far = await self('rotate', { credential, id, expiresAt: '2099-01-01T00:00:00Z' });
    expect(problemOf(far).errors[0]?.pointer).toBe('/expiresAt');
    expect((await self('rotate', { credential, id, scopes: [] })).status).toBe(400);
    const { json } = await self('rotate', { credential, id });
    expect(json).toMatchObject({ scopes: [{ models: ['acme/support-llm'] }], replaces: id });
  });

  test('is not spoken for by an agent', async () => {
    const credential = await tokenOf('alice', { act: { sub: 'copilot' } });
    expect(problemOf(await self('list', { credential })).code).toBe('CALLER_NOT_ACCEPTED');
  });
});

describe('a key', () => {
  test('shows itself alone, rotates itself and revokes itself, and no sibling', async () => {
    const [narrow, wide] = [await make({ scopes: [{ actions: ['embed'] }] }), await make()];
    const { items } = listSchema.parse((await self('list', asKey(narrow.key))).json);
    expect(items.map(({ id }) => id)).toEqual([narrow.id]);
    expect((await self('rotate', { ...asKey(narrow.key), id: wide.id })).status).toBe(404);
    expect((await self('revoke', { ...asKey(narrow.key), id: wide.id })).status).toBe(404);
    const rotated = await self('rotate', { ...asKey(wide.key), id: wide.id });
    const next = keySchema.parse(rotated.json);
    expect(next.createdBy).toBe(`caller-key:${wide.id}`);
    expect(await works(next.key ?? '')).toBe(true);
    expect((await self('revoke', { ...asKey(wide.key), id: wide.id })).status).toBe(204);
    // what a thief made itself with a key ends with it
    expect([await works(wide.key), await works(next.key ?? '')]).toEqual([false, false]);
  });

  test('with networks speaks from them alone', async () => {
    const { id, key } = await make({ networks: ['10.0.0.0/8'] });
    expect(problemOf(await self('list', asKey(key))).code).toBe('CALLER_NOT_ACCEPTED');
    expect(problemOf(await self('revoke', { ...asKey(key), id, ip: '11.0.0.1' })).code).toBe(
      'CALLER_NOT_ACCEPTED',
    );
    expect((await self('list', { ...asKey(key), ip: '10.0.0.1' })).status).toBe(200);
  });

  test('that is revoked, wrong or nothing at all speaks for nobody, in the same words', async () => {
    const { id, key } = await make();
    await service.call('DELETE', `/v1/caller-keys/${id}`);
    const credentials = [
      asKey(key).credential,
      asKey(withOtherLetter(key)).credential,
      { kind: 'jwt', token: 'x' },
    ];
    const details = [];
    for (const credential of credentials) {
      const reply = await self('list', { credential });
      expect(reply.status).toBe(403);
      details.push(problemOf(reply).detail);
    }
    expect(new Set(details).size).toBe(1);
  });
});

describe('the gateway', () => {
  test('of another tenant speaks for no owner of this one', async () => {
    const other = await service.makeKey(['pep'], ['globex']);
    const reply = await self('list', { credential: await tokenOf('alice') }, other);
    expect(problemOf(reply).code).toBe('TENANT_NOT_ALLOWED');
  });

  test.each([['keys'], ['auditor']])('needs the role of one: `%s` does not do', async role => {
    const key = await service.makeKey([role]);
    const reply = await self('list', { credential: await tokenOf('alice') }, key);
    expect(problemOf(reply).code).toBe('ROLE_REQUIRED');
  });

  test('may not name the owner instead of proving it', async () => {
    expect((await self('list', { principal: { type: 'User', id: 'acme/alice' } })).status).toBe(400);
  });
});

test('what the operator does not let owners do is refused', async () => {
  const strict = await startTestService({
    filled: true,
    clock,
    env: { DURAMEN_IDENTITY_CALLER_KEYS_SELF_SERVICE: 'list' },
  });
  try {
    const body = {
      owner: { type: 'User', id: 'acme/alice' },
      expiresAt: new Date(clock.now() + DAY_MS).toISOString(),
    };
    const made = await strict.call('POST', '/v1/caller-keys', { body });
    const { id, key = '' } = keySchema.parse(made.json);
    const gateway = await strict.makeKey(['pep']);
    const ask = (operation: string, sent: object) =>
      strict.call('POST', `/v1/self/caller-keys/${operation}`, {
        key: gateway,
        body: { ...asKey(key), ...sent },
      });
    expect((await ask('list', {})).status).toBe(200);
    expect(problemOf(await ask('rotate', { id })).code).toBe('CALLER_NOT_ACCEPTED');
    expect(problemOf(await ask('revoke', { id })).code).toBe('CALLER_NOT_ACCEPTED');
  } finally {
    await strict.stop();
  }
});
