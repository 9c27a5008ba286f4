/** A token issuer on a real loopback socket, with keys of its own and every way to misbehave. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface TestIssuer {
  /** Also its `iss`. */
  readonly url: string;
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Keys that it publishes. */
  published: readonly JWK[];
  /** Answers by path; a path without one gets the usual answer. */
  readonly handlers: Map<string, Handler>;
  /** Requests so far, by path. */
  readonly asked: Map<string, number>;
  stop(): Promise<void>;
}

export async function makeKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export async function startIssuer(published: readonly JWK[]): Promise<TestIssuer> {
  const handlers = new Map<string, Handler>();
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const handler = handlers.get(path) ?? usual(issuer);
      handler(request, response, Buffer.concat(chunks).toString('utf8'));
    });
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const host = `127.0.0.1:${portOf(server.address())}`;
  const issuer: TestIssuer = {
    url: `http://${host}`,
    host,
    published,
    handlers,
    asked,
    stop: () =>
      new Promise<void>(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return issuer;
}

export const DISCOVERY = '/.well-known/openid-configuration';
export const JWKS = '/jwks';

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

function usual(issuer: TestIssuer): Handler {
  return (request, response) => {
    if (request.url === DISCOVERY) json(response, { issuer: issuer.url, jwks_uri: `${issuer.url}${JWKS}` });
    else if (request.url === JWKS) json(response, { keys: issuer.published });
    else json(response, { error: 'not_found' }, 404);
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

/** A token of any content: the texts are signed as they are. */
export async function signTexts(key: SigningKey, header: string, claims: string): Promise<string> {
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = await rawSignature(key, input);
  return `${input}.${signature}`;
}

/** A signed token. Members that are undefined are left out. */
export async function signToken(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const full = { alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header };
  return signTexts(key, JSON.stringify(full), JSON.stringify(claims));
}

export function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

/** A signature over `input` by the key's own algorithm, whatever the header says. */
async function rawSignature({ alg, privateKey }: SigningKey, input: string): Promise<string> {
  const bytes = await crypto.subtle.sign(parametersOf(alg), privateKey, Buffer.from(input, 'ascii'));
  return Buffer.from(bytes).toString('base64url');
}

function parametersOf(alg: string) {
  const hash = `SHA-${alg.slice(2)}`;
  if (alg === 'EdDSA') return { name: 'Ed25519' };
  if (alg.startsWith('ES')) return { name: 'ECDSA', hash };
  if (alg.startsWith('PS')) return { name: 'RSA-PSS', hash, saltLength: Number(alg.slice(2)) / 8 };
  return { name: 'RSASSA-PKCS1-v1_5', hash };
}

/** A DPoP proof. */
export async function signProof(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { kty, crv, x, y, n, e } = key.jwk;
  const jwk = Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  );
  const full = { alg: key.alg, typ: 'dpop+jwt', jwk, ...header };
  return signTexts(key, JSON.stringify(full), JSON.stringify(claims));
}

/** What jose itself would make of the same, to see that the builder above agrees with it. */
export function signWithJose(key: SigningKey, claims: object): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims), 'utf8'))
    .setProtectedHeader({ alg: key.alg, typ: 'at+jwt', kid: key.kid })
    .sign(key.privateKey);
}
