/**
 * A case of the corpus as the request of a client that asks a model the same, through a gateway that names the caller.
 * Invariant: what such a request cannot say is never left out: the case is then one that no gateway can express.
 */
import type { DecisionRequest } from '../../../src/domain/decision-request.ts';
import type { DialectFamily } from '../../../src/domain/pep-profile.ts';
import type { CorpusCase } from '../corpus.ts';

/** How the gateway knows the caller, which its profile says. */
export interface NamedBy {
  readonly principalType: string;
  /** undefined: a key that may not assert it. */
  readonly auth: { readonly method: string; readonly assurance: number } | undefined;
}

/** What the client sends, and what the gateway says of it. */
export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  readonly type: string | undefined;
  readonly body: string;
  readonly by: NamedBy;
  readonly principal: string;
  readonly tenant: string | undefined;
  readonly onBehalfOf: string | undefined;
  readonly ip: string | undefined;
  readonly region: string | undefined;
  /** Whether its path says all that is decided. */
  readonly isByPath: boolean;
  /** For gateways that show a part of the request alone. */
  readonly action: string;
  readonly hasBound: boolean;
  readonly isPadded: boolean;
}

/** Why a case cannot be said. */
export type Expressed = { readonly request: ClientRequest } | { readonly reason: string };

export const DIALECTS: readonly DialectFamily[] = [
  'openai',
  'cohere',
  'kserve',
  'triton',
  'torchserve',
  'anthropic',
];

const JSON_TYPE = 'application/json';
const BOUNDARY = 'corpus';
/** Content of a message, by class. */
const PARTS: Readonly<Record<string, object>> = {
  text: { type: 'text', text: 'hi' },
  image: { type: 'image_url', image_url: { url: 'data:,' } },
};

/** Actions whose model stands in a JSON body: path, and what the body needs beside it. */
const BY_BODY: Readonly<Record<string, { readonly path: string; readonly body: object }>> = {
  generate: { path: '/v1/chat/completions', body: {} },
  embed: { path: '/v1/embeddings', body: {} },
  moderate: { path: '/v1/moderations', body: {} },
  classify: { path: '/v1/classify', body: {} },
  rerank: { path: '/v2/rerank', body: {} },
};
/** Actions whose model stands in the path. */
const BY_PATH: Readonly<
  Record<string, { readonly method: string; readonly path: string; readonly body?: string }>
> = {
  invoke: { method: 'GET', path: '/v1/models/{model}' },
  delete: { method: 'DELETE', path: '/v1/models/{model}' },
  deploy: { method: 'PUT', path: '/models/{model}' },
  retire: { method: 'POST', path: '/v2/repository/models/{model}/unload', body: '{}' },
  predict: { method: 'POST', path: '/v1/models/{model}:predict', body: '{"instances":[]}' },
};

export function express({ request }: CorpusCase): Expressed {
  const reason = reasonAgainst(request);
  return reason === undefined ? { request: described(request) } : { reason };
}

/** The first thing that the request says and no request of a client can. */
function reasonAgainst(asked: DecisionRequest): string | undefined {
  const { action, resource, auth, context = {}, input = {}, tools = [] } = asked;
  if (asked.levels !== undefined) return 'asks some levels alone';
  if (asked.explain !== 'summary') return 'wants another explanation than the summary';
  if (asked.requestId !== undefined) return 'has a request id that makes it idempotent';
  if (asked.partitions !== undefined) return 'names partitions';
  if (asked.outputs !== undefined) return 'names outputs';
  if (asked.via !== undefined) return 'comes from an agent';
  if (resource.type !== 'Model') return 'is about something else than a model';
  if (!isKnown(action)) return 'has an action that no request of a client asks for';
  if ((auth?.scopes ?? []).length > 0) return 'has a caller with scopes, which tokens have';
  if (Object.keys(context).some(key => key !== 'ip' && key !== 'region'))
    return 'has context beside ip and region';
  if (!/^[0-9a-f.:]*$/.test(textOf(context['ip']))) return 'comes from a network instead of an address';
  if (input.hash !== undefined) return 'has a digest of its own';
  const classes = input.classes ?? [];
  if (classes.some(one => !Object.hasOwn(PARTS, one)))
    return 'has an input of a class that gateways do not tell';
  if (tools.some(({ amountCents }) => amountCents !== undefined)) return 'names the amount of a tool call';
  if (tools.length > 0 && action !== 'generate') return 'offers tools to an operation that takes none';
  if (asked.params !== undefined && action !== 'generate')
    return 'bounds the output of an operation that has none';
  return input.tokens !== undefined && input.tokens < 100 ? 'is smaller than any request' : undefined;
}

