/** Tokens that are bound to a key (RFC 9449) or a certificate (RFC 8705) count only with what they are bound to. */
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../../src/identity/jwt/digest.ts';
import { MAX_PROOF_AGE_SECONDS } from '../../../src/identity/jwt/proof.ts';
import { MAX_PROOFS_PER_KEY, ReplayWindow } from '../../../src/identity/jwt/replay-window.ts';
import { manualClock } from '../clock.ts';
import { causeOf, type Scene, startScene } from './authentication-scene.ts';
import { encode, makeKey, signProof, type SigningKey, signTexts, signToken } from './test-issuer.ts';

const URL = 'https://gateway.example/v1/chat';
const THUMBPRINT = sha256('a certificate');
let scene: Scene;
let client: SigningKey;
let stranger: SigningKey;
let jkt: string;
let count = 0;

beforeAll(async () => {
  scene = await startScene();
  client = await makeKey('ES256', 'client');
  stranger = await makeKey('ES256', 'stranger');
  jkt = await calculateJwkThumbprint(client.jwk);
});
afterAll(() => scene.stop());

const now = () => Math.floor(scene.clock.now() / 1000);
const bound = (cnf: Record<string, unknown> = { jkt }) => signToken(scene.key, scene.claims({ cnf }));

/** A good proof for a token, with changes. */
function proofFor(
  token: string,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = client,
) {
  count += 1;
  const base = { jti: `proof-${count}`, htm: 'POST', htu: URL, iat: now(), ath: sha256(token) };
  return signProof(key, { ...base, ...claims }, header);
}

async function attempt(token: string, proof: string, method = 'POST', url = URL): Promise<string> {
  return causeOf(await scene.authenticate(token, { dpop: { proof, method, url } }));
}

const ACCEPTED = 'accepted acme/idp:alice';

