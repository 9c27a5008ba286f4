/** From a forwarded token to a caller: what is remembered, what is asked anew each time, and who becomes a principal. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Revocation } from '../../../src/identity/ports.ts';
import { MAX_IN_FLIGHT } from '../../../src/identity/jwt/introspection-desk.ts';
import { MAX_REMEMBERED, REMEMBER_MS } from '../../../src/identity/jwt/token-verifier.ts';
import {
  causeOf,
  PATIENCE_MS,
  PEP,
  type Scene,
  type SceneOptions,
  startScene,
} from '../jwt/authentication-scene.ts';
import { json, signToken } from '../jwt/test-issuer.ts';

const scenes: Scene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.stop();
});
async function start(options: SceneOptions = {}): Promise<Scene> {
  const scene = await startScene(options);
  scenes.push(scene);
  return scene;
}
const ACCEPTED = 'accepted acme/idp:alice';

function revocation(scene: Scene, change: Partial<Revocation>): Revocation {
  return {
    id: 'r1',
    kind: 'token',
    issuer: scene.issuer.url,
    value: 'token-1',
    at: new Date(scene.clock.now()).toISOString(),
    by: 'k',
    reason: '',
    forgetAt: '2099-01-01T00:00:00.000Z',
    ...change,
  };
}

describe('a caller', () => {
  test('has principal, tenant, how it was authenticated, and nothing of the token', async () => {
    const scene = await start({
      settings: {
        delegation: {},
        assurance: { default: 1, rules: [{ claim: 'amr', value: 'mfa', level: 2 }] },
      },
    });
    const act = { sub: 'copilot', act: { sub: 'planner' } };
    const claims = scene.claims({ amr: ['mfa'], act, scope: 'a b' });
    const token = await signToken(scene.key, claims);
    const outcome = await scene.authenticate(token);
    const exp = Math.floor(scene.clock.now() / 1000) + 600;
    expect(outcome).toEqual({
      caller: {
        principal: { type: 'User', id: 'acme/idp:alice' },
        tenant: 'acme',
        auth: { method: 'jwt', assurance: 2, scopes: ['a', 'b'], issuer: scene.issuer.url, keyId: 'k1' },
        via: {
          agent: 'acme/idp:copilot',
          chain: ['acme/idp:copilot', 'acme/idp:planner'],
          depth: 2,
          scopes: ['a', 'b'],
          expires: new Date(exp * 1000).toISOString(),
          humanApproved: false,
        },
        binding: 'none',
        credential: { id: 'idp:client:app', isShared: true },
      },
    });
    for (const part of token.split('.')) expect(JSON.stringify(outcome)).not.toContain(part);
  });

  test('that the gateway takes for somebody else is refused', async () => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    const claim = async (type: string, id: string) =>
      causeOf(await scene.authenticate(token, {}, { claimed: { type, id } }));
    expect(await claim('User', 'acme/idp:alice')).toBe(ACCEPTED);
    expect(await claim('User', 'acme/idp:bob')).toBe('principal_mismatch');
    expect(await claim('Service', 'acme/idp:alice')).toBe('principal_mismatch');
  });

  test.each<[string, readonly object[], string]>([
    ['a rule for the tenant', [{ mode: 'verify', tenants: ['acme'] }], ACCEPTED],
    ['a rule that would let it assert', [{ mode: 'assert' }], ACCEPTED],
    ['rules for other tenants alone', [{ mode: 'verify', tenants: ['globex'] }], 'tenant'],
    ['a rule for other types', [{ mode: 'verify', principalTypes: ['Service'] }], 'principal_type'],
  ])('of a gateway with %s: %s', async (_, callers, expected) => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    const pep = { ...PEP, callers: callers.map(one => ({ mode: 'verify' as const, ...one })) };
    const outcome = await scene.authenticate(token, {}, { pep });
    expect(causeOf(outcome)).toBe(expected);
    expect(outcome.refusal?.code).toBe(expected === ACCEPTED ? undefined : 'CREDENTIAL_SCOPE');
  });
});

describe('a token that was verified', () => {
  test('is remembered for a short time, and not beyond its end', async () => {
    const scene = await start();
    const exp = Math.floor(scene.clock.now() / 1000) + 20;
    const token = await signToken(scene.key, scene.claims({ exp }));
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    expect(scene.verifier.remembered).toBe(1);
    scene.clock.advance(49_999);
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    scene.clock.advance(1);
    const expired = await scene.authenticate(token);
    expect(expired.refusal?.code).toBe('CREDENTIAL_EXPIRED');
    scene.clock.advance(REMEMBER_MS);
    await scene.authenticate(token);
    expect(scene.verifier.remembered).toBe(0);
  });

  test('is refused before its time when the clock steps back', async () => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    scene.clock.step(-60_000);
    expect(causeOf(await scene.authenticate(token))).toBe('not_yet_valid');
    scene.clock.step(3_600_000);
    expect(causeOf(await scene.authenticate(token))).toBe('expired');
  });

  test('that differs in one character is another token', async () => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    await scene.authenticate(token);
    const last = token.at(-1) === 'A' ? 'Q' : 'A';
    expect(causeOf(await scene.authenticate(`${token.slice(0, -1)}${last}`))).not.toBe(ACCEPTED);
  });

  test('makes room: never more are remembered than the limit', { timeout: 180_000 }, async () => {
    const scene = await start({ alg: 'EdDSA' });
    for (let at = 0; at < MAX_REMEMBERED + 50; at += 1) {
      await scene.authenticate(await signToken(scene.key, scene.claims({ jti: `t${at}` })));
    }
    expect(scene.verifier.remembered).toBe(MAX_REMEMBERED);
  });

  test('is not remembered when it was refused', async () => {
    const scene = await start();
    await scene.authenticate(await signToken(scene.key, scene.claims({ aud: 'other' })));
    expect(scene.verifier.remembered).toBe(0);
  });
});

describe('a revocation', () => {
  test.each<[string, Partial<Revocation>, string]>([
    ['of the token', { kind: 'token', value: 'token-1' }, 'revoked'],
    ['of another token', { kind: 'token', value: 'token-2' }, ACCEPTED],
    ['of the subject', { kind: 'subject', value: 'alice' }, 'revoked'],
    ['of another subject', { kind: 'subject', value: 'bob' }, ACCEPTED],
    ['of the client', { kind: 'client', value: 'app' }, 'revoked'],
    ['of a client called like the subject', { kind: 'client', value: 'alice' }, ACCEPTED],
    [
      'of the subject of another issuer',
      { kind: 'subject', value: 'alice', issuer: 'https://o.example' },
      ACCEPTED,
    ],
  ])('%s counts on the next request, also for a remembered token: %s', async (_, change, expected) => {
    const scene = await start();
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    scene.revocations.put(revocation(scene, change));
    const outcome = await scene.authenticate(token);
    expect(causeOf(outcome)).toBe(expected);
    expect(outcome.refusal?.code).toBe(expected === ACCEPTED ? undefined : 'CREDENTIAL_REVOKED');
  });

  test('of a subject does not hit what is issued later', async () => {
    const scene = await start();
    scene.revocations.put(revocation(scene, { kind: 'subject', value: 'alice' }));
    const attempt = async () => causeOf(await scene.authenticate(await signToken(scene.key, scene.claims())));
    scene.clock.advance(999);
    expect(await attempt()).toBe('revoked');
    scene.clock.advance(1);
    expect(await attempt()).toBe(ACCEPTED);
  });

  test('that comes while the issuer is being asked still counts', async () => {
    const scene = await start({ secret: 'secret', settings: introspected });
    const url = '/introspect';
    scene.issuer.handlers.set(url, (_, response) => {
      scene.revocations.put(revocation(scene, {}));
      json(response, { active: true });
    });
    const settings = scene.resolved.introspection;
    expect(settings?.url).toContain(url);
    expect(causeOf(await scene.authenticate(await signToken(scene.key, scene.claims())))).toBe('revoked');
  });
});

/** The port is known only when the issuer runs, so the scene fills it in. */
const introspected = {
  introspection: { url: '{issuer}/introspect', clientId: 'pdp:1', clientSecretFile: 'unused' },
} as const;

