/** What a check hands on beside the decision: the certificate that a token is bound to, and the trace of the gateway. */
import { createHash } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ProfileRegistry } from '../../../src/identity/pep-profiles/profile-registry.ts';
import { pepProfilesSchema } from '../../../src/domain/pep-profile.ts';
import type { PresentedCredential } from '../../../src/domain/presented-credential.ts';
import { certificateDigest } from '../../../src/edge/grpc/peer-certificate.ts';
import { type GrpcServer, listenGrpc } from '../../../src/edge/grpc/server.ts';
import { PROCESS_TIMERS } from '../../../src/wiring/anchors.ts';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { callWith, checkRequest, type Described, envoyJudges } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';

const PROFILES: readonly PepProfileInput[] = [
  { name: 'verify', kind: 'envoy', identity: { mode: 'verify' }, dialects: ['openai'], body: 'whole' },
  { name: 'envoy', kind: 'envoy', identity: ASSERTS, dialects: ['openai'], body: 'whole' },
];
const DER = Buffer.from('not parsed here: its digest is all that counts');
const PEM = `-----BEGIN CERTIFICATE-----\n${DER.toString('base64')}\n-----END CERTIFICATE-----\n`;
const DIGEST = createHash('sha256').update(DER).digest('hex');
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER_TRACE = '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('the digest of a certificate', () => {
  test.each([
    ['percent-encoded, as Envoy does it', encodeURIComponent(PEM), DIGEST],
    ['with others behind it', encodeURIComponent(PEM + PEM.replace('not', 'nut')), DIGEST],
    ['as it is', PEM.replaceAll('+', '%2B'), DIGEST],
    ['nothing', '', undefined],
    ['another kind of PEM', encodeURIComponent(PEM.replaceAll('CERTIFICATE', 'PUBLIC KEY')), undefined],
    ['a text before it', encodeURIComponent(`x${PEM}`), undefined],
    ['no end', encodeURIComponent(PEM.slice(0, -10)), undefined],
    ['half an escape', `${encodeURIComponent(PEM)}%2`, undefined],
    ['more than any certificate', encodeURIComponent(PEM).padEnd(70_000, '%20'), undefined],
  ])('%s', (_, certificate, digest) => {
    expect(certificateDigest(certificate)).toBe(digest);
  });
});

describe('a check', () => {
  let scene: CheckScene;
  let server: GrpcServer;
  let client: Client;
  const presented: PresentedCredential[] = [];

  beforeAll(async () => {
    scene = await startCheckScene(PROFILES);
    const services = {
      ...scene.service.running.services,
      callers: {
        authenticate(credential: PresentedCredential) {
          presented.push(credential);
          const refusal = { code: 'UNAUTHENTICATED', cause: 'malformed', message: 'not accepted' } as const;
          return Promise.resolve({ refusal });
        },
      },
    };
    server = await listenGrpc(services, {
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
      maxConnections: 100,
      maxMessageBytes: 1024 * 1024,
      maxConcurrentStreams: 10,
      timeoutMs: 10_000,
      protoFolder: 'schema/protos',
      pepProfiles: new ProfileRegistry(pepProfilesSchema.parse(PROFILES)),
      logSampleRate: 1,
      timers: PROCESS_TIMERS,
    });
    client = new Client(server.address, credentials.createInsecure());
  });
  afterAll(async () => {
    client.close();
    await server.close(0);
    await scene.stop();
  });

  const ask = (profile: string, described: Partial<Described>, metadata: Record<string, string> = {}) =>
    callWith(
      client,
      checkRequest({
        path: CHAT,
        body: chatOf('acme/support-llm'),
        extensions: { duramen_profile: profile },
        ...described,
      }),
      { authorization: `Bearer ${scene.key}`, ...metadata },
    );

  test('has a token verified together with the certificate of its client', async () => {
    const headers = [
      ['content-type', 'application/json'],
      ['authorization', 'Bearer a.b.c'],
    ] as const;
    await ask('verify', { headers, certificate: encodeURIComponent(PEM) });
    await ask('verify', { headers });
    await ask('verify', { headers: [...headers, ['x-client-cert', encodeURIComponent(PEM)]] });
    expect(presented).toEqual([
      { kind: 'jwt', token: 'a.b.c', certificate: DIGEST },
      { kind: 'jwt', token: 'a.b.c' },
      { kind: 'jwt', token: 'a.b.c' },
    ]);
  });

  test.each([
    ['of the gateway', [], { traceparent: TRACE }, TRACE],
    ['of the client where the gateway has none', [['traceparent', TRACE]], {}, TRACE],
    [
      'of the gateway before that of the client',
      [['traceparent', OTHER_TRACE]],
      { traceparent: TRACE },
      TRACE,
    ],
    ['that is none', [['traceparent', 'x']], {}, undefined],
    [
      'of two',
      [
        ['traceparent', TRACE],
        ['traceparent', OTHER_TRACE],
      ],
      {},
      undefined,
    ],
  ] satisfies [string, (readonly [string, string])[], Record<string, string>, string | undefined][])(
    'is logged with the trace %s',
    async (_, headers, metadata, trace) => {
      const described = { headers: [...ALICE, ...headers], form: 'list' } as const;
      const verdict = envoyJudges(await ask('envoy', described, metadata), []);
      const [id] = verdict.passes ? (verdict.headers.get('x-duramen-decision-id') ?? []) : [];
      const entry = await scene.service.call('GET', `/v1/decisions/${id ?? ''}`);
      expect(entry.status).toBe(200);
      expect(entry.text.includes(`"trace":"${trace ?? ''}`)).toBe(trace !== undefined);
    },
  );
});
