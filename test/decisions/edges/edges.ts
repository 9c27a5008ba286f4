/**
 * Every edge that gateways ask at, and how each describes a client's request. Invariant: an edge either tells all that
 * the request says, or says why it cannot.
 */
import type { Client } from '@grpc/grpc-js';
import { z } from 'zod';
import type { PepKind, PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ask, type Question } from '../../edge/ext-authz/asking.ts';
import { callWith, checkRequest } from '../../edge/grpc/envoy.ts';
import { Message } from '../../edge/grpc/wire.ts';
import { type ClientRequest, DIALECTS, type NamedBy } from './client-request.ts';

/** What an edge answered, in the words that all have in common. */
export interface Told {
  readonly isAllowed: boolean;
  /** undefined: the answer has no place for it. */
  readonly decisionId: string | undefined;
}

/** Where to ask, and as whom. */
export interface Asker {
  readonly url: string;
  readonly client: Client;
  readonly profile: string;
  readonly key: string;
  /** Which the entry keeps. */
  readonly requestId: string;
}

export interface Edge {
  readonly name: string;
  readonly kind: PepKind;
  readonly settings: Partial<PepProfileInput>;
  /** Why it cannot describe a request; undefined: it can. */
  readonly cannot: (request: ClientRequest) => string | undefined;
  /** The bytes whose digest the log keeps; empty: none are shown. */
  readonly shown: (request: ClientRequest) => string;
  readonly ask: (asker: Asker, request: ClientRequest) => Promise<Told>;
}

type Pair = readonly [name: string, value: string];

const WHOLE = { body: 'whole' } as const;
const HOST: Pair = ['host', 'llm.example'];
const ANY = (): undefined => undefined;
const BODY = ({ body }: ClientRequest): string => body;
const NOTHING = (): string => '';

const CHAT_TYPES: Readonly<Record<string, string>> = { generate: 'chatComplete', embed: 'embed' };

/** Envoy and its kin over HTTP: the request itself, below the profile. */
const overHttp: Edge['ask'] = async ({ url, profile, key, requestId }, request) =>
  answerOf(url, {
    method: request.method,
    path: `/ext-authz/${profile}${request.path}`,
    headers: [HOST, ['x-duramen-key', key], ['x-request-id', requestId], ...headersOf(request)],
    ...bodyOf(request),
  });

const overGrpc: Edge['ask'] = async ({ client, profile, key, requestId }, request) => {
  const { method, path, body } = request;
  const described = {
    method,
    path,
    body,
    headers: headersOf(request),
    extensions: { duramen_profile: profile },
  };
  const metadata = { authorization: `Bearer ${key}`, 'x-request-id': requestId };
  const ended = await callWith(client, checkRequest(described), metadata);
  if (ended.error !== undefined) throw ended.error;
  const answer = new Message(ended.bytes);
  const fields = answer.message(4)?.messages(1) ?? [];
  const id =
    fields
      .find(field => field.text(1) === 'decision_id')
      ?.message(2)
      ?.text(3) ?? '';
  return { isAllowed: (answer.message(1)?.int(1) ?? 0) === 0, decisionId: id };
};

/** Gateways that ask at one path, and describe the request in headers. */
function byHeaders(
  prefix: 'original' | 'forwarded',
  method: 'GET' | 'HEAD' | undefined,
  showsBody: boolean,
): Edge['ask'] {
  return async ({ url, profile, key, requestId }, request) =>
    answerOf(url, {
      method: method ?? (showsBody ? 'POST' : request.method),
      path: `/ext-authz/${profile}`,
      headers: [
        HOST,
        ['x-duramen-key', key],
        ['x-request-id', requestId],
        [`x-${prefix}-method`, request.method],
        [`x-${prefix}-uri`, request.path],
        [`x-${prefix}-host`, 'llm.example'],
        ...headersOf(request),
      ],
      ...(showsBody ? bodyOf(request) : {}),
    });
}

const byPortkey: Edge['ask'] = async ({ url, profile, ...asker }, request) => {
  const body: unknown = JSON.parse(request.body);
  const reply = await hook(`${url}/hooks/portkey/${profile}`, asker, {
    eventType: 'beforeRequestHook',
    requestType: CHAT_TYPES[request.action],
    request: { json: body, text: '', isStreamingRequest: false, isTransformed: false },
    response: { json: {}, text: '', statusCode: null },
    provider: 'openai',
    metadata: { user: request.principal },
  });
  const schema = z.object({ verdict: z.boolean(), data: z.object({ decisionId: z.string() }) });
  const { verdict, data } = schema.parse(reply);
  return { isAllowed: verdict, decisionId: data.decisionId };
};

const byLitellm: Edge['ask'] = async ({ url, profile, ...asker }, request) => {
  const { model, messages, tools } = chatOf(request);
  const path = `${url}/hooks/litellm/${profile}/beta/litellm_basic_guardrail_api`;
  const body = {
    input_type: 'request',
    litellm_call_id: asker.requestId,
    texts: [],
    structured_messages: messages,
    tools,
    request_data: { user_api_key_user_id: request.principal },
    model,
    additional_provider_specific_params: {},
  };
  const reply = z.object({ action: z.enum(['NONE', 'BLOCKED']) });
  const { action } = reply.parse(await hook(path, asker, body));
  return { isAllowed: action === 'NONE', decisionId: undefined };
};