describe('introspection', () => {
  const SECRET = 'canary-secret +/&';
  async function attempt(scene: Scene, jti = 'token-1') {
    return causeOf(await scene.authenticate(await signToken(scene.key, scene.claims({ jti }))));
  }

  test('asks with the credentials of the client and the token in the body', async () => {
    const scene = await start({ secret: SECRET, settings: introspected });
    let seen = { authorization: '', body: '', method: '' };
    scene.issuer.handlers.set('/introspect', (request, response, body) => {
      seen = { authorization: request.headers.authorization ?? '', body, method: request.method ?? '' };
      json(response, { active: true, sub: 'alice', iss: scene.issuer.url });
    });
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    expect(seen.method).toBe('POST');
    expect(new URLSearchParams(seen.body).get('token')).toBe(token);
    const decoded = Buffer.from(seen.authorization.slice('Basic '.length), 'base64').toString('utf8');
    expect(decoded).toBe('pdp%3A1:canary-secret+%2B%2F%26');
  });

  test.each<[string, unknown, string]>([
    ['inactive', { active: false }, 'inactive'],
    ['active as a text', { active: 'true' }, 'inactive'],
    ['without `active`', {}, 'inactive'],
    ['about another subject', { active: true, sub: 'bob' }, 'introspection_mismatch'],
    ['about another token', { active: true, jti: 'token-2' }, 'introspection_mismatch'],
    ['of another issuer', { active: true, iss: 'https://o.example' }, 'introspection_mismatch'],
    ['that is a list', [], 'introspection_unavailable'],
  ])('with an answer %s is refused: %s', async (_, answer, cause) => {
    const scene = await start({ secret: SECRET, settings: introspected });
    scene.issuer.handlers.set('/introspect', (_request, response) => json(response, answer));
    expect(await attempt(scene)).toBe(cause);
  });

  test('fails closed, and an issuer that is down is not asked for each token', async () => {
    const scene = await start({ secret: SECRET, settings: introspected });
    scene.issuer.handlers.set('/introspect', (_request, response) => json(response, {}, 500));
    for (let at = 0; at < 20; at += 1)
      expect(await attempt(scene, `t${at}`)).toBe('introspection_unavailable');
    expect(scene.issuer.asked.get('/introspect')).toBe(1);
    scene.issuer.handlers.set('/introspect', (_request, response) => json(response, { active: true }));
    scene.clock.advance(1_000);
    expect(await attempt(scene)).toBe(ACCEPTED);
  });

  test('is believed for its time, then asked again, and many at once cost one question', async () => {
    const scene = await start({ secret: SECRET, settings: introspected });
    let active = true;
    scene.issuer.handlers.set('/introspect', (_request, response) => json(response, { active }));
    const token = await signToken(scene.key, scene.claims());
    const many = await Promise.all(Array.from({ length: 20 }, () => scene.authenticate(token)));
    expect(new Set(many.map(causeOf))).toEqual(new Set([ACCEPTED]));
    expect(scene.issuer.asked.get('/introspect')).toBe(1);
    active = false;
    scene.clock.advance(29_999);
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    scene.clock.advance(1);
    const outcome = await scene.authenticate(token);
    expect(outcome.refusal?.code).toBe('CREDENTIAL_REVOKED');
  });

  test('of a slow issuer holds up a bounded number of its tokens', async () => {
    const scene = await start({ secret: SECRET, settings: introspected });
    const waiting: (() => void)[] = [];
    scene.issuer.handlers.set('/introspect', (_request, response) => {
      waiting.push(() => json(response, { active: true }));
    });
    const attempts = Array.from({ length: MAX_IN_FLIGHT }, (_, at) => attempt(scene, `t${at}`));
    const asked = (count: number) =>
      vi.waitFor(() => expect(waiting).toHaveLength(count), { timeout: PATIENCE_MS, interval: 2 });
    await asked(MAX_IN_FLIGHT);
    expect(await attempt(scene, 'more')).toBe('introspection_unavailable');
    for (const answer of waiting) answer();
    expect(new Set(await Promise.all(attempts))).toEqual(new Set([ACCEPTED]));
    const after = attempt(scene, 'later');
    await asked(MAX_IN_FLIGHT + 1);
    waiting.at(-1)?.();
    expect(await after).toBe(ACCEPTED);
  });

  test('without the secret of the client refuses', async () => {
    const scene = await start({ settings: introspected });
    expect(await attempt(scene)).toBe('introspection_unavailable');
  });
});

