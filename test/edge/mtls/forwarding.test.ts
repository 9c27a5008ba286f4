/** Certificates that proxies forward: believed from listed ones over mTLS, verified again, refused from others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Issued, makeAuthority } from '../../identity/certificates/forge.ts';
import { ADMIN_KEY } from '../service.ts';
import { type Ask, failureCauses, type Scene, startScene, until } from './scene.ts';

const DAY_MS = 86_400_000;
const proxies = makeAuthority({ subject: 'CN=proxies ca' });
const clients = makeAuthority({ subject: 'CN=clients ca' });
const FORMATS = ['xfcc', 'nginx', 'traefik', 'haproxy'] as const;
type Format = (typeof FORMATS)[number];

const proxy = Object.fromEntries(
  FORMATS.map(name => [name, proxies.issue({ dns: [`${name}.acme.example`] })]),
);
const plain = proxies.issue({ dns: ['plain.acme.example'] });
const twice = proxies.issue({ dns: ['twice.acme.example'] });
const robot = clients.issue({ dns: ['robot.acme.example'] });
const nobody = clients.issue({ dns: ['nobody.acme.example'] });

const AUTHORITIES = [
  { name: 'proxies', ca: ['{folder}/proxies.pem'] },
  { name: 'clients', ca: ['{folder}/clients.pem'] },
];
const RULES = [
  ...FORMATS.map(format => ({
    name: `proxy-${format}`,
    authority: 'proxies',
    match: { dns: `${format}.acme.example` },
    proxy: { format, authorities: ['clients'] },
  })),
  {
    name: 'proxy-twice',
    authority: 'proxies',
    match: { dns: 'twice.acme.example' },
    proxy: { format: 'xfcc', hops: 2, authorities: ['clients'] },
  },
  {
    name: 'plain',
    authority: 'proxies',
    match: { dns: 'plain.acme.example' },
    credential: { roles: ['auditor'] },
  },
  {
    name: 'robot',
    authority: 'clients',
    match: { dns: 'robot.acme.example' },
    credential: { roles: ['auditor'] },
  },
];
const path = '/v1/status';
let scene: Scene;

beforeAll(async () => {
  scene = await startScene({
    files: {
      'proxies.pem': proxies.pem,
      'clients.pem': clients.pem,
      'proxies.crl': proxies.revoke([]),
      'clients.crl': clients.revoke([]),
    },
    env: {
      DURAMEN_TLS_CLIENT_CERTIFICATES: 'optional',
      DURAMEN_TLS_CLIENT_AUTHORITIES: 'proxies',
      DURAMEN_IDENTITY_AUTHORITIES: JSON.stringify(AUTHORITIES),
      DURAMEN_IDENTITY_CERTIFICATES: JSON.stringify(RULES),
      DURAMEN_IDENTITY_REVOCATION_LISTS: '{folder}/proxies.crl,{folder}/clients.crl',
      DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: '100000',
    },
  });
});
afterAll(() => scene.stop());

function headersOf(format: Format, { pem, der }: Issued): Record<string, string> {
  const escaped = encodeURIComponent(pem);
  const bare = der.toString('base64');
  return {
    xfcc: { 'x-forwarded-client-cert': `By=spiffe://x/y;Cert="${escaped}";Subject="CN=client"` },
    nginx: { 'x-ssl-client-verify': 'SUCCESS', 'x-ssl-client-cert': escaped },
    traefik: { 'x-forwarded-tls-client-cert': encodeURIComponent(bare) },
    haproxy: { 'x-ssl-client-verify': '0', 'x-ssl-client-cert': bare },
  }[format];
}

const through = (format: Format, certificate: Issued): Ask => ({
  path,
  client: proxy[format],
  headers: headersOf(format, certificate),
});

describe('a certificate that a listed proxy forwards', () => {
  test.each(FORMATS)('is who asks, over %s', async format => {
    expect((await scene.ask(through(format, robot))).status).toBe(200);
  });

  const stranger = makeAuthority({ subject: 'CN=stranger ca' });
  const BAD: Readonly<Record<string, readonly [cause: string, certificate: () => Issued]>> = {
    'has no rule': ['certificate_unmapped', () => nobody],
    'is of an unknown CA': ['certificate_untrusted', () => stranger.issue({ dns: ['robot.acme.example'] })],
    'is of an authority that this proxy does not speak for': ['certificate_untrusted', () => plain],
    'has expired': [
      'certificate_expired',
      () => clients.issue({ dns: ['robot.acme.example'], notAfter: Date.now() - DAY_MS }),
    ],
    'is for nothing': [
      'certificate_usage',
      () => clients.issue({ dns: ['robot.acme.example'], extendedKeyUsage: [] }),
    ],
  };
  for (const format of FORMATS) {
    test.each(Object.entries(BAD))(`is refused over ${format} when it %s`, async (_, [cause, make]) => {
      expect((await scene.ask(through(format, make()))).status).toBe(401);
      await until('the cause is logged', async () => (await failureCauses(scene)).includes(cause));
    });
  }

  test('is refused when it is revoked, on the next request', async () => {
    const client = clients.issue({ dns: ['robot.acme.example'] });
    expect((await scene.ask(through('xfcc', client))).status).toBe(200);
    scene.write('clients.crl', clients.revoke([client.serial]));
    scene.running.reloadCertificates();
    expect((await scene.ask(through('xfcc', client))).status).toBe(401);
    scene.write('clients.crl', clients.revoke([]));
    scene.running.reloadCertificates();
  });

  test('makes nobody a proxy', async () => {
    const forwarded = proxies.issue({ dns: ['nginx.acme.example'] });
    const headers = { ...headersOf('xfcc', forwarded) };
    expect((await scene.ask({ path, client: proxy['xfcc'], headers })).status).toBe(401);
  });

  test('may be absent: then a key is needed, and the proxy itself is nobody', async () => {
    expect((await scene.ask({ path, client: proxy['xfcc'] })).status).toBe(401);
    expect((await scene.ask({ path, client: proxy['xfcc'], key: ADMIN_KEY })).status).toBe(200);
  });

  test('is taken from as many proxies away as are trusted, and from no further', async () => {
    const mine = headersOf('xfcc', robot)['x-forwarded-client-cert'] ?? '';
    const theirs = headersOf('xfcc', nobody)['x-forwarded-client-cert'] ?? '';
    const ask = async (value: string, client: Issued | undefined): Promise<number> =>
      (await scene.ask({ path, client, headers: { 'x-forwarded-client-cert': value } })).status;
    expect(await ask(`${mine},${theirs}`, twice)).toBe(200);
    expect(await ask(`${theirs},${mine}`, twice)).toBe(401);
    expect(await ask(`${mine},${theirs}`, proxy['xfcc'])).toBe(401);
    expect(await ask(mine, twice)).toBe(401);
  });
});

describe('headers with certificates', () => {
  const SPOOFED: Readonly<Record<string, () => Ask>> = {
    'from a client without a certificate': () => ({ headers: headersOf('xfcc', robot) }),
    'from a client without a certificate, beside a key': () => ({
      headers: headersOf('xfcc', robot),
      key: ADMIN_KEY,
    }),
    'from a client that is no proxy': () => ({ headers: headersOf('xfcc', robot), client: plain }),
    'of nginx from Envoy': () => ({ headers: headersOf('nginx', robot), client: proxy['xfcc'] }),
    'of Envoy through nginx, which lets them pass': () => ({
      headers: { ...headersOf('nginx', robot), ...headersOf('xfcc', robot) },
      client: proxy['nginx'],
    }),
    'in two lines': () => ({
      headers: {
        'x-forwarded-client-cert': [headersOf('xfcc', robot), headersOf('xfcc', robot)].map(
          one => one['x-forwarded-client-cert'] ?? '',
        ),
      },
      client: proxy['xfcc'],
    }),
    'with a verdict that failed': () => ({
      headers: { ...headersOf('nginx', robot), 'x-ssl-client-verify': 'FAILED:x' },
      client: proxy['nginx'],
    }),
    'without the certificate': () => ({
      headers: { 'x-forwarded-client-cert': 'URI=spiffe://acme.example/robot' },
      client: proxy['xfcc'],
    }),
    'that hold no certificate': () => ({
      headers: { 'x-forwarded-client-cert': 'Cert="x"' },
      client: proxy['xfcc'],
    }),
    'that the `Connection` header would hide': () => ({
      headers: { ...headersOf('xfcc', robot), connection: 'close, x-forwarded-client-cert' },
      client: plain,
    }),
  };
  test.each(Object.entries(SPOOFED))('are refused %s', async (_, make) => {
    const { status, text } = await scene.ask({ path, ...make() });
    expect(status).toBe(401);
    expect(text).toContain('is not accepted from this connection');
  });

  test('open nothing on a connection of the forwarded client itself', async () => {
    // its CA is no CA of the listener
    expect((await scene.ask({ path, client: robot })).status).toBe(401);
  });

  test('leave nothing of the certificate in answers and log lines', async () => {
    const { text } = await scene.ask(through('xfcc', nobody));
    const body = nobody.der.toString('base64').slice(80, 140);
    expect(text + scene.logLines.join('\n')).not.toContain(body);
  });
});
