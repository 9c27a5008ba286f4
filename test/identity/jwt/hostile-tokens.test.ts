/** Tokens of a bad form or with a bad header, each with the reason for which it is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Scene, startScene } from './authentication-scene.ts';
import { formRows } from './hostile-form-rows.ts';
import { makers, testRows } from './hostile-rows.ts';
import { encode, makeKey, type SigningKey } from './test-issuer.ts';

let scene: Scene;
let foreign: SigningKey;
let rsa: SigningKey;

beforeAll(async () => {
  scene = await startScene();
  foreign = await makeKey('ES256', 'k1');
  rsa = await makeKey('RS256', 'r1');
  scene.issuer.published = [
    scene.key.jwk,
    rsa.jwk,
    { kty: 'oct', k: encode('a shared secret of thirty-two bytes!'), kid: 'oct1', alg: 'HS256' },
  ];
});
afterAll(() => scene.stop());

const { good } = makers(() => scene);
const { form, headers } = formRows(
  () => scene,
  () => foreign,
  () => rsa,
);

describe('a token of a bad form', () => {
  testRows(() => scene, form);
});
describe('a token with a bad header', () => {
  testRows(() => scene, headers);
});

test('after all of them a good token is accepted', async () => {
  expect((await scene.authenticate(await good())).caller?.principal.id).toBe('acme/idp:alice');
});
