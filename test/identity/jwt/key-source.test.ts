/** Keys of an issuer that rotates, is slow, down, huge, redirecting or lying: verification goes on where it safely can. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeySource, REFRESH_AFTER_MS, UNKNOWN_KEY_PAUSE_MS } from '../../../src/identity/jwt/key-source.ts';
import {
  type Documents,
  MAX_DOCUMENT_BYTES,
  RemoteDocuments,
} from '../../../src/identity/jwt/remote-documents.ts';
import {
  causeOf,
  PATIENCE_MS,
  resolveOne,
  type Scene,
  settingsFor,
  startScene,
} from './authentication-scene.ts';
import { DISCOVERY, JWKS, json, makeKey, signToken, startIssuer } from './test-issuer.ts';

const HOUR = 3_600_000;
const scenes: Scene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.stop();
});

async function start(options: Parameters<typeof startScene>[0] = {}): Promise<Scene> {
  const scene = await startScene(options);
  scenes.push(scene);
  return scene;
}

/** A fresh token, by which key it may be. */
async function attempt(scene: Scene, key = scene.key, jti = `${Math.abs(scene.clock.now())}`) {
  return causeOf(await scene.authenticate(await signToken(key, scene.claims({ jti }))));
}

const ACCEPTED = 'accepted acme/idp:alice';

/** Lets what was started in the background come to its end. */
async function settle(done: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(done()).toBe(true), { timeout: PATIENCE_MS, interval: 2 });
}

/** Waits for an issuer that works, however slow the machine is; from `hurry` on it gives up on keys soon. */
function hurriedDocuments(): { readonly documents: Documents; readonly hurry: () => void } {
  const patient = new RemoteDocuments({ deadlineMs: PATIENCE_MS });
  let ofKeys = patient;
  return {
    documents: { read: request => (request.url.endsWith(JWKS) ? ofKeys : patient).read(request) },
    hurry: () => {
      ofKeys = new RemoteDocuments({ deadlineMs: 250 });
    },
  };
}

describe('fetching', () => {
  test('many first tokens at once cost one fetch', async () => {
    const scene = await start();
    const tokens = await Promise.all(
      Array.from({ length: 50 }, (_, at) => signToken(scene.key, scene.claims({ jti: `t${at}` }))),
    );
    const outcomes = await Promise.all(tokens.map(token => scene.authenticate(token)));
    expect(new Set(outcomes.map(causeOf))).toEqual(new Set([ACCEPTED]));
    expect(scene.issuer.asked.get(JWKS)).toBe(1);
  });

  test('keys of a certain age are fetched anew in the background, and no token waits', async () => {
    const scene = await start();
    expect(await attempt(scene)).toBe(ACCEPTED);
    scene.issuer.handlers.set(JWKS, () => undefined);
    scene.clock.advance(REFRESH_AFTER_MS);
    expect(await attempt(scene)).toBe(ACCEPTED);
    await settle(() => (scene.issuer.asked.get(JWKS) ?? 0) >= 2);
    expect(scene.issuer.asked.get(JWKS)).toBe(2);
  });

  test('a new key works at once, one question after it appears', async () => {
    const scene = await start();
    expect(await attempt(scene)).toBe(ACCEPTED);
    const next = await makeKey('ES256', 'k2');
    scene.issuer.published = [scene.key.jwk, next.jwk];
    scene.clock.advance(UNKNOWN_KEY_PAUSE_MS);
    expect(await attempt(scene, next)).toBe(ACCEPTED);
    expect(scene.issuer.asked.get(JWKS)).toBe(2);
  });

  test('a key that was withdrawn fails, also for a token that was verified before', async () => {
    const scene = await start();
    const token = await signToken(
      scene.key,
      scene.claims({ exp: Math.floor(scene.clock.now() / 1000) + 899 }),
    );
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    expect(scene.verifier.remembered).toBe(1);
    const next = await makeKey('ES256', 'k2');
    scene.issuer.published = [next.jwk];
    scene.clock.advance(UNKNOWN_KEY_PAUSE_MS);
    expect(await attempt(scene, next)).toBe(ACCEPTED);
    expect(causeOf(await scene.authenticate(token))).toBe('unknown_key');
  });

  test('the same `kid` with another key is another key', async () => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    const replaced = await makeKey('ES256', 'k1');
    scene.issuer.published = [replaced.jwk];
    scene.clock.advance(UNKNOWN_KEY_PAUSE_MS);
    await attempt(scene, await makeKey('ES256', 'unknown'));
    expect(causeOf(await scene.authenticate(token))).toBe('signature');
    expect(await attempt(scene, replaced)).toBe(ACCEPTED);
  });

  test('a thousand invented key ids cost one question', async () => {
    const scene = await start();
    expect(await attempt(scene)).toBe(ACCEPTED);
    scene.clock.advance(UNKNOWN_KEY_PAUSE_MS);
    const header = (at: number) => ({ kid: `invented-${at}` });
    const tokens = await Promise.all(
      Array.from({ length: 1000 }, (_, at) => signToken(scene.key, scene.claims(), header(at))),
    );
    for (const token of tokens) expect(causeOf(await scene.authenticate(token))).toBe('unknown_key');
    expect(scene.issuer.asked.get(JWKS)).toBe(2);
  });
});

