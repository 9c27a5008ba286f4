/** Documents over TLS with real certificates: the chain and the name of the host are checked, always. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('./read-document.ts', import.meta.url));
/** Makes the certificates of this test. */
const OPENSSL = 'openssl';
let folder: string;
let server: Server;
let port: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const options = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=idp';
  const files = ['-keyout', key, '-out', cert, '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(OPENSSL, options.split(' ').concat(files), { stdio: 'ignore' });
  server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":[]}');
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise(resolve => server.close(resolve));
  rmSync(folder, { recursive: true });
});

async function read(host: string, trusted: boolean): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    ...(trusted ? { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') } : {}),
  };
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, `https://${host}:${port}/jwks`], {
    env,
  });
  return stdout;
}

test('a document of a host whose certificate is trusted and names it is read', async () => {
  expect(await read('localhost', true)).toBe('{"keys":[]}');
});

test('a certificate that nobody trusts is refused', async () => {
  expect(await read('localhost', false)).toMatch(/^refused: .*self-signed/);
});

test('a certificate of another name is refused', async () => {
  expect(await read('127.0.0.1', true)).toMatch(/^refused: .*does not match/);
});