describe('enrolment', () => {
  const settings = { justInTime: { attributes: { tier: 'free' } }, roles: [{ claim: 'groups' }] };
  const groups = ['acme/dev', 'globex/admin'];

  test('happens only where the issuer is configured so', async () => {
    const scene = await start();
    await scene.authenticate(await signToken(scene.key, scene.claims({ groups })));
    expect(scene.registry.creations).toBe(0);
  });

  test('makes an unknown principal once, with its roles and attributes', async () => {
    const scene = await start({ settings });
    const tokens = await Promise.all(
      Array.from({ length: 10 }, (_, at) => signToken(scene.key, scene.claims({ groups, jti: `t${at}` }))),
    );
    await Promise.all(tokens.map(token => scene.authenticate(token)));
    expect(scene.registry.creations).toBe(1);
    expect(scene.registry.principals.get('User acme/idp:alice')).toEqual({
      roles: ['acme/dev'],
      attributes: { tier: 'free' },
      issuer: 'idp',
    });
  });

  test('leaves a known principal as it is, unless roles are to follow the tokens', async () => {
    for (const updateRoles of [false, true]) {
      const scene = await start({ settings: { ...settings, justInTime: { attributes: {}, updateRoles } } });
      await scene.authenticate(await signToken(scene.key, scene.claims({ groups })));
      await scene.authenticate(await signToken(scene.key, scene.claims({ groups: ['acme/ops'], jti: '2' })));
      const roles = scene.registry.principals.get('User acme/idp:alice')?.roles;
      expect(roles).toEqual(updateRoles ? ['acme/ops'] : ['acme/dev']);
    }
  });

  test('of a token with other roles than one that is under way is not taken for it', async () => {
    const scene = await start({
      settings: { ...settings, justInTime: { attributes: {}, updateRoles: true } },
    });
    const gate = Promise.withResolvers<void>();
    scene.registry.gate = gate.promise;
    const rolesAfter = async (jti: string, roles: readonly string[]) => {
      await scene.authenticate(await signToken(scene.key, scene.claims({ groups: roles, jti })));
      return scene.registry.rolesOf({ type: 'User', id: 'acme/idp:alice' });
    };
    const first = rolesAfter('1', ['acme/admin']);
    await expect.poll(() => scene.registry.creations).toBe(1);
    const second = rolesAfter('2', ['acme/dev']);
    // the second token was verified and waits
    await expect.poll(() => scene.verifier.remembered).toBe(2);
    await setImmediate();
    gate.resolve();
    expect(await first).toEqual(['acme/admin']);
    expect(await second).toEqual(['acme/dev']);
  });

  test('of a principal that another tenant has when it is done is refused', async () => {
    const scene = await start({ settings });
    const gate = Promise.withResolvers<void>();
    scene.registry.gate = gate.promise;
    const outcome = scene.authenticate(await signToken(scene.key, scene.claims()));
    await expect.poll(() => scene.registry.creations).toBe(1);
    scene.registry.tenant = 'globex';
    gate.resolve();
    expect(causeOf(await outcome)).toBe('tenant');
  });

  test('does not save a token that is revoked meanwhile', async () => {
    const scene = await start({ settings });
    const gate = Promise.withResolvers<void>();
    scene.registry.gate = gate.promise;
    const outcome = scene.authenticate(await signToken(scene.key, scene.claims()));
    await expect.poll(() => scene.registry.creations).toBe(1);
    scene.revocations.put(revocation(scene, { kind: 'token', value: 'token-1' }));
    gate.resolve();
    expect(causeOf(await outcome)).toBe('revoked');
  });

  test('that fails refuses the caller, and the next one tries again', async () => {
    const scene = await start({ settings });
    scene.registry.failure = new Error('the store is busy');
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe('enrolment');
    scene.registry.failure = undefined;
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
  });

  test('of a principal that belongs to another tenant by now is refused, and changes nothing', async () => {
    const scene = await start({ settings });
    const token = await signToken(scene.key, scene.claims());
    expect(causeOf(await scene.authenticate(token))).toBe(ACCEPTED);
    scene.registry.tenant = 'globex';
    const outcome = await scene.authenticate(token);
    expect(outcome.refusal).toMatchObject({ code: 'CREDENTIAL_SCOPE', cause: 'tenant' });
  });

  test('does not happen for a caller that is refused for another reason', async () => {
    const scene = await start({ settings });
    const token = await signToken(scene.key, scene.claims());
    await scene.authenticate(token, {}, { claimed: { type: 'User', id: 'acme/idp:bob' } });
    expect(scene.registry.creations).toBe(0);
  });
});

test('every refusal is counted by its cause', async () => {
  const scene = await start();
  await scene.authenticate('x');
  await scene.authenticate(await signToken(scene.key, scene.claims({ iss: 'x' })));
  expect(scene.causes).toEqual(['malformed', 'issuer']);
});
