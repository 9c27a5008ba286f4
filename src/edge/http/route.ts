/**
 * A route of the control plane: how it is called, who may, and what it answers. Invariant: the same object
 * registers the route, parses its input and describes it in the OpenAPI document, so they cannot disagree.
 */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Credential, Role } from '../../domain/credential.ts';
import { AppError, type ErrorCode } from '../../domain/errors.ts';
import { readBody, requireType } from './request-body.ts';
import { parseJson } from './json-body.ts';
import type { Services } from './services.ts';
import { invalidRequest, parseWith } from './validation.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * `public`: no credential at all; `pep`: a set lookup, on the path of decisions; else a decision of the control plane,
 * and what stands here is what the shipped policies permit it to: every valid credential, or one of the roles.
 */
export type Access = 'public' | 'pep' | 'any' | readonly Role[];

/** How a route takes its body. */
type BodyKind<B extends z.ZodType> =
  /** `refusedAs`: the failure for JSON that does not fit; absent: INVALID_REQUEST. */
  | { readonly kind: 'json'; readonly schema: B; readonly refusedAs?: ErrorCode }
  | { readonly kind: 'bytes'; readonly types: readonly string[]; readonly description: string }
  | { readonly kind: 'stream'; readonly types: readonly string[]; readonly description: string };

/** What a status means. Without a schema or a type there is no body. */
export interface AnswerNote {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Content type of an answer that is not JSON. */
  readonly type?: string;
  /** Headers beside the usual ones, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What conditional headers ask for, for the document. */
export interface ConditionNotes {
  readonly ifMatch: string;
  readonly ifNoneMatch: string;
}

/** What a handler returns. At most one of the bodies. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** NDJSON lines, sent as they come. */
  readonly lines?: AsyncIterable<string>;
  /** What a repetition by `Idempotency-Key` is answered with, where that differs: secrets are shown once. */
  readonly replayJson?: unknown;
}

/** One request, authenticated and with its parts at hand. */
export interface RawExchange {
  readonly services: Services;
  readonly credential: Credential;
  readonly incoming: IncomingMessage;
  readonly requestId: string;
  readonly search: URLSearchParams;
  readonly params: Readonly<Record<string, string>>;
  /** The body, when something before the handler had to read it. */
  readonly bytes: Buffer | undefined;
}

export interface Exchange<Query, Body> {
  readonly services: Services;
  readonly credential: Credential;
  readonly incoming: IncomingMessage;
  readonly requestId: string;
  readonly search: URLSearchParams;
  readonly query: Query;
  readonly body: Body;
  /** The whole body of a `bytes` route. */
  readonly bytes: Buffer;
  /** A part of the path, decoded. */
  readonly param: (name: string) => string;
}

export interface RouteDefinition<Q extends z.ZodType, B extends z.ZodType> {
  readonly method: Method;
  /** `/v1/keys/{id}`; a last part `{path*}` takes the rest of the path. */
  readonly path: string;
  /** Name of the operation in the OpenAPI document. */
  readonly operation: string;
  readonly tag: string;
  readonly summary: string;
  readonly access: Access;
  /** Query parameters; absent: none are allowed. */
  readonly query?: Q;
  /** The handler parses the query by itself; `query` documents it. */
  readonly ownQuery?: boolean;
  readonly body?: BodyKind<B>;
  /** Nothing is kept for a repetition by `Idempotency-Key`: what the body says must not outlive the request. */
  readonly keepsNothing?: boolean;
  /** Largest body in bytes; absent: the service's limit for bodies. */
  readonly maxBytes?: (services: Services) => number;
  readonly answers: Readonly<Record<number, AnswerNote>>;
  /** Failures beside those that every route has. With PRECONDITION_FAILED the handler looks at conditional headers. */
  readonly failures?: readonly ErrorCode[];
  /** What the conditional headers say here; absent: that they are about the object of the path. */
  readonly conditions?: ConditionNotes;
  readonly handle: (exchange: Exchange<z.output<Q>, z.output<B>>) => Promise<Answer> | Answer;
}

/** A route as the application and the document see it. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly operation: string;
  readonly tag: string;
  readonly summary: string;
  readonly access: Access;
  readonly query: z.ZodType | undefined;
  readonly body: BodyKind<z.ZodType> | undefined;
  readonly keepsNothing: boolean;
  readonly maxBytes: ((services: Services) => number) | undefined;
  readonly answers: Readonly<Record<number, AnswerNote>>;
  readonly failures: readonly ErrorCode[];
  readonly conditions: ConditionNotes | undefined;
  /** Served by its raw target, before the application. */
  readonly isDirect?: true;
  readonly run: (exchange: RawExchange) => Promise<Answer>;
}

/**
 * A route that is served before the application: by its raw target, which the application would normalise.
 * The table describes it; `serves` in server.ts decides what reaches it.
 */
