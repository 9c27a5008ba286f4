/** Tokens with a bad key, signature or claim, each with the reason for which it is refused. */
import { AUDIENCE } from './authentication-scene.ts';
import { makers, type Row, type RowScene } from './hostile-rows.ts';
import { encode, type SigningKey, signToken } from './test-issuer.ts';

/**
 * The rows over a scene that stands when they are run.
 * @param foreign a key of nobody's, under the `kid` of the issuer's
 * @param bare a key of the issuer's called `b1`, published without its algorithm
 */
export function claimRows(
  scene: () => RowScene,
  foreign: () => SigningKey,
  bare: () => SigningKey,
): { readonly keys: readonly Row[]; readonly claims: readonly Row[] } {
  const { now, good, withClaims, withHeader } = makers(scene);

  const keys: readonly Row[] = [
    ['`kid` unknown', 'unknown_key', withHeader({ kid: 'k2' })],
    ['`kid` a path', 'unknown_key', withHeader({ kid: '../../../../dev/null' })],
    ['`kid` an address', 'unknown_key', withHeader({ kid: 'https://attacker.example/k1' })],
    ['`kid` SQL', 'unknown_key', withHeader({ kid: "k1' OR '1'='1" })],
    ['`kid` in other case', 'unknown_key', withHeader({ kid: 'K1' })],
    ['`kid` with a space', 'unknown_key', withHeader({ kid: 'k1 ' })],
    ['`kid` of a prototype', 'unknown_key', withHeader({ kid: '__proto__' })],
    ['the key of another algorithm', 'unknown_key', withHeader({ kid: 'r1' })],
    ['a key for encryption', 'unknown_key', withHeader({ kid: 'enc1' })],
    ['a key that may not verify', 'unknown_key', withHeader({ kid: 'ops1' })],
    [
      'RS256 with a key that says PS256 by nobody',
      'signature',
      () => signToken(bare(), scene().claims(), { alg: 'RS256', kid: 'b1' }),
    ],
    ['a foreign key under the right `kid`', 'signature', () => signToken(foreign(), scene().claims())],
    [
      'a foreign key without `kid`',
      'signature',
      () => signToken(foreign(), scene().claims(), { kid: undefined }),
    ],
    ['RS256 signed by an ECDSA key', 'signature', withHeader({ alg: 'RS256', kid: 'r1' })],
    [
      'a signature of zeros',
      'signature',
      async () => `${(await good()).replace(/\.[^.]*$/, '')}.${'A'.repeat(86)}`,
    ],
    [
      'a signature in DER',
      'signature',
      async () => `${(await good()).replace(/\.[^.]*$/, '')}.${encode('0E\x02!\x00'.repeat(10))}`,
    ],
    ['a signature cut short', 'signature', async () => (await good()).slice(0, -2)],
    [
      'claims changed after signing',
      'signature',
      async () =>
        (await good()).replace(/\.[^.]+\./, `.${encode(JSON.stringify(scene().claims({ sub: 'admin' })))}.`),
    ],
    [
      'a header changed after signing',
      'signature',
      async () => (await good()).replace(/^[^.]+/, encode('{"typ":"at+jwt","alg":"ES256","kid":"k1"}')),
    ],
    [
      'the signature of another token',
      'signature',
      async () => {
        const other = await signToken(scene().key, scene().claims({ sub: 'bob' }));
        return `${(await good()).replace(/\.[^.]*$/, '')}.${other.split('.')[2] ?? ''}`;
      },
    ],
  ];

  const claims: readonly Row[] = [
    ['`iss` absent', 'issuer', withClaims({ iss: undefined })],
    ['`iss` of a stranger', 'issuer', withClaims({ iss: 'https://attacker.example' })],
    [
      '`iss` with a slash more',
      'issuer',
      () => signToken(scene().key, scene().claims({ iss: `${scene().issuer.url}/` })),
    ],
    [
      '`iss` in upper case',
      'issuer',
      () => signToken(scene().key, scene().claims({ iss: scene().issuer.url.toUpperCase() })),
    ],
    [
      '`iss` in a list',
      'issuer',
      () => signToken(scene().key, scene().claims({ iss: [scene().issuer.url] })),
    ],
    ['`iss` of a prototype', 'issuer', withClaims({ iss: '__proto__' })],
    ['`sub` absent', 'claims', withClaims({ sub: undefined })],
    ['`sub` empty', 'claims', withClaims({ sub: '' })],
    ['`sub` a number', 'claims', withClaims({ sub: 7 })],
    ['`sub` of 2 KB', 'claims', withClaims({ sub: 's'.repeat(2048) })],
    ['`sub` that is no id', 'mapping', withClaims({ sub: 'alice smith' })],
    ['`sub` with a quote', 'mapping', withClaims({ sub: 'a"||true||"' })],
    ['`sub` with a look-alike letter', 'mapping', withClaims({ sub: 'аlice' })],
    ['`exp` absent', 'claims', withClaims({ exp: undefined })],
    ['`exp` a text', 'claims', () => signToken(scene().key, scene().claims({ exp: String(now() + 600) }))],
    ['`exp` negative', 'claims', withClaims({ exp: -1 })],
    [
      '`exp` in milliseconds',
      'claims',
      () => signToken(scene().key, scene().claims({ exp: (now() + 600) * 1000 })),
    ],
    ['`iat` absent', 'claims', withClaims({ iat: undefined })],
    ['`iat` null', 'claims', withClaims({ iat: null })],
    ['`nbf` a text', 'claims', withClaims({ nbf: '0' })],
    ['`jti` absent, which RFC 9068 demands', 'requirement', withClaims({ jti: undefined })],
    ['`client_id` absent, which RFC 9068 demands', 'requirement', withClaims({ client_id: undefined })],
    ['`jti` a number', 'claims', withClaims({ jti: 1 })],
    ['`jti` empty', 'claims', withClaims({ jti: '' })],
    [
      'expired',
      'expired',
      () => signToken(scene().key, scene().claims({ iat: now() - 700, exp: now() - 30 })),
    ],
    [
      'expired an hour ago',
      'expired',
      () => signToken(scene().key, scene().claims({ iat: now() - 4200, exp: now() - 3600 })),
    ],
    [
      'issued in the future',
      'not_yet_valid',
      () => signToken(scene().key, scene().claims({ iat: now() + 31, exp: now() + 500 })),
    ],
    ['not yet valid', 'not_yet_valid', () => signToken(scene().key, scene().claims({ nbf: now() + 31 }))],
    [
      'a lifetime of a day',
      'lifetime',
      () => signToken(scene().key, scene().claims({ exp: now() + 86_400 })),
    ],
    [
      'a lifetime one second too long',
      'lifetime',
      () => signToken(scene().key, scene().claims({ exp: now() + 901 })),
    ],
    [
      'an end before its beginning',
      'lifetime',
      () => signToken(scene().key, scene().claims({ iat: now(), exp: now() - 1 })),
    ],
    ['`aud` absent', 'audience', withClaims({ aud: undefined })],
    ['`aud` of another API', 'audience', withClaims({ aud: 'https://other.example' })],
    ['`aud` with a slash more', 'audience', withClaims({ aud: `${AUDIENCE}/` })],
    ['`aud` an empty list', 'audience', withClaims({ aud: [] })],
    ['`aud` a list of others', 'audience', withClaims({ aud: ['https://other.example', 'account'] })],
    ['`aud` a list with a list', 'audience', withClaims({ aud: [[AUDIENCE]] })],
    ['`aud` a list with a number', 'audience', withClaims({ aud: [AUDIENCE, 1] })],
    ['`aud` an object', 'audience', withClaims({ aud: { [AUDIENCE]: true } })],
    ['an ID token with `nonce`', 'id_token', withClaims({ nonce: 'n' })],
    ['an ID token with `at_hash`', 'id_token', withClaims({ at_hash: 'x' })],
    ['`cnf` null', 'binding', withClaims({ cnf: null })],
    ['`cnf` empty', 'binding', withClaims({ cnf: {} })],
    ['`cnf` of a kind that is not understood', 'binding', withClaims({ cnf: { jwk: {} } })],
    ['`cnf` with more than is understood', 'binding', withClaims({ cnf: { jkt: 'a'.repeat(43), kid: 'x' } })],
    ['`jkt` that is no digest', 'binding', withClaims({ cnf: { jkt: 'short' } })],
    ['`cnf.jkt` and no proof', 'proof_missing', withClaims({ cnf: { jkt: 'a'.repeat(43) } })],
    ['`cnf.x5t#S256` and no certificate', 'certificate', withClaims({ cnf: { 'x5t#S256': 'a'.repeat(43) } })],
    ['`act` where nobody may act', 'delegation', withClaims({ act: { sub: 'agent' } })],
    ['`act` null', 'delegation', withClaims({ act: null })],
    [
      '100 scopes',
      'mapping',
      withClaims({ scope: Array.from({ length: 100 }, (_, at) => `s${at}`).join(' ') }),
    ],
  ];
  return { keys, claims };
}
