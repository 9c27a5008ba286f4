/** Tokens with a bad key, signature or claim, each with the reason for which it is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUDIENCE, type Scene, startScene } from './authentication-scene.ts';
import { claimRows } from './hostile-claim-rows.ts';
import { makers, testRows } from './hostile-rows.ts';
import { makeKey, type SigningKey, signToken, signWithJose } from './test-issuer.ts';

let scene: Scene;
let foreign: SigningKey;
/** Published without `alg`: its algorithm follows from its kind alone. */
let bare: SigningKey;

beforeAll(async () => {
  scene = await startScene();
  foreign = await makeKey('ES256', 'k1');
  bare = await makeKey('PS256', 'b1');
  const { alg: _, ...withoutAlg } = bare.jwk;
  scene.issuer.published = [
    scene.key.jwk,
    (await makeKey('RS256', 'r1')).jwk,
    withoutAlg,
    { ...(await makeKey('ES256', 'enc1')).jwk, use: 'enc' },
    { ...(await makeKey('ES256', 'ops1')).jwk, key_ops: ['sign'] },
  ];
});
afterAll(() => scene.stop());

const { now, good, withClaims, withHeader } = makers(() => scene);

const { keys, claims } = claimRows(
  () => scene,
  () => foreign,
  () => bare,
);

describe('a good token', () => {
  test('is accepted, so that the tables below say something', async () => {
    expect((await scene.authenticate(await good())).caller?.principal).toEqual({
      type: 'User',
      id: 'acme/idp:alice',
    });
  });

  test('is made by the tests as jose makes it', async () => {
    const token = await signWithJose(scene.key, scene.claims({ jti: 'by-jose' }));
    expect((await scene.authenticate(token)).caller?.tenant).toBe('acme');
  });

  test.each([
    ['without `kid`', withHeader({ kid: undefined })],
    ['with `typ` as a full media type in other case', withHeader({ typ: 'application/AT+JWT' })],
    ['with `x5t`, which says nothing here', withHeader({ x5t: 'abc' })],
    ['with several audiences', withClaims({ aud: ['account', AUDIENCE] })],
    [
      'at the end of the tolerance',
      () => signToken(scene.key, scene.claims({ iat: now() - 600, exp: now() - 29 })),
    ],
    ['at the beginning of the tolerance', () => signToken(scene.key, scene.claims({ iat: now() + 30 }))],
    ['with a lifetime of exactly 15 minutes', () => signToken(scene.key, scene.claims({ exp: now() + 900 }))],
  ])('%s is accepted', async (_, make) => {
    expect((await scene.authenticate(await make())).caller?.principal.id).toBe('acme/idp:alice');
  });
});

describe('a token with a bad key or signature', () => {
  testRows(() => scene, keys);
});
describe('a token with bad claims', () => {
  testRows(() => scene, claims);
});
