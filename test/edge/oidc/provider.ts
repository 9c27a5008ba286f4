/** An OpenID provider that nobody here wrote, on a real loopback socket: discovery, keys, tokens, introspection. */
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { type Configuration, Provider } from 'oidc-provider';
import { z } from 'zod';

export const AUDIENCE = 'https://duramen.example';
/** A resource whose tokens are opaque. */
export const OPAQUE_AUDIENCE = 'https://opaque.duramen.example';
/** A resource that is not ours. */
export const OTHER_AUDIENCE = 'https://other.example';
const SECRET = 'secret-of-a-client-that-is-long-enough';
/** In place of the client's certificate in a TLS handshake, which a plain socket has not. */
const CERTIFICATE_HEADER = 'x-test-certificate';
const tokenAnswer = z.looseObject({ access_token: z.string(), token_type: z.string() });

export interface TokenOptions {
  readonly resource?: string;
  readonly client?: string;
  readonly scope?: string;
  /** A DPoP proof for the token endpoint. */
  readonly dpop?: string;
  /** PEM of the certificate that the token is to be bound to. */
  readonly certificate?: string;
}

export interface OidcProvider {
  /** Its `iss`. */
  readonly url: string;
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly secret: string;
  readonly tokenEndpoint: string;
  /** An access token by the client credentials grant. */
  token(options?: TokenOptions): Promise<string>;
  revoke(token: string): Promise<void>;
  /** Signs with a new key; the old one is published no more unless `keepOld`. */
  rotate(keepOld: boolean): Promise<void>;
  /** Takes no connections, as when it is down. */
  stop(): Promise<void>;
}

/** Starts it. The clients are `alice` and `bob`, and `pdp`, which introspects. */
export async function startProvider(): Promise<OidcProvider> {
  let keys = [await makeKey(1)];
  let generation = 1;
  let handle: ReturnType<Provider['callback']> | undefined;
  const server = createServer((request, response) => {
    if (handle === undefined) response.destroy();
    else void handle(request, response);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the provider has no port');
  const host = `127.0.0.1:${address.port}`;
  const url = `http://${host}`;
  const serve = (): void => {
    handle = new Provider(url, configuration(keys)).callback();
  };
  serve();
  const post = (
    path: string,
    client: string,
    form: Record<string, string>,
    headers: Record<string, string> = {},
  ) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: new URLSearchParams(form).toString(),
    });
  return {
    url,
    host,
    secret: SECRET,
    tokenEndpoint: `${url}/token`,
    async token({ resource = AUDIENCE, client = 'alice', scope = 'model:invoke', dpop, certificate } = {}) {
      const headers = {
        ...(dpop === undefined ? {} : { dpop }),
        ...(certificate === undefined ? {} : { [CERTIFICATE_HEADER]: encodeURIComponent(certificate) }),
      };
      const name = certificate === undefined ? client : `${client}-tls`;
      const reply = await post(
        '/token',
        name,
        { grant_type: 'client_credentials', resource, scope },
        headers,
      );
      const text = await reply.text();
      if (!reply.ok) throw new Error(`the provider gave no token: ${text}`);
      return tokenAnswer.parse(JSON.parse(text)).access_token;
    },
    async revoke(token) {
      const reply = await post('/token/revocation', 'alice', { token });
      if (!reply.ok) throw new Error(`the provider revoked nothing: ${await reply.text()}`);
    },
    async rotate(keepOld) {
      generation += 1;
      const fresh = await makeKey(generation);
      keys = keepOld ? [fresh, ...keys] : [fresh];
      serve();
    },
    stop: () =>
      new Promise<void>(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function makeKey(generation: number): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: `key-${generation}`, use: 'sig', alg: 'ES256' };
}

function configuration(keys: readonly JWK[]): Configuration {
  const machine = {
    client_secret: SECRET,
    id_token_signed_response_alg: 'ES256' as const,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  };
  return {
    jwks: { keys: [...keys] },
    clients: [
      { ...machine, client_id: 'alice' },
      { ...machine, client_id: 'bob' },
      { ...machine, client_id: 'pdp' },
      { ...machine, client_id: 'alice-tls', tls_client_certificate_bound_access_tokens: true },
    ],
    scopes: ['model:invoke'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_context, client) => client.clientId === 'pdp' },
      revocation: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: ({ headers }) => {
          const header = headers[CERTIFICATE_HEADER];
          return typeof header === 'string' ? decodeURIComponent(header) : undefined;
        },
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'model:invoke',
          audience: resource,
          accessTokenTTL: 600,
          ...(resource === OPAQUE_AUDIENCE
            ? { accessTokenFormat: 'opaque' as const }
            : { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg: 'ES256' as const } } }),
        }),
      },
    },
  };
}
