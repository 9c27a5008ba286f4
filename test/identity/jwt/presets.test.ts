/** Every preset with a token as its issuer makes them, and with the tokens of the same issuer that are not for us. */
import { expect, test } from 'vitest';
import type { IssuerSettingsInput } from '../../../src/domain/issuer-settings.ts';
import { issuerSettingsSchema } from '../../../src/domain/issuer-settings.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { Documents } from '../../../src/identity/jwt/remote-documents.ts';
import { resolveIssuers } from '../../../src/identity/jwt/issuer.ts';
import { KeySource } from '../../../src/identity/jwt/key-source.ts';
import { sha256 } from '../../../src/identity/jwt/digest.ts';
import { TokenVerifier } from '../../../src/identity/jwt/token-verifier.ts';
import { manualClock } from '../clock.ts';
import { makeKey, signToken } from './test-issuer.ts';

const TID = '3aa4a235-b6e2-48d5-9195-7fcf05b459b0';
const AUD = 'https://duramen.example';

interface Case {
  readonly settings: Partial<IssuerSettingsInput> & Pick<IssuerSettingsInput, 'preset'>;
  readonly issuer: string;
  readonly jwksUri: string;
  readonly alg: string;
  readonly header: Readonly<Record<string, unknown>>;
  /** Claims beside `iss`, `iat`, `exp`. */
  readonly claims: JsonObject;
  readonly lifetime: number;
  readonly expected: Readonly<Record<string, unknown>>;
  /** Changes that make another token of the same issuer, with the cause of its refusal. */
  readonly others: readonly (readonly [string, JsonObject, string])[];
}

