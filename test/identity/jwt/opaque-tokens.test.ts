/** Tokens that say nothing by themselves: what an issuer answers about them, and every way in which it can fail to. */
import { afterEach, describe, expect, test } from 'vitest';
import { MAX_ANSWERS, MAX_IN_FLIGHT } from '../../../src/identity/jwt/introspection-desk.ts';
import { MAX_OPAQUE_LENGTH } from '../../../src/identity/jwt/opaque-tokens.ts';
import { RemoteDocuments } from '../../../src/identity/jwt/remote-documents.ts';
import { AUDIENCE, causeOf, type Scene, type SceneOptions, startScene } from './authentication-scene.ts';
import { json, makeKey, signProof, startIssuer } from './test-issuer.ts';
import { calculateJwkThumbprint } from 'jose';
import { sha256 } from '../../../src/identity/jwt/digest.ts';

const ENDPOINT = '/introspect';
const TOKEN = 'opaque-token-of-some-length-0001';
const ACCEPTED = 'accepted acme/idp:alice';
const settings = {
  introspection: { url: `{issuer}${ENDPOINT}`, clientId: 'pdp', clientSecretFile: 'unused', opaque: true },
} as const;

const scenes: Scene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.stop();
});

async function start(options: SceneOptions = {}): Promise<Scene> {
  const scene = await startScene({ secret: 'secret', settings, ...options });
  scenes.push(scene);
  return scene;
}

/** What a well-behaved issuer says of an active token. */
function active(scene: Scene, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const { jti: _none, ...claims } = scene.claims();
  return { active: true, token_type: 'Bearer', ...claims, ...change };
}

function answers(scene: Scene, value: unknown, status = 200): void {
  scene.issuer.handlers.set(ENDPOINT, (_request, response) => json(response, value, status));
}
const asked = (scene: Scene) => scene.issuer.asked.get(ENDPOINT) ?? 0;

describe('an active token', () => {
  test('makes a caller of its answer, with the credentials of the client sent and the token in the body', async () => {
    const scene = await start();
    let seen = { authorization: '', body: '' };
    scene.issuer.handlers.set(ENDPOINT, (request, response, body) => {
      seen = { authorization: request.headers.authorization ?? '', body };
      json(response, active(scene, { scope: 'a b' }));
    });
    const outcome = await scene.opaque(TOKEN);
    expect(outcome.caller).toEqual({
      principal: { type: 'User', id: 'acme/idp:alice' },
      tenant: 'acme',
      auth: { method: 'opaque', assurance: 1, scopes: ['a', 'b'], issuer: scene.issuer.url },
      binding: 'none',
      credential: { id: 'idp:client:app', isShared: true },
    });
    expect(Buffer.from(seen.authorization.slice('Basic '.length), 'base64').toString()).toBe('pdp:secret');
    expect(new URLSearchParams(seen.body).get('token')).toBe(TOKEN);
  });

  test('is believed for its time and not beyond its end, and then asked about again', async () => {
    const scene = await start();
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    answers(scene, { active: false });
    scene.clock.advance(29_999);
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    scene.clock.advance(1);
    expect(causeOf(await scene.opaque(TOKEN))).toBe('inactive');
    const now = Math.floor(scene.clock.now() / 1000);
    answers(scene, active(scene, { iat: now - 60, exp: now + 5 }));
    expect(causeOf(await scene.opaque(`${TOKEN}2`))).toBe(ACCEPTED);
    // inside of the time of the answer, and beyond the tolerance of the clock
    scene.clock.advance(29_000);
    expect(causeOf(await scene.opaque(`${TOKEN}2`))).toBe(ACCEPTED);
    scene.clock.advance(6_100);
    answers(scene, active(scene, { iat: now - 60, exp: now + 5 }));
    expect(causeOf(await scene.opaque(`${TOKEN}2`))).toBe('expired');
  });

  test('is revoked with its subject and its client from the next request on', async () => {
    const scene = await start();
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    scene.revocations.put({
      id: 'r',
      kind: 'client',
      issuer: scene.issuer.url,
      value: 'app',
      by: 'k',
      reason: '',
      at: new Date(scene.clock.now()).toISOString(),
      forgetAt: '2099-01-01T00:00:00.000Z',
    });
    expect(causeOf(await scene.opaque(TOKEN))).toBe('revoked');
  });

  test('that is bound to a key needs the proof of it', async () => {
    const scene = await start();
    const holder = await makeKey('ES256', 'holder');
    const jkt = await calculateJwkThumbprint(holder.jwk);
    answers(scene, active(scene, { token_type: 'DPoP', cnf: { jkt } }));
    expect(causeOf(await scene.opaque(TOKEN))).toBe('proof_missing');
    const url = 'https://gateway.example/v1/chat';
    const iat = Math.floor(scene.clock.now() / 1000);
    const proof = await signProof(holder, { jti: 'p', htm: 'POST', htu: url, iat, ath: sha256(TOKEN) });
    const outcome = await scene.opaque(TOKEN, { dpop: { proof, method: 'POST', url } });
    expect(outcome.caller?.binding).toBe('dpop');
  });

  test('of a client alone is its client where the operator says so, and nobody else', async () => {
    const scene = await start();
    answers(scene, active(scene, { sub: undefined }));
    expect(causeOf(await scene.opaque(TOKEN))).toBe('claims');
    const open = await start({
      settings: { introspection: { ...settings.introspection, clientSubjects: true } },
    });
    answers(open, active(open, { sub: undefined }));
    expect(causeOf(await open.opaque(TOKEN))).toBe('accepted acme/idp:app');
  });

  test('is asked of the issuer that is named, and of no issuer that was not configured for it', async () => {
    const scene = await start();
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(TOKEN, { issuer: 'idp' }))).toBe(ACCEPTED);
    expect(causeOf(await scene.opaque(TOKEN, { issuer: 'other' }))).toBe('issuer');
    const plain = await start({ settings: { introspection: { ...settings.introspection, opaque: false } } });
    expect(causeOf(await plain.opaque(TOKEN))).toBe('issuer');
    expect(asked(plain)).toBe(0);
  });
});

