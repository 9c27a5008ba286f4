/** Properties of reading and verifying tokens: no change of a good token survives, and JSON reads one way only. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ID_PATTERN } from '../../src/domain/ids.ts';
import { issuerSettingsSchema } from '../../src/domain/issuer-settings.ts';
import { resolveIssuers } from '../../src/identity/jwt/issuer.ts';
import { mapPrincipal } from '../../src/identity/jwt/principal-mapping.ts';
import { parseStrictObject } from '../../src/identity/jwt/strict-json.ts';
import { readToken } from '../../src/identity/jwt/token-text.ts';
import { causeOf, type Scene, startScene } from '../identity/jwt/authentication-scene.ts';
import { signToken } from '../identity/jwt/test-issuer.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await startScene({ alg: 'EdDSA' });
});
afterAll(() => scene.stop());

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';

test('a token with any character changed, added or taken away is refused', async () => {
  const token = await signToken(scene.key, scene.claims());
  expect(causeOf(await scene.authenticate(token))).toBe('accepted acme/idp:alice');
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: token.length - 1 }),
      fc.nat({ max: 1 }),
      fc.constantFrom('', ...ALPHABET.split(''), '=', ' ', '\n', 'é'),
      async (at, taken, put) => {
        const changed = token.slice(0, at) + put + token.slice(at + taken);
        fc.pre(changed !== token);
        const { caller, refusal } = await scene.authenticate(changed);
        expect(caller).toBeUndefined();
        expect(refusal?.code).toBe('UNAUTHENTICATED');
      },
    ),
    { numRuns: 400 },
  );
});

test('whatever is sent as a token, it is refused and nothing is thrown', async () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.base64String(), { maxLength: 6 }).map(parts => parts.join('.')),
    fc.tuple(fc.json(), fc.json()).map(([head, body]) => `${base64(head)}.${base64(body)}.AA`),
    fc
      .record({
        alg: fc.constantFrom('EdDSA', 'none', 'HS256', 'ES256'),
        typ: fc.constant('at+jwt'),
        kid: fc.string(),
      })
      .map(head => `${base64(JSON.stringify(head))}.${base64(JSON.stringify(scene.claims()))}.AA`),
  );
  await fc.assert(
    fc.asyncProperty(texts, async text => {
      expect((await scene.authenticate(text)).caller).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});

function hasEscapedKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, item]) => JSON.stringify(key) !== `"${key}"` || hasEscapedKey(item),
  );
}

test('strict JSON reads what JSON.parse reads, where keys differ and depth is small', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), value => {
      const text = JSON.stringify(value);
      const plain: unknown = JSON.parse(text);
      const read = parseStrictObject(text);
      if (text.includes('__proto__') || !text.isWellFormed() || /\\ud[89a-f]/i.test(text)) return;
      // no key is taken that is written with an escape
      expect(read).toEqual(hasEscapedKey(plain) ? undefined : plain);
    }),
    { numRuns: 500 },
  );
});

test('strict JSON refuses every object in which a key stands twice, at any depth', () => {
  const key = fc.string({ minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(key, fc.nat({ max: 5 }), fc.boolean(), (name, depth, escaped) => {
      const quoted = JSON.stringify(name);
      const code = name.charCodeAt(0).toString(16).padStart(4, '0');
      const again = escaped ? `"\\u${code}${JSON.stringify(name.slice(1)).slice(1)}` : quoted;
      let text = `{${quoted}:1,${again}:2}`;
      for (let at = 0; at < depth; at += 1) text = at % 2 === 0 ? `{"x":${text}}` : `{"y":[${text}]}`;
      expect(parseStrictObject(text)).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});

test('a text is read as a token at most in one way: its parts are what they encode', () => {
  fc.assert(
    fc.property(fc.base64String({ maxLength: 40 }), fc.base64String({ maxLength: 40 }), (head, tail) => {
      const text = `${head}.${base64('{}')}.${tail}`.replaceAll('=', '');
      const { token } = readToken(text);
      if (token === undefined) return;
      for (const part of text.split('.'))
        expect(Buffer.from(part, 'base64url').toString('base64url')).toBe(part);
    }),
  );
});

test('whatever the claims hold, a principal lies in a tenant of its issuer, and so do its roles and agents', () => {
  const settings = issuerSettingsSchema.parse({
    name: 'idp',
    issuer: 'https://idp.example',
    audiences: ['api'],
    tenants: ['acme', 'globex'],
    tenant: { claim: 'org' },
    id: { first: [{ claim: 'id' }, { join: [{ claim: 'org' }, { claim: 'sub' }], separator: '/' }] },
    roles: [{ claim: 'groups' }],
    delegation: { agent: { claim: 'id' } },
  });
  const [issuer] = resolveIssuers([settings]).issuers.values();
  if (issuer === undefined) throw new Error('no issuer');
  const id = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom(
      'acme/a',
      'globex/a',
      'acme',
      'acme/',
      '/acme/a',
      'acme/../globex/a',
      'acmeX/a',
      'initech/a',
    ),
  );
  const groups = fc.array(id, { maxLength: 5 });
  const anything = fc.record(
    {
      org: fc.oneof(fc.constantFrom('acme', 'globex', 'initech', 'Acme', ''), fc.string()),
      sub: id,
      id: fc.oneof(id, fc.jsonValue({ maxDepth: 1 })),
      groups,
      act: fc.record({ id }),
    },
    { requiredKeys: [] },
  );
  /** Of anything one in a hundred has a principal: of these about one in eight. */
  const mostly = fc.record(
    { org: fc.constantFrom('acme', 'globex'), sub: id, groups, act: fc.record({ id }) },
    { requiredKeys: ['org', 'sub'] },
  );
  const claims = fc.oneof(anything, mostly);
  let mapped = 0;
  fc.assert(
    fc.property(claims, given => {
      const text = JSON.stringify(given);
      const read = parseStrictObject(text);
      if (read === undefined) return;
      const { value } = mapPrincipal(issuer, read);
      if (value === undefined) return;
      mapped += 1;
      const { principal, tenant, roles, actors } = value;
      expect(['acme', 'globex']).toContain(tenant);
      for (const one of [principal.id, ...roles, ...(actors?.chain ?? [])]) {
        expect(one.startsWith(`${tenant}/`)).toBe(true);
        expect(ID_PATTERN.test(one)).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
  expect(mapped).toBeGreaterThan(100);
});

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}
