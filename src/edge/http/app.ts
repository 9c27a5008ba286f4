/**
 * The control plane as a Hono application made of a route table. Invariants: every route authenticates before
 * anything else, answers errors as problem details, and carries the request id.
 */
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import { requireAccess } from './authentication.ts';
import { IdempotentRequests } from './idempotent-requests.ts';
import { logFailure, problemOf } from './problem.ts';
import { ClientGone } from './request-body.ts';
import { REQUEST_ID_HEADER, requestIdOf } from './request-headers.ts';
import type { Answer, Method, RawExchange, Route } from './route.ts';
import type { Services } from './services.ts';

type HttpContext = Context<{ Bindings: HttpBindings }>;

/** Routes that are asked every few seconds by machines: their successes are worth a debug line. */
const PROBES: readonly string[] = ['/livez', '/readyz', '/metrics'];

/** Methods that the table can hold, HEAD aside, which follows GET. */
const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Answers everything but the decision path. */
export function makeApp(services: Services, table: readonly Route[]): Hono<{ Bindings: HttpBindings }> {
  const routes = table.filter(({ isDirect }) => isDirect !== true);
  const app = new Hono<{ Bindings: HttpBindings }>();
  const repeated = new IdempotentRequests(services);
  for (const route of routes) {
    app.on(route.method, honoPath(route.path), context => serve(context, route, services, repeated));
  }
  // a path of its own before one that would take it for an id: `/v1/caller-keys/revoke`, `/v1/caller-keys/{id}`
  const paths = [...new Set(routes.map(({ path }) => path))];
  for (const path of paths.toSorted((a, b) => Number(a.includes('{')) - Number(b.includes('{')))) {
    const allowed = METHODS.filter(method =>
      routes.some(one => one.method === method && covers(one.path, path)),
    );
    const allow = allowed.flatMap(method => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ');
    app.all(honoPath(path), context =>
      failed(context, services, path, methodNotAllowed(context.req.method, path, allow), { allow }),
    );
  }
  app.notFound(context =>
    failed(context, services, 'unknown', new AppError('NOT_FOUND', noRoute(context.req.path, paths))),
  );
  return app;
}

/** What to say of a path that is no route: perhaps the rest of an id stands in it with its slashes. */
function noRoute(path: string, templates: readonly string[]): string {
  const parts = path.split('/');
  const hasLongerId = templates.some(template => {
    const steps = template.split('/');
    if (!/^\{\w+\}$/.test(steps.at(-1) ?? '') || parts.length <= steps.length) return false;
    return covers(template, parts.slice(0, steps.length).join('/'));
  });
  return hasLongerId
    ? 'there is no such route: a slash in an id is `%2F`; /openapi.json lists all routes'
    : 'there is no such route: see /openapi.json';
}

/** Whether every request for a path, read as a template, is one for `template` too. */
function covers(template: string, path: string): boolean {
  const [parts, others] = [template.split('/'), path.split('/')];
  const fits = parts.every((part, at) => part === others[at] || /^\{\w+\}$/.test(part));
  return parts.length === others.length && fits;
}

/** `/v1/keys/{id}` → `/v1/keys/:id`, and `{path*}`, which takes the rest of the path → `:path{.+}` */
function honoPath(template: string): string {
  return template.replaceAll(/\{(\w+)\}/g, ':$1').replaceAll(/\{(\w+)\*\}/g, ':$1{.+}');
}

function methodNotAllowed(method: string, path: string, allow: string): AppError {
  return new AppError('METHOD_NOT_ALLOWED', `\`${path}\` takes ${allow}, not ${method}`);
}

async function serve(
  context: HttpContext,
  route: Route,
  services: Services,
  repeated: IdempotentRequests,
): Promise<Response> {
  const startedAt = services.clock.monotonic();
  const { incoming } = context.env;
  const requestId = requestIdOf(incoming, () => services.ids.next());
  let credential = anonymous();
  try {
    credential = admit(route, services, incoming);
    const exchange: RawExchange = {
      services,
      credential,
      incoming,
      requestId,
      search: new URLSearchParams(queryOf(incoming.url ?? '')),
      params: context.req.param(),
      bytes: undefined,
    };
    const answer = unlessSeen(await repeated.run(route, exchange), route, incoming);
    report(services, {
      route: route.path,
      method: route.method,
      status: answer.status,
      startedAt,
      requestId,
      credential,
    });
    return respond(answer, requestId);
  } catch (error) {
    return failed(context, services, route.path, error, {}, { requestId, startedAt, credential });
  }
}

function admit(route: Route, services: Services, incoming: HttpBindings['incoming']): Credential {
  if (route.access === 'public') return anonymous();
  const credential = services.authenticator.authenticate(incoming);
  requireAccess(services.control, credential, route);
  return credential;
}

/** Who asks on a public route: nobody, with no rights. */
function anonymous(): Credential {
  return { keyId: 'anonymous', roles: new Set(), tenants: new Set(), mayAssert: false };
}

function queryOf(url: string): string {
  const at = url.indexOf('?');
  return at === -1 ? '' : url.slice(at + 1);
}

/** 304 for a GET whose client holds what would be answered (RFC 9110 §13.1.2). */
function unlessSeen(answer: Answer, { method }: Route, incoming: HttpBindings['incoming']): Answer {
  const etag = answer.headers?.['etag'];
  const seen = incoming.headers['if-none-match'];
  if (method !== 'GET' || answer.status !== 200 || etag === undefined || seen === undefined) return answer;
  const tags = seen.split(',').map(tag => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || seen.trim() === '*' ? { status: 304, headers: { etag } } : answer;
}

function respond(answer: Answer, requestId: string): Response {
  const headers: Record<string, string> = {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    [REQUEST_ID_HEADER]: requestId,
    ...answer.headers,
  };
  const { status } = answer;
  if (answer.json !== undefined) {
    headers['content-type'] ??= 'application/json';
    return new Response(`${JSON.stringify(answer.json)}\n`, { status, headers });
  }
  if (answer.lines !== undefined) {
    headers['content-type'] ??= 'application/x-ndjson';
    return new Response(linesOf(answer.lines), { status, headers });
  }
  return new Response(answer.bytes ?? answer.text ?? null, { status, headers });
}

function linesOf(lines: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = lines[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(`${next.value}\n`));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

interface Served {
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly startedAt: number;
  readonly requestId: string;
  readonly credential: Credential;
}

function report(services: Services, served: Served, error?: unknown): void {
  const { route, method, status, startedAt, requestId, credential } = served;
  const seconds = (services.clock.monotonic() - startedAt) / 1000;
  services.metrics.requestServed(route, method, status, seconds);
  const fields = { route, method, status, seconds, requestId, keyId: credential.keyId };
  if (error !== undefined) logFailure(services.logger, error, fields);
  else if (PROBES.includes(route)) services.logger.debug(fields, 'request');
  else services.logger.info(fields, 'request');
}

function failed(
  context: HttpContext,
  services: Services,
  route: string,
  error: unknown,
  extra: Readonly<Record<string, string>> = {},
  about?: Pick<Served, 'requestId' | 'startedAt' | 'credential'>,
): Response {
  const requestId = about?.requestId ?? requestIdOf(context.env.incoming, () => services.ids.next());
  const { status, headers, body } = problemOf(error, requestId);
  const startedAt = about?.startedAt ?? services.clock.monotonic();
  const credential = about?.credential ?? anonymous();
  // nobody reads this answer, and it is no failure of the service
  if (!(error instanceof ClientGone)) {
    report(services, { route, method: context.req.method, status, startedAt, requestId, credential }, error);
  }
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { ...headers, 'x-content-type-options': 'nosniff', [REQUEST_ID_HEADER]: requestId, ...extra },
  });
}