describe('an answer is refused', () => {
  const now = (scene: Scene) => Math.floor(scene.clock.now() / 1000);
  test.each<[string, (scene: Scene) => unknown, string]>([
    ['inactive', () => ({ active: false }), 'inactive'],
    ['inactive with claims', scene => active(scene, { active: false }), 'inactive'],
    ['active as a text', scene => active(scene, { active: 'true' }), 'inactive'],
    ['without `active`', scene => active(scene, { active: undefined }), 'inactive'],
    ['of another issuer', scene => active(scene, { iss: 'https://o.example' }), 'introspection_mismatch'],
    ['for another audience', scene => active(scene, { aud: 'https://other.example' }), 'audience'],
    ['for no audience', scene => active(scene, { aud: undefined }), 'audience'],
    ['without a subject', scene => active(scene, { sub: undefined }), 'claims'],
    ['without an end', scene => active(scene, { exp: undefined }), 'claims'],
    ['without a beginning', scene => active(scene, { iat: undefined }), 'claims'],
    ['with an end that is a text', scene => active(scene, { exp: '9999999999' }), 'claims'],
    ['that lives too long', scene => active(scene, { exp: now(scene) + 901 }), 'lifetime'],
    ['that has ended', scene => active(scene, { iat: now(scene) - 800, exp: now(scene) - 31 }), 'expired'],
    ['that has not begun', scene => active(scene, { nbf: now(scene) + 31 }), 'not_yet_valid'],
    ['about a refresh token', scene => active(scene, { token_type: 'refresh_token' }), 'type'],
    ['about an ID token', scene => active(scene, { nonce: 'n' }), 'id_token'],
    ['bound to nothing that is named', scene => active(scene, { token_type: 'DPoP' }), 'binding'],
    ['bound in a way that is not known', scene => active(scene, { cnf: { kid: 'k' } }), 'binding'],
    ['that is a list', () => [], 'introspection_unavailable'],
    ['that is a text', () => 'active', 'introspection_unavailable'],
  ])('%s', async (_name, answer, cause) => {
    const scene = await start();
    answers(scene, answer(scene));
    expect(causeOf(await scene.opaque(TOKEN))).toBe(cause);
  });

  test('with a key twice', async () => {
    const scene = await start();
    scene.issuer.handlers.set(ENDPOINT, (_request, response) => {
      response.end(JSON.stringify(active(scene)).replace('{', '{"active":false,'));
    });
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
  });

  test('for a tenant, a subject or scopes that the issuer may not speak for', async () => {
    const tenant = await start({ settings: { ...settings, tenant: { claim: 'org' } } });
    answers(tenant, active(tenant, { org: 'globex' }));
    expect(causeOf(await tenant.opaque(TOKEN))).toBe('tenant');
    const scope = await start({ settings: { ...settings, requiredScopes: ['admin'] } });
    answers(scope, active(scope));
    expect(causeOf(await scope.opaque(TOKEN))).toBe('scope');
    const subject = await start({ settings: { ...settings, subjects: ['bob'] } });
    answers(subject, active(subject));
    expect(causeOf(await subject.opaque(TOKEN))).toBe('subject');
  });
});

describe('a text is not asked about', () => {
  test.each([
    ['too short', 'short', 'malformed'],
    ['too long', 'x'.repeat(MAX_OPAQUE_LENGTH + 1), 'too_long'],
    ['with a space', 'opaque token of some length', 'malformed'],
    ['with a line break', `${TOKEN}\r\nx: y`, 'malformed'],
    ['with a letter beyond ASCII', `${TOKEN}é`, 'malformed'],
    ['with an equals sign inside', `abc=${TOKEN}`, 'malformed'],
    ['with a null', `${TOKEN}\u0000`, 'malformed'],
    ['with an ampersand', `${TOKEN}&active=true`, 'malformed'],
  ])('%s', async (_name, token, cause) => {
    const scene = await start();
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(token))).toBe(cause);
    expect(asked(scene)).toBe(0);
  });
});

