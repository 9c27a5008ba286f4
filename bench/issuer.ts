/** An issuer of tokens for the benchmark: one key, published on loopback. */
import { createServer } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';

const AUDIENCE = 'https://bench.example';
/** Seconds: as long as the run with these tokens may take, and no longer than issuers may by default. */
const LIFETIME = 900;

export interface BenchIssuer {
  /** Settings of the service that trusts it. */
  readonly env: Readonly<Record<string, string>>;
  token(subject: string): Promise<string>;
  stop(): Promise<void>;
}

/** @param tenants for which it speaks */
export async function startIssuer(tenants: readonly string[]): Promise<BenchIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' }],
  });
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(keys);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the issuer has no port');
  const host = `127.0.0.1:${address.port}`;
  const url = `http://${host}`;
  const issuer = {
    name: 'bench',
    issuer: url,
    jwksUri: `${url}/keys`,
    audiences: [AUDIENCE],
    tenants,
    privateHosts: [host],
    id: { claim: 'sub' },
    tenant: { claim: 'tenant' },
  };
  let count = 0;
  return {
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([issuer]) },
    token: subject => sign(privateKey, url, subject, ++count),
    stop: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function sign(key: CryptoKey, issuer: string, subject: string, count: number): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    tenant: subject.split('/')[0],
    client_id: 'bench',
    scope: 'model:invoke',
    jti: `t${count}`,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(AUDIENCE)
    .setIssuedAt(now)
    .setExpirationTime(now + LIFETIME)
    .sign(key);
}