export function directRoute(
  definition: Omit<RouteDefinition<z.ZodUnknown, z.ZodUnknown>, 'handle' | 'access'>,
): Route {
  const handle = (): never => {
    throw new Error(`${definition.path} is served before the application`);
  };
  return { ...route({ ...definition, access: 'public', handle }), isDirect: true };
}

/** Largest body that a route takes. */
export function bodyLimit(route: Pick<Route, 'maxBytes'>, services: Services): number {
  return route.maxBytes?.(services) ?? services.limits.maxBodyBytes;
}

/** Makes a route of its definition. */
export function route<Q extends z.ZodType = z.ZodUnknown, B extends z.ZodType = z.ZodUnknown>(
  definition: RouteDefinition<Q, B>,
): Route {
  const { method, path, operation, tag, summary, access, answers } = definition;
  return {
    method,
    path,
    operation,
    tag,
    summary,
    access,
    answers,
    query: definition.query,
    body: definition.body,
    keepsNothing: definition.keepsNothing ?? false,
    maxBytes: definition.maxBytes,
    failures: definition.failures ?? [],
    conditions: definition.conditions,
    run: exchange => runRoute(definition, exchange),
  };
}

async function runRoute<Q extends z.ZodType, B extends z.ZodType>(
  definition: RouteDefinition<Q, B>,
  exchange: RawExchange,
): Promise<Answer> {
  const { services, credential, incoming, requestId, search, params } = exchange;
  refuseConditions(definition, incoming);
  const query = parseQuery(definition, search);
  const bytes = await bytesOf(definition, exchange);
  const body = parseBody(definition.body, bytes);
  return definition.handle({
    services,
    credential,
    incoming,
    requestId,
    search,
    query,
    body,
    bytes,
    param: name => {
      const value = params[name];
      if (value === undefined) throw new Error(`route ${definition.path} has no part \`${name}\``);
      return value;
    },
  });
}

/**
 * A condition that is not looked at would let its sender believe that nothing can be lost. Gateways may hand on the
 * headers of their clients, which say nothing about decisions.
 */
function refuseConditions(
  { method, access, failures }: Pick<RouteDefinition<z.ZodType, z.ZodType>, 'method' | 'access' | 'failures'>,
  { headers }: IncomingMessage,
): void {
  if (method === 'GET' || access === 'public' || access === 'pep') return;
  if (failures?.includes('PRECONDITION_FAILED') === true) return;
  for (const name of ['If-Match', 'If-None-Match']) {
    if (headers[name.toLowerCase()] === undefined) continue;
    throw invalidRequest([
      {
        message: `this route does not look at \`${name}\``,
        hint: 'leave the header out: nothing is compared here',
      },
    ]);
  }
}

async function bytesOf<Q extends z.ZodType, B extends z.ZodType>(
  definition: RouteDefinition<Q, B>,
  { services, incoming, bytes }: RawExchange,
): Promise<Buffer> {
  const { body } = definition;
  if (body === undefined) return Buffer.alloc(0);
  requireType(incoming, body.kind === 'json' ? ['application/json'] : body.types);
  if (body.kind === 'stream') return Buffer.alloc(0);
  const limit = definition.maxBytes?.(services) ?? services.limits.maxBodyBytes;
  return bytes ?? readBody(incoming, limit);
}

function parseBody<B extends z.ZodType>(body: BodyKind<B> | undefined, bytes: Buffer): z.output<B>;
function parseBody(body: BodyKind<z.ZodType> | undefined, bytes: Buffer): unknown {
  if (body?.kind !== 'json') return undefined;
  const value = parseJson(bytes);
  const { refusedAs } = body;
  if (refusedAs === undefined) return parseWith(body.schema, value);
  try {
    return parseWith(body.schema, value);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(refusedAs, error.message, { problems: error.problems });
  }
}

function parseQuery<Q extends z.ZodType, B extends z.ZodType>(
  definition: RouteDefinition<Q, B>,
  search: URLSearchParams,
): z.output<Q>;
function parseQuery(
  { query, ownQuery }: Pick<RouteDefinition<z.ZodType, z.ZodType>, 'query' | 'ownQuery'>,
  search: URLSearchParams,
): unknown {
  if (ownQuery === true) return {};
  const given: Record<string, string> = {};
  for (const [name, value] of search) {
    if (Object.hasOwn(given, name) || name === '__proto__') {
      throw invalidRequest([{ pointer: `?${name}`, message: 'must be given once' }]);
    }
    given[name] = value;
  }
  if (query !== undefined) return parseWith(query, given, '?');
  const [unknown] = Object.keys(given);
  if (unknown === undefined) return {};
  throw invalidRequest([{ pointer: `?${unknown}`, message: 'this route takes no query parameters' }]);
}