const CASES: readonly Case[] = [
  {
    settings: { preset: 'kubernetes' },
    issuer: 'https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE',
    jwksUri: 'https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE/keys',
    alg: 'RS256',
    header: { typ: undefined },
    lifetime: 3600,
    claims: {
      aud: [AUD],
      jti: 'ea28ed49-2e11-4280-9ec5-bc3d1d84661a',
      nbf: 1763683200,
      sub: 'system:serviceaccount:prod:inference-gateway',
      'kubernetes.io': {
        namespace: 'prod',
        node: { name: 'ip-10-0-0-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
        pod: { name: 'gw-7c9d', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
        serviceaccount: { name: 'inference-gateway', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
      },
    },
    expected: { principal: { type: 'Service', id: 'acme/idp:prod:inference-gateway' } },
    others: [
      ['of a user certificate', { sub: 'kubernetes-admin' }, 'mapping'],
      ['without its namespace', { 'kubernetes.io': {} }, 'requirement'],
      ['for the API server', { aud: ['https://kubernetes.default.svc'] }, 'audience'],
    ],
  },
  {
    settings: { preset: 'aws' },
    issuer: 'https://a1b2c3d4-e5f6-7890-abcd-ef1234567890.tokens.sts.global.api.aws',
    jwksUri: 'https://a1b2c3d4-e5f6-7890-abcd-ef1234567890.tokens.sts.global.api.aws/.well-known/jwks.json',
    alg: 'ES384',
    header: { typ: 'JWT' },
    lifetime: 300,
    claims: {
      aud: AUD,
      jti: '4ee3fa4a-7e24-20f9',
      sub: 'arn:aws:iam::123456789012:role/inference',
      'https://sts.amazonaws.com/': { aws_account: '123456789012', source_region: 'eu-central-1' },
    },
    expected: { principal: { type: 'Service', id: 'acme/idp:arn:aws:iam::123456789012:role/inference' } },
    others: [['for another service', { aud: 'sts.amazonaws.com' }, 'audience']],
  },
  {
    settings: { preset: 'google', subjects: ['110248495921238986420'] },
    issuer: 'https://accounts.google.com',
    jwksUri: 'https://www.googleapis.com/oauth2/v3/certs',
    alg: 'RS256',
    header: { typ: 'JWT' },
    lifetime: 3600,
    claims: {
      aud: AUD,
      azp: '110248495921238986420',
      email: 'gw@project.iam.gserviceaccount.com',
      email_verified: true,
      sub: '110248495921238986420',
    },
    expected: { principal: { type: 'Service', id: 'acme/idp:110248495921238986420' } },
    others: [
      ['of any other customer', { sub: '999' }, 'subject'],
      ['of a person, made at a login', { at_hash: 'abc' }, 'id_token'],
    ],
  },
  {
    settings: {
      preset: 'azure',
      roles: [{ claim: 'roles', steps: [{ lookup: { 'Models.Use': 'acme/user' } }] }],
    },
    issuer: `https://login.microsoftonline.com/${TID}/v2.0`,
    jwksUri: `https://login.microsoftonline.com/${TID}/discovery/v2.0/keys`,
    alg: 'RS256',
    header: { typ: 'JWT', x5t: 'abc' },
    lifetime: 5000,
    claims: {
      aud: AUD,
      azp: '6731de76-14a6-49ae-97bc-6eba6914391e',
      oid: '690222be-ff1a-4d56-abd1-7e4f7d38e474',
      roles: ['Models.Use', 'Other'],
      scp: 'model.invoke model.read',
      sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
      tid: TID,
      uti: 'fqiBqXLPj0eQa82S-IYFAA',
      ver: '2.0',
    },
    expected: {
      principal: { type: 'User', id: 'acme/idp:690222be-ff1a-4d56-abd1-7e4f7d38e474' },
      roles: ['acme/user'],
      scopes: ['model.invoke', 'model.read'],
      client: '6731de76-14a6-49ae-97bc-6eba6914391e',
    },
    others: [
      ['of another tenant', { tid: '9188040d-6c67-4c5b-b112-36a304b66dad' }, 'requirement'],
      ['without the object', { oid: null }, 'mapping'],
      ['of a login', { nonce: 'n' }, 'id_token'],
    ],
  },
  {
    settings: { preset: 'auth0' },
    issuer: 'https://acme.eu.auth0.com/',
    jwksUri: 'https://acme.eu.auth0.com/.well-known/jwks.json',
    alg: 'RS256',
    header: { typ: 'at+jwt' },
    lifetime: 3600,
    claims: {
      aud: [AUD, 'https://acme.eu.auth0.com/userinfo'],
      client_id: 'my_client',
      jti: 'URdKkXv1mVAdRFCUyyGz1a',
      permissions: ['model:invoke'],
      scope: 'openid profile',
      sub: 'auth0|5f7c8ec7c33c6c004bbafe82',
    },
    expected: {
      principal: { type: 'User', id: 'acme/idp:auth0|5f7c8ec7c33c6c004bbafe82' },
      scopes: ['openid', 'profile', 'model:invoke'],
    },
    others: [['made at a login', { aud: 'my_client', nonce: 'n' }, 'audience']],
  },
  {
    settings: {
      preset: 'keycloak',
      roles: [{ claim: ['realm_access', 'roles'], steps: [{ lookup: { ml: 'acme/data-scientist' } }] }],
      assurance: { default: 1, rules: [{ claim: 'acr', value: 'gold', level: 2 }] },
    },
    issuer: 'https://sso.acme.example/realms/acme',
    jwksUri: 'https://sso.acme.example/realms/acme/protocol/openid-connect/certs',
    alg: 'RS256',
    header: { typ: 'JWT' },
    lifetime: 300,
    claims: {
      acr: 'gold',
      aud: [AUD, 'account'],
      azp: 'portal',
      jti: '0fd3c4a1-37e4-4a8e',
      realm_access: { roles: ['ml', 'offline_access'] },
      scope: 'profile email',
      sid: '2f8b8f6c',
      sub: 'a3e2b0f4-8f0a-4bb1-9d9e-6d6f4f1a2c3d',
      typ: 'Bearer',
    },
    expected: {
      principal: { type: 'User', id: 'acme/idp:a3e2b0f4-8f0a-4bb1-9d9e-6d6f4f1a2c3d' },
      roles: ['acme/data-scientist'],
      assurance: 2,
      client: 'portal',
    },
    others: [
      ['that is an ID token', { typ: 'ID' }, 'requirement'],
      ['that is a refresh token', { typ: 'Refresh' }, 'requirement'],
    ],
  },
  {
    settings: {
      preset: 'okta',
      roles: [{ claim: 'groups', steps: [{ lookup: { ml: 'acme/data-scientist' } }] }],
    },
    issuer: 'https://acme.okta.com/oauth2/default',
    jwksUri: 'https://acme.okta.com/oauth2/default/v1/keys',
    alg: 'RS256',
    header: { typ: undefined },
    lifetime: 3600,
    claims: {
      aud: AUD,
      cid: '0oabucvyc38HLL1ef0h7',
      groups: ['Everyone', 'ml'],
      jti: 'AT.3rn1OVnqL6sNoJtRMRkRvk',
      scp: ['model', 'offline_access'],
      sub: 'alice@acme.example',
      uid: '00u1abcd',
      ver: 1,
    },
    expected: {
      principal: { type: 'User', id: 'acme/idp:alice@acme.example' },
      roles: ['acme/data-scientist'],
      scopes: ['model', 'offline_access'],
      client: '0oabucvyc38HLL1ef0h7',
    },
    others: [['that is an ID token', { at_hash: 'x' }, 'id_token']],
  },
];

async function verify(one: Case, change: JsonObject) {
  const clock = manualClock();
  const key = await makeKey(one.alg, 'k1');
  const settings = issuerSettingsSchema.parse({
    name: 'idp',
    issuer: one.issuer,
    audiences: [AUD],
    tenants: ['acme'],
    ...one.settings,
  });
  const { issuers, problems } = resolveIssuers([settings]);
  expect(problems).toEqual([]);
  const issuer = issuers.get(one.issuer);
  if (issuer === undefined) throw new Error('no issuer');
  const discovery = `${one.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const documents: Documents = {
    read: async ({ url }) => {
      if (url === discovery) return { issuer: one.issuer, jwks_uri: one.jwksUri };
      if (url === one.jwksUri) return { keys: [JSON.parse(JSON.stringify(key.jwk))] };
      throw new Error(`nobody should ask ${url}`);
    },
  };
  const keys = new KeySource(issuer, documents, clock, () => undefined);
  const verifier = new TokenVerifier(new Map([[one.issuer, { issuer, keys }]]), clock);
  const now = Math.floor(clock.now() / 1000);
  const times = { iat: now - 1, nbf: now - 1, exp: now - 1 + one.lifetime };
  const token = await signToken(key, { iss: one.issuer, ...one.claims, ...times, ...change }, one.header);
  return verifier.verify(token, sha256(token));
}

test.each(CASES.map(one => [one.settings.preset, one] as const))(
  '%s: its token is accepted',
  async (_, one) => {
    const { value } = await verify(one, {});
    expect(value?.mapped).toMatchObject(one.expected);
  },
);

test.each(
  CASES.flatMap(one =>
    one.others.map(other => [one.settings.preset, other[0], other[2], one, other[1]] as const),
  ),
)('%s: a token %s is refused: %s', async (_preset, _name, cause, one, change) => {
  expect(await verify(one, change)).toEqual({ cause });
});

test.each(CASES.map(one => [one.settings.preset, one] as const))(
  '%s: a token that lives longer than its issuer makes them is refused',
  async (_, one) => {
    expect(await verify(one, { exp: Math.floor(manualClock().now() / 1000) + 7_200 })).toEqual({
      cause: 'lifetime',
    });
  },
);