describe('a token bound to a key', () => {
  test('is accepted with a proof, and the outcome says how it was bound', async () => {
    const token = await bound();
    const dpop = { proof: await proofFor(token), method: 'POST', url: URL };
    const { caller } = await scene.authenticate(token, { dpop });
    expect(caller?.binding).toBe('dpop');
    expect(caller?.auth.method).toBe('jwt');
  });

  test.each(['ES384', 'EdDSA', 'RS256', 'PS256'])('is accepted with a key for %s', async alg => {
    const key = await makeKey(alg, 'other');
    const token = await bound({ jkt: await calculateJwkThumbprint(key.jwk) });
    expect(await attempt(token, await proofFor(token, {}, {}, key))).toBe(ACCEPTED);
  });

  test.each([
    ['with query and fragment in the URL that the gateway saw', `${URL}?model=x#y`, URL],
    ['with query in the URL of the proof', URL, `${URL}?model=x`],
    ['with host in other case', 'https://GATEWAY.example/v1/chat', URL],
    ['with the default port written out', 'https://gateway.example:443/v1/chat', URL],
    ['with an escaped dot segment', 'https://gateway.example/x/../v1/chat', URL],
  ])('is accepted %s', async (_, seen, htu) => {
    const token = await bound();
    expect(await attempt(token, await proofFor(token, { htu }), 'POST', seen)).toBe(ACCEPTED);
  });

  test.each<[string, string, Record<string, unknown>, Record<string, unknown>]>([
    ['another method', 'proof_request', { htm: 'GET' }, {}],
    ['a method in other case', 'proof_request', { htm: 'post' }, {}],
    ['another path', 'proof_request', { htu: `${URL}/admin` }, {}],
    ['another host', 'proof_request', { htu: 'https://attacker.example/v1/chat' }, {}],
    ['another scheme', 'proof_request', { htu: 'http://gateway.example/v1/chat' }, {}],
    ['another port', 'proof_request', { htu: 'https://gateway.example:8443/v1/chat' }, {}],
    ['a relative URL', 'proof_request', { htu: '/v1/chat' }, {}],
    ['no `htm`', 'proof_request', { htm: undefined }, {}],
    ['no `htu`', 'proof_request', { htu: undefined }, {}],
    ['the hash of another token', 'proof_token', { ath: sha256('another token') }, {}],
    ['no `ath`', 'proof_token', { ath: undefined }, {}],
    ['no `iat`', 'proof_time', { iat: undefined }, {}],
    ['an `iat` that is a text', 'proof_time', { iat: '1' }, {}],
    ['no `jti`', 'proof_malformed', { jti: undefined }, {}],
    ['an empty `jti`', 'proof_malformed', { jti: '' }, {}],
    ['a `jti` of 300 characters', 'proof_malformed', { jti: 'j'.repeat(300) }, {}],
    ['`typ` of a token', 'proof_malformed', {}, { typ: 'at+jwt' }],
    ['no `typ`', 'proof_malformed', {}, { typ: undefined }],
    ['`kid` beside the key', 'proof_malformed', {}, { kid: 'client' }],
    ['no key', 'proof_malformed', {}, { jwk: undefined }],
    ['`alg` none', 'proof_key', {}, { alg: 'none' }],
    ['`alg` HS256', 'proof_key', {}, { alg: 'HS256' }],
    ['`alg` of another kind of key', 'proof_key', {}, { alg: 'RS256' }],
    ['`crit`', 'proof_malformed', {}, { crit: ['jwk'] }],
    ['`jku`', 'proof_malformed', {}, { jku: 'https://attacker.example' }],
  ])('is refused with a proof that has %s: %s', async (_, cause, claims, header) => {
    const token = await bound();
    expect(await attempt(token, await proofFor(token, claims, header))).toBe(cause);
  });

  test.each([
    ['too old', -(MAX_PROOF_AGE_SECONDS + 1), 'proof_time'],
    ['as old as may be', -MAX_PROOF_AGE_SECONDS, ACCEPTED],
    ['a little ahead', 10, ACCEPTED],
    ['of the future', 11, 'proof_time'],
  ])('with a proof that is %s', async (_, offset, expected) => {
    const token = await bound();
    expect(await attempt(token, await proofFor(token, { iat: now() + offset }))).toBe(expected);
  });

  test('is refused with a proof by another key, whatever key that proof shows', async () => {
    const token = await bound();
    expect(await attempt(token, await proofFor(token, {}, {}, stranger))).toBe('proof_key');
    const { kty, crv, x, y } = client.jwk;
    const shown = { jwk: { kty, crv, x, y } };
    expect(await attempt(token, await proofFor(token, {}, shown, stranger))).toBe('proof_signature');
  });

  test('is refused with a proof that shows its private key', async () => {
    const jwk = await crypto.subtle.exportKey('jwk', client.privateKey);
    const token = await bound();
    expect(await attempt(token, await proofFor(token, {}, { jwk }))).toBe('proof_key');
  });

  test('is refused without a proof, and with texts that are none', async () => {
    const token = await bound();
    expect(causeOf(await scene.authenticate(token))).toBe('proof_missing');
    for (const text of ['x', 'a.b.c', token, 'x'.repeat(5000)]) {
      expect(await attempt(token, text)).toBe('proof_malformed');
    }
    const twice = `{"alg":"ES256","alg":"ES256","typ":"dpop+jwt","jwk":{}}`;
    expect(await attempt(token, await signTexts(client, twice, '{}'))).toBe('proof_malformed');
    expect(await attempt(token, `${encode('{}')}.${encode('{}')}.AA`)).toBe('proof_malformed');
  });

  test('is refused when the proof is used again, for the whole time in which it could count', async () => {
    const token = await bound();
    const proof = await proofFor(token, { iat: now() + 10 });
    expect(await attempt(token, proof)).toBe(ACCEPTED);
    expect(await attempt(token, proof)).toBe('proof_replayed');
    scene.clock.advance((MAX_PROOF_AGE_SECONDS + 10) * 1000);
    expect(await attempt(token, proof)).toBe('proof_replayed');
    scene.clock.advance(1);
    expect(await attempt(token, proof)).toBe('proof_time');
  });

  test('stays used when the clock steps back and its time comes again', async () => {
    const stepping = await startScene();
    const token = await signToken(stepping.key, stepping.claims({ cnf: { jkt } }));
    const seconds = Math.floor(stepping.clock.now() / 1000);
    const claims = { jti: 'j', htm: 'POST', htu: URL, iat: seconds, ath: sha256(token) };
    const dpop = { proof: await signProof(client, claims), method: 'POST', url: URL };
    expect(causeOf(await stepping.authenticate(token, { dpop }))).toBe(ACCEPTED);
    stepping.clock.advance(300_000);
    expect(causeOf(await stepping.authenticate(token, { dpop }))).toBe('proof_time');
    stepping.clock.step(-300_000);
    expect(causeOf(await stepping.authenticate(token, { dpop }))).toBe('proof_time');
    await stepping.stop();
  });

  test.each([
    ['while nobody asked', []],
    ['and back in two steps', [-20_000]],
  ])('stays used when the clock steps back %s', async (_, steps) => {
    const stepping = await startScene();
    const token = await signToken(stepping.key, stepping.claims({ cnf: { jkt } }));
    const seconds = Math.floor(stepping.clock.now() / 1000);
    const claims = { jti: 'j', htm: 'POST', htu: URL, iat: seconds, ath: sha256(token) };
    const dpop = { proof: await signProof(client, claims), method: 'POST', url: URL };
    expect(causeOf(await stepping.authenticate(token, { dpop }))).toBe(ACCEPTED);
    // the window of used proofs goes by the time that passes: it has forgotten this one
    stepping.clock.advance((MAX_PROOF_AGE_SECONDS + 20) * 1000);
    for (const step of steps) stepping.clock.step(step);
    stepping.clock.step(-(MAX_PROOF_AGE_SECONDS + 10) * 1000);
    expect(causeOf(await stepping.authenticate(token, { dpop }))).toBe('proof_time');
    await stepping.stop();
  });

  test('counts at once after a clock that was ahead is put right, where none was used meanwhile', async () => {
    const stepping = await startScene();
    const token = await signToken(stepping.key, stepping.claims({ cnf: { jkt } }));
    const attemptAt = async (jti: string): Promise<string> => {
      const iat = Math.floor(stepping.clock.now() / 1000);
      const claims = { jti, htm: 'POST', htu: URL, iat, ath: sha256(token) };
      const dpop = { proof: await signProof(client, claims), method: 'POST', url: URL };
      return causeOf(await stepping.authenticate(token, { dpop }));
    };
    expect(await attemptAt('before')).toBe(ACCEPTED);
    stepping.clock.step(200_000);
    expect(await attemptAt('ahead')).toBe(ACCEPTED);
    stepping.clock.step(-200_000);
    // still remembered: no proof of before can count twice
    expect(await attemptAt('after')).toBe(ACCEPTED);
    stepping.clock.advance((MAX_PROOF_AGE_SECONDS + 20) * 1000);
    // the one of ahead is forgotten now, and none as old as it counts any more
    expect(await attemptAt('later')).toBe('proof_time');
    stepping.clock.advance(200_000);
    expect(await attemptAt('much later')).toBe(ACCEPTED);
    await stepping.stop();
  });

  test('lets one of many equal proofs through that come at once', async () => {
    const token = await bound();
    const proof = await proofFor(token);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => attempt(token, proof)));
    expect(outcomes.filter(one => one === ACCEPTED)).toHaveLength(1);
    expect(outcomes.filter(one => one === 'proof_replayed')).toHaveLength(19);
  });
});

