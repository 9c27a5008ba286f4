/** Tokens of a bad form or with a bad header, each with the reason for which it is refused. */
import { createHmac, createPublicKey } from 'node:crypto';
import { HEADER, makers, nested, type Row, type RowScene } from './hostile-rows.ts';
import { encode, type SigningKey, signToken } from './test-issuer.ts';

/**
 * The rows over a scene that stands when they are run.
 * @param foreign a key of nobody's, under the `kid` of the issuer's @param rsa a key of the issuer's called `r1`
 */
export function formRows(
  scene: () => RowScene,
  foreign: () => SigningKey,
  rsa: () => SigningKey,
): { readonly form: readonly Row[]; readonly headers: readonly Row[] } {
  const { claimsText, good, withClaims, withHeader, texts, unsigned } = makers(scene);

  /** HMAC under a text that an attacker knows. */
  async function hmacToken(secret: string | Buffer, header: Record<string, unknown> = {}): Promise<string> {
    const input = `${encode(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: 'k1', ...header }))}.${encode(claimsText())}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  }

  function pem(key: SigningKey): string {
    return createPublicKey({ key: { ...key.jwk }, format: 'jwk' })
      .export({ type: 'spki', format: 'pem' })
      .toString();
  }

  const form: readonly Row[] = [
    ['the empty text', 'malformed', () => ''],
    ['one part', 'malformed', () => 'abc'],
    ['two parts', 'malformed', async () => (await good()).split('.').slice(0, 2).join('.')],
    ['four parts', 'malformed', async () => `${await good()}.AAAA`],
    ['five parts, as an encrypted token', 'malformed', () => 'a.b.c.d.e'],
    ['a trailing dot', 'malformed', async () => `${await good()}.`],
    ['an empty signature', 'malformed', async () => `${(await good()).split('.').slice(0, 2).join('.')}.`],
    ['an empty header', 'malformed', async () => `.${(await good()).split('.').slice(1).join('.')}`],
    ['a space before', 'malformed', async () => ` ${await good()}`],
    ['a line end after', 'malformed', async () => `${await good()}\n`],
    ['padding', 'malformed', async () => `${await good()}=`],
    ['the alphabet of plain base64', 'malformed', async () => (await good()).replace(/\.[^.]*$/, '.ab+/')],
    ['a signature with stray bits', 'malformed', () => `${encode(HEADER)}.${encode(claimsText())}.AB`],
    ['a NUL in the middle', 'malformed', async () => (await good()).replace('.', '.\0')],
    ['a fullwidth letter', 'malformed', async () => (await good()).replace('.', '.Ａ')],
    ['more than 8 KB', 'too_long', withClaims({ filler: 'x'.repeat(8192) })],
    ['a header that is no JSON', 'malformed', texts(() => 'alg=none', claimsText)],
    ['a header that is a list', 'malformed', texts(() => '["ES256"]', claimsText)],
    ['a header with a byte order mark', 'malformed', texts(() => `\uFEFF${HEADER}`, claimsText)],
    [
      'claims that are a text',
      'malformed',
      texts(
        () => HEADER,
        () => '"claims"',
      ),
    ],
    [
      'claims that are null',
      'malformed',
      texts(
        () => HEADER,
        () => 'null',
      ),
    ],
    [
      'claims that are not UTF-8',
      'malformed',
      () => `${encode(HEADER)}.${Buffer.from([123, 34, 255, 34, 125]).toString('base64url')}.AA`,
    ],
    [
      'claims with a half surrogate',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace('alice', '\\ud800'),
      ),
    ],
    ['claims nested 50 deep', 'malformed', withClaims({ deep: nested(50) })],
    [
      '`alg` twice',
      'malformed',
      texts(() => '{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"k1"}', claimsText),
    ],
    [
      '`sub` twice',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace('{', '{"sub":"admin",'),
      ),
    ],
    [
      '`sub` twice, once escaped',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace('{', '{"s\\u0075b":"admin",'),
      ),
    ],
    [
      '`__proto__` in the claims',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace('{', '{"__proto__":{"sub":"x"},'),
      ),
    ],
    [
      'an infinite time',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace(/"exp":\d+/, '"exp":1e999'),
      ),
    ],
    [
      'a trailing comma',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace(/\}$/, ',}'),
      ),
    ],
    [
      'NaN',
      'malformed',
      texts(
        () => HEADER,
        () => claimsText().replace(/"exp":\d+/, '"exp":NaN'),
      ),
    ],
  ];

  const headers: readonly Row[] = [
    ['`alg` none', 'algorithm', unsigned('none')],
    ['`alg` None', 'algorithm', unsigned('None')],
    ['`alg` nOnE', 'algorithm', unsigned('nOnE')],
    ['`alg` empty', 'algorithm', unsigned('')],
    ['`alg` null', 'algorithm', unsigned(null)],
    ['`alg` a list', 'algorithm', unsigned(['ES256'])],
    ['`alg` a number', 'algorithm', unsigned(256)],
    ['`alg` in lower case', 'algorithm', unsigned('es256')],
    ['`alg` with a space', 'algorithm', unsigned('ES256 ')],
    ['`alg` absent', 'algorithm', () => `${encode('{"typ":"at+jwt"}')}.${encode(claimsText())}.AA`],
    ['`alg` of a prototype', 'algorithm', unsigned('constructor')],
    ['HS256 under the public key as PEM', 'algorithm', () => hmacToken(pem(scene().key))],
    ['HS256 under the public key of RSA', 'algorithm', () => hmacToken(pem(rsa()), { kid: 'r1' })],
    ['HS256 under the public key as JWK', 'algorithm', () => hmacToken(JSON.stringify(scene().key.jwk))],
    ['HS256 under the empty secret', 'algorithm', () => hmacToken('')],
    [
      'HS256 under a symmetric key that the issuer published',
      'algorithm',
      () => hmacToken('a shared secret of thirty-two bytes!', { kid: 'oct1' }),
    ],
    ['HS512', 'algorithm', unsigned('HS512')],
    ['an algorithm of encryption', 'algorithm', unsigned('RSA-OAEP')],
    ['an algorithm that is not configured', 'algorithm', withHeader({ alg: 'ES512' })],
    ['`typ` of an ID token', 'type', withHeader({ typ: 'JWT' })],
    ['`typ` absent', 'type', withHeader({ typ: undefined })],
    ['`typ` of a proof', 'type', withHeader({ typ: 'dpop+jwt' })],
    ['`typ` of a logout token', 'type', withHeader({ typ: 'logout+jwt' })],
    ['`typ` a number', 'header', withHeader({ typ: 1 })],
    ['`crit`', 'header', withHeader({ crit: ['exp'], exp: 1 })],
    ['an empty `crit`', 'header', withHeader({ crit: [] })],
    ['`b64` false', 'header', withHeader({ b64: false, crit: ['b64'] })],
    ['`jku`', 'header', withHeader({ jku: 'https://attacker.example/jwks' })],
    ['`x5u`', 'header', withHeader({ x5u: 'https://attacker.example/cert' })],
    ['`x5c`', 'header', withHeader({ x5c: ['MIIB'] })],
    [
      '`jwk` with the key that signed',
      'header',
      () => signToken(foreign(), scene().claims(), { jwk: foreign().jwk }),
    ],
    ['`cty` of a nested token', 'header', withHeader({ cty: 'JWT' })],
    ['`zip`', 'header', withHeader({ zip: 'DEF' })],
    ['`enc`', 'header', withHeader({ enc: 'A256GCM' })],
    ['`kid` a number', 'header', withHeader({ kid: 1 })],
    ['`kid` an object', 'header', withHeader({ kid: { $ne: null } })],
    ['`kid` empty', 'header', withHeader({ kid: '' })],
    ['`kid` of 2 KB', 'header', withHeader({ kid: 'k'.repeat(2048) })],
  ];
  return { form, headers };
}
