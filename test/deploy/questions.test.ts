/**
 * The profiles of deploy/ answer the questions that their gateways ask: gateways that are not at hand are played here by
 * the rules of their documentation, with the headers and the limits that their files name.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { gatewayCatalog } from '../../src/cli/gateway-catalog.ts';
import { type PepProfile, pepProfileSchema } from '../../src/domain/pep-profile.ts';
import { ask, chatOf } from '../edge/ext-authz/asking.ts';
import { callWith, checkRequest, envoyJudges } from '../edge/grpc/envoy.ts';
import { startTestService, type TestService } from '../edge/service.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const CHAT = '/v1/chat/completions';
type Headers = readonly (readonly [string, string])[];

/** A request of a client. */
interface Asked {
  readonly headers: Headers;
  readonly body: string;
  readonly path?: string;
}
/** What comes of it: whether it passes, and the status and the reason that the client is shown. */
interface Answered {
  readonly passes: boolean;
  readonly status: number;
  readonly reason: string;
}
type Player = (asked: Asked) => Promise<Answered>;

let service: TestService;
let client: Client;
let key: string;
let caller: string;

const profiles: readonly PepProfile[] = [...gatewayCatalog().values()]
  .filter(({ testedWith }) => testedWith === undefined)
  .map(({ profile }) => pepProfileSchema.parse(parse(readFileSync(join(DEPLOY, profile), 'utf8'))));