function isKnown(action: string): boolean {
  return (
    Object.hasOwn(BY_BODY, action) ||
    Object.hasOwn(BY_PATH, action) ||
    action === 'batch' ||
    action === 'transcribe'
  );
}

function described(asked: DecisionRequest): ClientRequest {
  const { principal, action, resource, auth, context = {} } = asked;
  return {
    ...targetOf(action, resource.id, asked),
    by: {
      principalType: principal.type,
      auth: auth === undefined ? undefined : { method: auth.method ?? '', assurance: auth.assurance ?? 0 },
    },
    principal: principal.id,
    tenant: asked.tenant,
    onBehalfOf: asked.onBehalfOf,
    ip: context['ip'] === undefined ? undefined : textOf(context['ip']),
    region: context['region'] === undefined ? undefined : textOf(context['region']),
    action,
    hasBound: asked.params?.maxOutputTokens !== undefined,
    isPadded: asked.input?.tokens !== undefined,
  };
}

type Target = Pick<ClientRequest, 'method' | 'path' | 'type' | 'body' | 'isByPath'>;

function targetOf(action: string, model: string, asked: DecisionRequest): Target {
  const byPath = BY_PATH[action];
  if (byPath !== undefined) {
    const { method, path, body = '' } = byPath;
    const target = { method, path: path.replace('{model}', encodeURIComponent(model)), body };
    return { ...target, type: body === '' ? undefined : JSON_TYPE, isByPath: body === '' };
  }
  if (action === 'transcribe') {
    const body = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\n${model}\r\n--${BOUNDARY}--\r\n`;
    const type = `multipart/form-data; boundary=${BOUNDARY}`;
    return { method: 'POST', path: '/v1/audio/transcriptions', type, body, isByPath: false };
  }
  if (action === 'batch') {
    const body = JSON.stringify({ requests: [{ custom_id: '1', params: { model, messages: [] } }] });
    return { method: 'POST', path: '/v1/messages/batches', type: JSON_TYPE, body, isByPath: false };
  }
  const { path = '', body = {} } = BY_BODY[action] ?? {};
  return {
    method: 'POST',
    path,
    type: JSON_TYPE,
    body: padded({ model, ...body, ...said(asked) }, asked),
    isByPath: false,
  };
}

/** What the input and the parameters of a case come to in a body of OpenAI's shape. */
function said({ input, params, tools = [] }: DecisionRequest): object {
  const content = (input?.classes ?? []).map(one => PARTS[one]);
  return {
    ...(content.length === 0 ? {} : { messages: [{ role: 'user', content }] }),
    ...(tools.length === 0
      ? {}
      : { tools: tools.map(({ id }) => ({ type: 'function', function: { name: id } })) }),
    ...(params?.maxOutputTokens === undefined ? {} : { max_tokens: params.maxOutputTokens }),
    ...(params?.stream === undefined ? {} : { stream: params.stream }),
  };
}

/** As long as the estimate of the tokens has to be: three bytes each. */
function padded(body: object, { input }: DecisionRequest): string {
  const text = JSON.stringify(body);
  if (input?.tokens === undefined) return text;
  const empty = JSON.stringify({ ...body, user: '' });
  return JSON.stringify({ ...body, user: 'x'.repeat(input.tokens * 3 - empty.length) });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