test('a proof beside a token that is bound to nothing is refused: it would look like more than it is', async () => {
  const token = await signToken(scene.key, scene.claims());
  expect(await attempt(token, await proofFor(token))).toBe('proof_unbound');
});

describe('a token bound to a certificate', () => {
  const hex = Buffer.from(THUMBPRINT, 'base64url').toString('hex');
  const colons = hex.toUpperCase().replace(/(..)(?=.)/g, '$1:');
  test.each([
    ['base64url', THUMBPRINT],
    ['hex', hex],
    ['hex with colons', colons],
  ])('is accepted with its thumbprint in %s', async (_, certificate) => {
    const token = await bound({ 'x5t#S256': THUMBPRINT });
    const { caller } = await scene.authenticate(token, { certificate });
    expect(caller?.binding).toBe('certificate');
  });

  test.each([
    ['none', undefined],
    ['that of another certificate', sha256('another certificate')],
    ['a text that is none', 'sha256'],
    ['the start of it', THUMBPRINT.slice(0, 42)],
    ['it in other case', THUMBPRINT.toLowerCase()],
  ])('is refused with %s', async (_, certificate) => {
    const token = await bound({ 'x5t#S256': THUMBPRINT });
    const more = certificate === undefined ? {} : { certificate };
    expect(causeOf(await scene.authenticate(token, more))).toBe('certificate');
  });

  test('and to a key needs both', async () => {
    const token = await bound({ 'x5t#S256': THUMBPRINT, jkt });
    const certificate = THUMBPRINT;
    const dpop = async () => ({ proof: await proofFor(token), method: 'POST', url: URL });
    expect(causeOf(await scene.authenticate(token, { certificate }))).toBe('proof_missing');
    expect(causeOf(await scene.authenticate(token, { dpop: await dpop() }))).toBe('certificate');
    const { caller } = await scene.authenticate(token, { certificate, dpop: await dpop() });
    expect(caller?.binding).toBe('dpop+certificate');
  });
});

test('an issuer that demands binding refuses plain bearer tokens', async () => {
  const strict = await startScene({ settings: { binding: 'required' } });
  expect(causeOf(await strict.authenticate(await signToken(strict.key, strict.claims())))).toBe('binding');
  await strict.stop();
});

describe('the window of used proofs', () => {
  test('is bounded for each key, forgets nothing early and lets others through', () => {
    const clock = manualClock();
    const window = new ReplayWindow(clock, 1000);
    for (let at = 0; at < MAX_PROOFS_PER_KEY; at += 1) expect(window.use('a', `${at}`, at)).toBeUndefined();
    expect(window.use('a', 'more', 6_001)).toBe('flood');
    expect(window.use('a', '0', 0)).toBe('replayed');
    expect(window.use('b', '0', 0)).toBeUndefined();
    clock.advance(999);
    expect(window.use('a', 'more', 6_001)).toBe('flood');
    clock.advance(1);
    expect(window.use('a', 'more', 6_001)).toBeUndefined();
    expect(window.size).toBe(1);
  });
});