describe('an issuer that fails', () => {
  const failures: readonly (readonly [string, Parameters<Scene['issuer']['handlers']['set']>[1]])[] = [
    ['answers 500', (_, response) => json(response, {}, 500)],
    ['answers 404', (_, response) => json(response, {}, 404)],
    ['redirects', (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()],
    ['answers no JSON', (_, response) => void response.end('<html>')],
    ['answers JSON that is no object', (_, response) => json(response, [])],
    ['has no keys', (_, response) => json(response, { keys: [] })],
    [
      'has only private keys',
      async (_, response) => {
        const { privateKey } = await makeKey('ES256', 'k1');
        json(response, { keys: [{ ...(await crypto.subtle.exportKey('jwk', privateKey)), kid: 'k1' }] });
      },
    ],
    [
      'has only symmetric keys',
      (_, response) => json(response, { keys: [{ kty: 'oct', k: 'AAAA', kid: 'k1' }] }),
    ],
    ['has keys that are texts', (_, response) => json(response, { keys: ['k1'] })],
    ['has 101 keys', (_, response) => json(response, { keys: Array.from({ length: 101 }, () => ({})) })],
    ['has a key twice under one name', (_, response) => void response.end('{"keys":[],"keys":[]}')],
    ['is huge', (_, response) => void response.end(`{"pad":"${'x'.repeat(MAX_DOCUMENT_BYTES)}"}`)],
    ['is compressed', (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
    [
      'breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{');
        setImmediate(() => response.destroy());
      },
    ],
    ['is not UTF-8', (_, response) => void response.end(Buffer.from([0xff, 0xfe]))],
    ['is slow', (_, response) => void response.writeHead(200)],
  ];

  test.each(failures)('that %s gives no keys, and says so to the operator', async (_, handler) => {
    const { documents, hurry } = hurriedDocuments();
    const scene = await start({ documents });
    scene.issuer.handlers.set(JWKS, handler);
    hurry();
    expect(await attempt(scene)).toBe('keys_unavailable');
    expect(scene.reports).toHaveLength(1);
    expect(scene.reports[0]).toEqual(expect.any(String));
  });

  test.each(failures)('that %s later leaves the last good keys in use', async (_, handler) => {
    const { documents, hurry } = hurriedDocuments();
    const scene = await start({ documents });
    expect(await attempt(scene)).toBe(ACCEPTED);
    scene.issuer.handlers.set(JWKS, handler);
    hurry();
    scene.clock.advance(REFRESH_AFTER_MS);
    expect(await attempt(scene)).toBe(ACCEPTED);
    await settle(() => scene.reports.length > 0);
    expect(await attempt(scene)).toBe(ACCEPTED);
  });

  test('is asked ever less often', async () => {
    const scene = await start();
    scene.issuer.handlers.set(JWKS, (_, response) => json(response, {}, 500));
    for (let second = 0; second < 600; second += 1) {
      expect(await attempt(scene)).toBe('keys_unavailable');
      scene.clock.advance(1000);
    }
    // pauses of 1, 2, 4 … 256, 300 seconds
    expect(scene.issuer.asked.get(JWKS)).toBe(10);
  });

  test('leaves the last good keys in use for the configured time, and no longer', async () => {
    const scene = await start({ settings: { staleKeysHours: 2 } });
    expect(await attempt(scene)).toBe(ACCEPTED);
    scene.issuer.handlers.set(JWKS, (_, response) => json(response, {}, 503));
    scene.clock.advance(2 * HOUR);
    expect(await attempt(scene)).toBe(ACCEPTED);
    await settle(() => scene.reports.length > 0);
    scene.clock.advance(1);
    expect(await attempt(scene)).toBe('keys_unavailable');
  });

  test('is believed again when it answers again, and the operator hears of it', async () => {
    const scene = await start();
    scene.issuer.handlers.set(JWKS, (_, response) => json(response, {}, 503));
    expect(await attempt(scene)).toBe('keys_unavailable');
    scene.issuer.handlers.delete(JWKS);
    scene.clock.advance(1000);
    expect(await attempt(scene)).toBe(ACCEPTED);
    expect(scene.reports).toEqual(['the answer has status 503', undefined]);
  });
});

describe('the discovery document', () => {
  test.each([
    ['names another issuer', { issuer: 'https://other.example' }, 'names another issuer'],
    ['names the issuer with a slash more', { slash: true }, 'names another issuer'],
    ['names no keys', { jwks_uri: undefined }, 'no `jwks_uri`'],
    ['names keys at another host', { jwks_uri: 'https://attacker.example/jwks' }, 'neither the issuer'],
    [
      'names keys over plain http elsewhere',
      { jwks_uri: 'http://attacker.example/jwks' },
      'neither the issuer',
    ],
    ['names keys in a file', { jwks_uri: 'file:///etc/passwd' }, 'neither the issuer'],
    ['names keys with a password', { userinfo: true }, 'no user'],
  ])('that %s is not followed', async (_, change: Record<string, unknown>, message) => {
    const scene = await start();
    const { url, host } = scene.issuer;
    scene.issuer.handlers.set(DISCOVERY, (_request, response) =>
      json(response, {
        issuer: 'slash' in change ? `${url}/` : url,
        jwks_uri: 'userinfo' in change ? `http://u:p@${host}${JWKS}` : `${url}${JWKS}`,
        ...change,
      }),
    );
    expect(await attempt(scene)).toBe('keys_unavailable');
    expect(scene.reports[0]).toContain(message);
    expect(scene.issuer.asked.get(JWKS)).toBeUndefined();
  });

  test('is not needed where the address of the keys is configured', async () => {
    const key = await makeKey('EdDSA', 'k1');
    const issuer = await startIssuer([key.jwk]);
    const resolved = resolveOne(settingsFor(issuer, { jwksUri: `${issuer.url}${JWKS}` }));
    const clock = { now: () => 0, monotonic: () => 0 };
    const source = new KeySource(
      resolved,
      new RemoteDocuments({ deadlineMs: PATIENCE_MS }),
      clock,
      () => undefined,
    );
    await source.warm();
    expect((await source.find('EdDSA', 'k1')).keys).toHaveLength(1);
    expect(issuer.asked.get(DISCOVERY)).toBeUndefined();
    await issuer.stop();
  });
});