describe('an issuer', () => {
  test('that is down refuses, is not asked for each token, and is asked again after a pause', async () => {
    const scene = await start();
    answers(scene, {}, 503);
    for (let at = 0; at < 20; at++) {
      expect(causeOf(await scene.opaque(`${TOKEN}${at}`))).toBe('introspection_unavailable');
    }
    expect(asked(scene)).toBe(1);
    answers(scene, active(scene));
    scene.clock.advance(1_000);
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
  });

  test('that cannot be reached refuses', async () => {
    const gone = await startIssuer([]);
    await gone.stop();
    const scene = await start({
      settings: {
        introspection: { ...settings.introspection, url: `${gone.url}${ENDPOINT}` },
        privateHosts: [gone.host],
        keyHosts: [gone.host],
        issuer: gone.url,
      },
    });
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
  });

  test('that is slow is given up', async () => {
    const scene = await start({ documents: new RemoteDocuments({ deadlineMs: 50 }) });
    scene.issuer.handlers.set(ENDPOINT, () => undefined);
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
  });

  test('that sends one byte after the other is given up', async () => {
    const scene = await start({ documents: new RemoteDocuments({ deadlineMs: 100 }) });
    scene.issuer.handlers.set(ENDPOINT, (_request, response) => {
      const timer = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(timer));
    });
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
  });

  test('that sends too much is cut off', async () => {
    const scene = await start();
    scene.issuer.handlers.set(ENDPOINT, (_request, response) => {
      response.end(JSON.stringify(active(scene, { padding: 'x'.repeat(300_000) })));
    });
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
  });

  test('that redirects is not followed, and the token reaches nobody else', async () => {
    const other = await startIssuer([]);
    try {
      const scene = await start();
      scene.issuer.handlers.set(ENDPOINT, (_request, response) => {
        response.writeHead(307, { location: `${other.url}${ENDPOINT}` });
        response.end();
      });
      expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
      expect([...other.asked]).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  test('that calls a question bad goes on being asked about other tokens', async () => {
    const scene = await start();
    answers(scene, { error: 'invalid_request' }, 400);
    expect(causeOf(await scene.opaque(TOKEN))).toBe('introspection_unavailable');
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(`${TOKEN}2`))).toBe(ACCEPTED);
  });

  test('is asked once about one token, however many bring it, and about so many at once', async () => {
    const scene = await start();
    const waiting: (() => void)[] = [];
    scene.issuer.handlers.set(ENDPOINT, (_request, response) => {
      waiting.push(() => json(response, active(scene)));
    });
    const same = Array.from({ length: 10 }, () => scene.opaque(TOKEN));
    const others = Array.from({ length: MAX_IN_FLIGHT }, (_, at) => scene.opaque(`${TOKEN}${at}`));
    const outcomes = Promise.all([...same, ...others]);
    while (waiting.length < MAX_IN_FLIGHT) await new Promise(resolve => setImmediate(resolve));
    for (const answer of waiting) answer();
    const causes = (await outcomes).map(causeOf);
    expect(causes.filter(cause => cause === ACCEPTED)).toHaveLength(10 + MAX_IN_FLIGHT - 1);
    expect(causes.filter(cause => cause === 'introspection_unavailable')).toHaveLength(1);
    expect(asked(scene)).toBe(MAX_IN_FLIGHT);
  });

  test('is not asked again for a while about a token that it ended, nor about one that it took after all', async () => {
    const scene = await start();
    answers(scene, active(scene));
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    scene.clock.advance(30_000);
    answers(scene, { active: false });
    for (let at = 0; at < 5; at += 1) expect(causeOf(await scene.opaque(TOKEN))).toBe('inactive');
    expect(asked(scene)).toBe(2);
    scene.clock.advance(30_000);
    answers(scene, active(scene));
    for (let at = 0; at < 5; at += 1) expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    expect(asked(scene)).toBe(3);
  });

  test('is not asked again about a token that it refused, and invented tokens push out no real one', async () => {
    let questions = 0;
    const scene = await start({
      documents: {
        read: ({ form }) => {
          questions += 1;
          const isReal = form?.body.includes(TOKEN) === true;
          return Promise.resolve(isReal ? { active: true, ...real } : { active: false });
        },
      },
    });
    const now = Math.floor(scene.clock.now() / 1000);
    const real = { sub: 'alice', aud: AUDIENCE, iat: now, exp: now + 600, client_id: 'app' };
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    for (let at = 0; at <= MAX_ANSWERS; at++) await scene.opaque(`invented-token-${at}`);
    expect(questions).toBe(MAX_ANSWERS + 2);
    await scene.opaque(`invented-token-${MAX_ANSWERS}`);
    expect(causeOf(await scene.opaque(TOKEN))).toBe(ACCEPTED);
    expect(questions).toBe(MAX_ANSWERS + 2);
  });
});
