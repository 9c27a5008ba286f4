/**
 * Limits that count by the credential of the caller, however it was proven: asserted, by a key, by a token. Certificates
 * are in test/edge/mtls. The clock stands.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { IssuerSettingsInput } from '../../src/domain/issuer-settings.ts';
import {
  makeKey,
  type SigningKey,
  signToken,
  startIssuer,
  type TestIssuer,
} from '../identity/jwt/test-issuer.ts';
import { codeOf, type LimitedService, type Question, startLimitedService } from './limited-service.ts';
import { ALLOWED } from './service.ts';

const AUDIENCE = 'https://duramen.example';
const LIMITS = {
  limits: [{ id: 'credential', kind: 'window', unit: 'requests', limit: 2, per: '60s', key: ['key'] }],
};
const ONCE_TOO_OFTEN = ['POLICY_ALLOW', 'POLICY_ALLOW', 'RATE_LIMITED'];
const ALICE = { type: 'User', id: 'acme/alice' };

const alertsSchema = z.object({ items: z.array(z.looseObject({ subject: z.string() })) });

let issuer: TestIssuer;
let signing: SigningKey;
let service: LimitedService;
beforeAll(async () => {
  signing = await makeKey('ES256', 'k1');
  issuer = await startIssuer([signing.jwk]);
  const settings: IssuerSettingsInput = {
    name: 'sso',
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
    id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
  };
  service = await startLimitedService(LIMITS, {
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([settings]) },
  });
});
afterAll(async () => {
  await service.stop();
  await issuer.stop();
});

async function thrice(ask: () => Question | Promise<Question>): Promise<readonly string[]> {
  const codes: string[] = [];
  for (let at = 0; at < 3; at++) codes.push(codeOf(await service.decide(await ask())));
  return codes;
}

function asserted(auth: object | undefined, principal: object = ALICE): Question {
  return { ...ALLOWED, principal, ...(auth === undefined ? {} : { auth }) };
}

let tokens = 0;
async function token(change: Readonly<Record<string, unknown>>): Promise<Question> {
  const iat = Math.floor(service.clock.now() / 1000);
  const claims = { iss: issuer.url, sub: 'alice', aud: AUDIENCE, iat, exp: iat + 600, jti: `t${++tokens}` };
  const text = await signToken(signing, { ...claims, client_id: 'app', scope: 'model:invoke', ...change });
  const { action, resource } = ALLOWED;
  return { action, resource, credential: { kind: 'jwt', token: text } };
}

async function callerKey(): Promise<Question> {
  const expiresAt = new Date(service.clock.now() + 86_400_000).toISOString();
  const reply = await service.call('POST', '/v1/caller-keys', { body: { owner: ALICE, expiresAt } });
  const { key } = z.looseObject({ key: z.string() }).parse(reply.json);
  const { action, resource } = ALLOWED;
  return { action, resource, credential: { kind: 'api_key', key } };
}

describe('a limit by key counts', () => {
  test('the key that a gateway asserts, apart from others, and nobody without one', async () => {
    const auth = (keyId: string) => ({ method: 'api_key', assurance: 1, scopes: [], keyId });
    expect(await thrice(() => asserted(auth('one')))).toEqual(ONCE_TOO_OFTEN);
    expect(codeOf(await service.decide(asserted(auth('two'))))).toBe('POLICY_ALLOW');
    expect(new Set(await thrice(() => asserted(undefined)))).toEqual(new Set(['POLICY_ALLOW']));
  });

  test('tokens that a gateway asserts by issuer and subject, whatever key signed them', async () => {
    const signers = ['k1', 'k2', 'k3'].values();
    const auth = () => ({
      method: 'jwt',
      assurance: 1,
      scopes: [],
      issuer: 'https://idp.example',
      keyId: signers.next().value,
    });
    expect(await thrice(() => asserted(auth()))).toEqual(ONCE_TOO_OFTEN);
    const other = { ...auth(), issuer: 'https://other.example' };
    expect(codeOf(await service.decide(asserted(other)))).toBe('POLICY_ALLOW');
  });

  test('each key of a caller', async () => {
    const one = await callerKey();
    expect(await thrice(() => one)).toEqual(ONCE_TOO_OFTEN);
    expect(codeOf(await service.decide(await callerKey()))).toBe('POLICY_ALLOW');
  });

  test('all tokens of a client, apart from those of another', async () => {
    expect(await thrice(() => token({}))).toEqual(ONCE_TOO_OFTEN);
    expect(codeOf(await service.decide(await token({ client_id: 'other' })))).toBe('POLICY_ALLOW');
    const usage = await service.call('GET', '/v1/limits/usage?principal=User:acme/alice&key=sso:client:app');
    expect(usage.json).toMatchObject({ items: [{ name: 'platform/credential', used: 2 }] });
  });

  test('and alerts in the name of the principal, but of a client that users share in that of nobody', async () => {
    const auth = { method: 'api_key', assurance: 1, scopes: [], keyId: 'alerted' };
    const subjects = async (): Promise<readonly string[]> => {
      const { json } = await service.call('GET', '/v1/events?kind=limit.alert&order=desc&limit=1');
      return alertsSchema.parse(json).items.map(({ subject }) => subject);
    };
    for (let at = 0; at < 2; at++) await service.decide(asserted(auth));
    await expect.poll(subjects).toEqual(['AI::User::"acme/alice"']);
    for (let at = 0; at < 2; at++) await service.decide(await token({ client_id: 'crowd' }));
    await expect.poll(subjects).toEqual(['platform/credential']);
  });

  test('and its name is in no entry', async () => {
    const { json } = await service.decide(await token({ client_id: 'nameless' }));
    const { decisionId } = z.looseObject({ decisionId: z.string() }).parse(json);
    const { text } = await service.call('GET', `/v1/decisions/${decisionId}`);
    expect(text).toContain('"method":"jwt"');
    expect(text).not.toContain('nameless');
  });
});