beforeAll(async () => {
  service = await startTestService({ filled: true, env: { DURAMEN_GRPC_LISTEN: '127.0.0.1:0' } });
  // as an operator would: one after the other, over the API
  for (const { name, ...body } of profiles) {
    const { status, text } = await service.call('PUT', `/v1/pep-profiles/${name}`, { body });
    if (status !== 201) throw new Error(`profile ${name}: ${status} ${text}`);
  }
  key = await service.makeKey(['pep']);
  const made = await service.call('POST', '/v1/caller-keys', {
    body: {
      owner: { type: 'User', id: 'acme/alice' },
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    },
  });
  caller = z.object({ key: z.string() }).parse(made.json).key;
  client = new Client(service.running.grpcAddress ?? '', credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await service.stop();
});

/** Envoy over HTTP: the request line and the headers of the client, those that it adds over the client's. */
const overHttp = (profile: string, shows: (name: string) => boolean): Player =>
  asHttp(({ headers, body, path = CHAT }) => ({
    path: `/ext-authz/${profile}${path}`,
    headers: [
      ...headers.filter(([name]) => shows(name) && name !== 'x-duramen-key'),
      ['x-duramen-key', key],
      ['x-envoy-auth-partial-body', 'false'],
    ],
    body,
  }));

/** Gateways that ask at one path, and describe the request in headers. */
const byHeaders = (
  profile: string,
  describeRequest: (asked: Asked) => Headers,
  shows: (name: string) => boolean = () => true,
): Player =>
  asHttp(asked => ({
    path: `/ext-authz/${profile}`,
    headers: [
      ...asked.headers.filter(([name]) => shows(name) && name !== 'x-duramen-key'),
      ...describeRequest(asked),
      ['x-duramen-key', key],
    ],
    body: asked.body,
  }));

function asHttp(question: (asked: Asked) => { path: string; headers: Headers; body: string }): Player {
  return async asked => {
    const reply = await ask(service.url, question(asked));
    const { 'x-duramen-reason': reason = '', 'x-duramen-status': status = '' } = reply.headers;
    return { passes: reply.status === 200, status: reply.status === 200 ? 200 : Number(status), reason };
  };
}

/** Envoy, Envoy Gateway and agentgateway over gRPC: profile and key in the context of the route, or in metadata. */
const overGrpc = (profile: string, isInContext: boolean, isEnvoy = true): Player => {
  return async ({ headers, body, path = CHAT }) => {
    const flag: Headers = isEnvoy ? [['x-envoy-auth-partial-body', 'false']] : [];
    const request = checkRequest({
      path,
      headers: [...headers, ...flag],
      body,
      bodyForm: 'raw',
      form: isEnvoy && !isInContext ? 'list' : 'map',
      ...(isInContext ? { extensions: { duramen_profile: profile, duramen_key: key } } : {}),
    });
    const metadata = isInContext ? {} : { 'x-duramen-key': key, 'x-duramen-profile': profile };
    const verdict = envoyJudges(await callWith(client, request, metadata), headers);
    if (verdict.passes) return { passes: true, status: 200, reason: 'POLICY_ALLOW' };
    return { passes: false, status: verdict.status, reason: verdict.headers.get('x-duramen-reason') ?? '' };
  };
};

const forwarded = ({ path = CHAT }: Asked): Headers => [
  ['x-forwarded-method', 'POST'],
  ['x-forwarded-uri', path],
  ['x-forwarded-host', 'llm.example'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-for', '10.1.2.3'],
];

/** Names that a file lists, with a star at the end of some. */
function listed(file: string, name: string): (header: string) => boolean {
  const text = readFileSync(join(DEPLOY, file), 'utf8');
  const value: unknown = parse(text.split('\n---\n')[0] ?? '');
  const names = z
    .array(z.string())
    .parse(find(value, name))
    .map(one => one.toLowerCase());
  return header =>
    names.some(one => (one.endsWith('*') ? header.startsWith(one.slice(0, -1)) : one === header));
}

function find(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, below] of Object.entries(value)) {
    const found: unknown = key === name ? below : find(below, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const PLAYERS: readonly (readonly [string, () => Player])[] = [
  ['envoy', () => overHttp('envoy', () => true)],
  ['envoy-grpc', () => overGrpc('envoy-grpc', false)],
  ['envoy-gateway', () => overGrpc('envoy-gateway', true)],
  ['envoy-ai-gateway', () => overGrpc('envoy-ai-gateway', true)],
  ['istio', () => overHttp('istio', listed('istio/authorization.yaml', 'includeRequestHeadersInCheck'))],
  ['agentgateway', () => overGrpc('agentgateway', true, false)],
  ['traefik', () => byHeaders('traefik', forwarded)],
  [
    'apisix',
    () =>
      byHeaders(
        'apisix',
        asked => [
          ...forwarded(asked).filter(([name]) => name !== 'x-forwarded-uri'),
          ['x-original-uri', asked.path ?? CHAT],
          ['x-normalized-uri', asked.path ?? CHAT],
          ['x-original-content-length', String(Buffer.byteLength(asked.body))],
        ],
        listed('apisix/apisix.yaml', 'request_headers'),
      ),
  ],
  [
    'kong',
    () =>
      byHeaders('kong', ({ path = CHAT, body }) => [
        ['x-original-method', 'POST'],
        ['x-original-uri', path],
        ['x-original-host', 'llm.example'],
        ['x-original-content-length', String(Buffer.byteLength(body))],
      ]),
  ],
];

test('every profile of a gateway that is not at hand is played, hooks aside', () => {
  const played = new Set(PLAYERS.map(([name]) => name));
  expect(profiles.map(({ name }) => name).filter(name => !played.has(name))).toEqual(['litellm']);
});

describe.each(PLAYERS)('%s', (_name, playerOf) => {
  const own = (): Headers => [
    ['content-type', 'application/json'],
    ['authorization', `Bearer ${caller}`],
  ];
  const body = chatOf('support-llm');

  test('lets pass what is allowed', async () => {
    expect(await playerOf()({ headers: own(), body })).toMatchObject({ passes: true, status: 200 });
  });

  test('knows nobody without a credential, whatever its headers say', async () => {
    const headers: Headers = [
      ['content-type', 'application/json'],
      ['x-user', 'acme/alice'],
    ];
    const answer = await playerOf()({ headers, body });
    expect(answer).toEqual({ passes: false, status: 401, reason: 'UNAUTHENTICATED' });
  });

  test('denies a foreign model, two models, an override of the method and a path with a trap', async () => {
    const play = playerOf();
    const doubled = body.replace('{', '{"model":"globex/demand",');
    const denied = [
      { headers: own(), body: chatOf('globex/demand') },
      { headers: own(), body: doubled },
      { headers: [...own(), ['x-http-method-override', 'DELETE']] as const, body },
      { headers: own(), body, path: '/v1//chat/completions' },
      { headers: own(), body, path: `${CHAT}?model=globex/demand` },
      { headers: own(), body: body.slice(0, 20) },
    ];
    for (const asked of denied) {
      expect(await play(asked)).toMatchObject({ passes: false, status: 403 });
    }
  });
});