/** The parts of a chat that the guardrail is told. */
function chatOf({ body }: ClientRequest): { model: string; messages: unknown; tools: unknown } {
  const schema = z.object({ model: z.string(), messages: z.unknown(), tools: z.unknown() }).partial();
  const { model = '', messages = [], tools = [] } = schema.parse(JSON.parse(body));
  return { model, messages, tools };
}

/** The chat that is put together of them. */
function gathered(request: ClientRequest): string {
  return JSON.stringify(chatOf(request));
}

export const EDGES: readonly Edge[] = [
  { name: 'Envoy over HTTP', kind: 'envoy', settings: WHOLE, cannot: ANY, shown: BODY, ask: overHttp },
  { name: 'Envoy over gRPC', kind: 'envoy', settings: WHOLE, cannot: ANY, shown: BODY, ask: overGrpc },
  {
    name: 'agentgateway over HTTP',
    kind: 'agentgateway',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: overHttp,
  },
  {
    name: 'agentgateway over gRPC',
    kind: 'agentgateway',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: overGrpc,
  },
  {
    name: 'nginx with njs',
    kind: 'nginx',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: byHeaders('original', undefined, true),
  },
  {
    name: 'nginx with auth_request',
    kind: 'nginx',
    settings: {},
    cannot: blind,
    shown: NOTHING,
    ask: byHeaders('original', undefined, false),
  },
  {
    name: 'Caddy',
    kind: 'caddy',
    settings: {},
    cannot: blind,
    shown: NOTHING,
    ask: byHeaders('forwarded', 'GET', false),
  },
  {
    name: 'Traefik',
    kind: 'traefik',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: byHeaders('forwarded', undefined, true),
  },
  {
    name: 'HAProxy',
    kind: 'haproxy',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: byHeaders('original', undefined, true),
  },
  {
    name: 'APISIX',
    kind: 'apisix',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: byHeaders('forwarded', undefined, true),
  },
  {
    name: 'Kong',
    kind: 'kong',
    settings: WHOLE,
    cannot: ANY,
    shown: BODY,
    ask: byHeaders('forwarded', undefined, true),
  },
  { name: 'Portkey', kind: 'portkey', settings: {}, cannot: beyondPortkey, shown: BODY, ask: byPortkey },
  { name: 'LiteLLM', kind: 'litellm', settings: {}, cannot: beyondLitellm, shown: gathered, ask: byLitellm },
];

/** The profile of an edge for callers that are named in one way. Every model goes by its id, registered or not. */
export function profileOf(edge: Edge, by: NamedBy, name: string, models: readonly string[]): PepProfileInput {
  const fields: Partial<Record<PepKind, string>> = { portkey: 'user', litellm: 'user_api_key_user_id' };
  return {
    name,
    kind: edge.kind,
    identity: {
      mode: 'assert',
      principal: fields[edge.kind] ?? 'x-user',
      principalType: by.principalType,
      tenant: 'x-tenant',
      onBehalfOf: 'x-on-behalf-of',
      ...by.auth,
    },
    dialects: [...DIALECTS],
    ip: 'x-client-ip',
    region: 'x-region',
    models: Object.fromEntries(models.map(id => [id, id])),
    ...edge.settings,
  };
}

function blind({ isByPath }: ClientRequest): string | undefined {
  return isByPath ? undefined : 'the model stands in the body, which is not shown';
}

function beyondPortkey(request: ClientRequest): string | undefined {
  if (!Object.hasOwn(CHAT_TYPES, request.action)) return 'no webhook runs for the operation';
  return beyondMetadata(request);
}

function beyondLitellm(request: ClientRequest): string | undefined {
  if (request.action !== 'generate') return 'the guardrail does not tell the operation';
  if (request.hasBound) return 'the guardrail does not tell the bound on the output';
  if (request.isPadded) return 'the guardrail does not tell the size of the request';
  return beyondMetadata(request);
}

function beyondMetadata({ tenant, onBehalfOf, ip, region }: ClientRequest): string | undefined {
  const isSaid = [tenant, onBehalfOf, ip, region].some(value => value !== undefined);
  return isSaid ? 'the hook does not tell tenant, address or region' : undefined;
}

function headersOf(request: ClientRequest): Pair[] {
  const { type, principal, tenant, onBehalfOf, ip, region } = request;
  const headers: readonly (readonly [string, string | undefined])[] = [
    ['content-type', type],
    ['x-user', principal],
    ['x-tenant', tenant],
    ['x-on-behalf-of', onBehalfOf],
    ['x-client-ip', ip],
    ['x-region', region],
  ];
  return headers.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function bodyOf({ body }: ClientRequest): Pick<Question, 'body'> {
  return body === '' ? {} : { body };
}

async function answerOf(url: string, question: Question): Promise<Told> {
  const { status, headers } = await ask(url, question);
  return { isAllowed: status === 200, decisionId: headers['x-duramen-decision-id'] ?? '' };
}

async function hook(
  url: string,
  { key, requestId }: Pick<Asker, 'key' | 'requestId'>,
  body: object,
): Promise<unknown> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-duramen-key': key, 'x-request-id': requestId },
    body: JSON.stringify(body),
  });
  return answer.json();
}
