/**
 * The HTTP listener: sends decisions to their own path and everything else to the application. Invariant:
 * what was accepted is answered, also while shutting down, unless the grace period ends first.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { AppError } from '../../domain/errors.ts';
import type { ProfileRegistry } from '../../identity/pep-profiles/profile-registry.ts';
import { ExtAuthzEdge } from '../ext-authz/ext-authz-edge.ts';
import { makeApp } from './app.ts';
import { BATCH_PATH, DECIDE_PATH, DecideEdge, type DecideOptions } from './decide.ts';
import { problemOf } from './problem.ts';
import type { TlsListener } from './tls-listener.ts';
import { REQUEST_ID_HEADER, requestIdOf } from './request-headers.ts';
import type { Route } from './route.ts';
import type { Services } from './services.ts';
import { targetProblem } from './target.ts';

/** Largest request head in bytes: gateways pass on what their clients sent, with Envoy up to 60 KiB. */
const MAX_HEADER_BYTES = 80 * 1024;
/** Time in which the head of a request must arrive, in milliseconds. */
const HEADERS_TIMEOUT_MS = 20_000;
/** How long an idle connection stays open, in milliseconds: longer than the 60 s of common load balancers. */
const KEEP_ALIVE_MS = 65_000;
/** How often connections that became idle are closed during shutdown, in milliseconds. */
const DRAIN_INTERVAL_MS = 20;

export interface HttpOptions extends DecideOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly requestTimeoutSeconds: number;
  readonly pepProfiles: Pick<ProfileRegistry, 'derive'>;
  /** undefined: plain HTTP. */
  readonly tls: TlsListener | undefined;
  /** `management` answers no question of a gateway. */
  readonly serves: 'decisions' | 'management' | 'all';
}

/** A listening server. */
export interface HttpServer {
  /** `http://127.0.0.1:8181`, or with `https` */
  readonly url: string;
  /** Stops accepting, answers what was accepted, and cuts what is left after the grace period. */
  close(graceMs: number): Promise<void>;
}

/** Rejects when the address cannot be bound. */
export async function listen(
  services: Services,
  routes: readonly Route[],
  options: HttpOptions,
): Promise<HttpServer> {
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutSeconds * 1000),
    requestTimeout: options.requestTimeoutSeconds * 1000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // checked below, so that its absence is a problem like any other
    requireHostHeader: false,
  };
  const listener = makeListener(services, routes, options);
  const { tls } = options;
  const server = tls === undefined ? createServer(limits, listener) : tls.createServer(limits, listener);
  server.maxConnections = options.maxConnections;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const isHttp =
      tls === undefined || error.code?.startsWith('HPE_') || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (error.code === 'ECONNRESET' || !socket.writable || !isHttp) socket.destroy();
    else socket.end(refusalOf(error.code));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    url: urlOf(server, tls === undefined ? 'http' : 'https', options.host),
    close: graceMs => drain(server, graceMs),
  };
}

function makeListener(
  services: Services,
  routes: readonly Route[],
  options: HttpOptions,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const decide = new DecideEdge(services, options);
  const isForDecisions = options.serves !== 'management';
  const gateways = new ExtAuthzEdge(services, options.pepProfiles, options.logSampleRate);
  const control = getRequestListener(makeApp(services, routesOf(routes, options.serves)).fetch, {
    overrideGlobalObjects: false,
  });
  return (incoming, outgoing) => {
    const { url = '', method } = incoming;
    // before anything looks at the target: what a gateway's client wrote stands in it as it is
    if (isForDecisions && gateways.serves(url)) {
      void gateways.serve(incoming, outgoing);
      return;
    }
    if (incoming.headers.host === undefined && incoming.httpVersion !== '1.0') {
      refuseTarget(services, incoming, outgoing, 'the `Host` header is missing');
      return;
    }
    if (isForDecisions && method === 'POST' && (url === DECIDE_PATH || url === BATCH_PATH)) {
      void decide.serve(incoming, outgoing, url);
      return;
    }
    const problem = targetProblem(url);
    if (problem === undefined) void control(incoming, outgoing);
    else refuseTarget(services, incoming, outgoing, problem);
  };
}

/** The routes of one listener: what needs no credential is answered on each. */
function routesOf(routes: readonly Route[], serves: HttpOptions['serves']): readonly Route[] {
  if (serves === 'all') return routes;
  const isForGateways = ({ access }: Route): boolean =>
    access !== 'public' && access !== 'any' && access.includes('pep');
  const isForGatewaysAlone = ({ access }: Route): boolean => access.toString() === 'pep';
  return routes.filter(
    route =>
      route.access === 'public' ||
      (serves === 'decisions' ? isForGateways(route) : !isForGatewaysAlone(route)),
  );
}

function refuseTarget(
  services: Services,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  problem: string,
): void {
  const requestId = requestIdOf(incoming, () => services.ids.next());
  const { status, headers, body } = problemOf(new AppError('INVALID_REQUEST', problem), requestId);
  services.metrics.requestServed('unknown', incoming.method ?? '', status, 0);
  const text = `${JSON.stringify(body)}\n`;
  const length = { 'content-length': Buffer.byteLength(text) };
  outgoing.writeHead(status, { ...headers, ...length, [REQUEST_ID_HEADER]: requestId });
  outgoing.end(text);
}

/** The answer to bytes that are no request: there is no request object to answer through. */
function refusalOf(code: string | undefined): string {
  const [status, text] =
    code === 'HPE_HEADER_OVERFLOW'
      ? [
          '431 Request Header Fields Too Large',
          `the head of the request is larger than ${MAX_HEADER_BYTES} bytes`,
        ]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request did not arrive in time']
        : ['400 Bad Request', 'these bytes are not an HTTP/1.1 request'];
  const { headers, body } = problemOf(new AppError('INVALID_REQUEST', text), '');
  const json = JSON.stringify({ ...body, status: Number(status.slice(0, 3)) });
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(json)}\r\n${head.join('')}\r\n${json}`;
}

function drain(server: Server, graceMs: number): Promise<void> {
  return new Promise(resolve => {
    // connections that wait for their next request are idle and hold no promise to anybody
    const idle = setInterval(() => server.closeIdleConnections(), DRAIN_INTERVAL_MS);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(idle);
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function urlOf(server: Pick<Server, 'address'>, scheme: 'http' | 'https', host: string): string {
  const address = server.address();
  const port = isBound(address) ? address.port : 0;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isBound(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
