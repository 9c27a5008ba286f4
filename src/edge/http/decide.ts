/**
 * POST /decide and /decide/batch, straight on node:http: no middleware, no intermediate objects, one
 * JSON.stringify. Invariants: the same parser, engine and problems as everywhere; no answer before the entry
 * is durable (pdp/engine.ts); whatever fails, the client gets a status, never an allow.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Credential } from '../../domain/credential.ts';
import type { Decision } from '../../domain/decision.ts';
import { batchRequestSchema } from '../../domain/decision-request.ts';
import { AppError } from '../../domain/errors.ts';
import { Turns } from '../../domain/turns.ts';
import type { DecisionCaller } from '../../pdp/engine.ts';
import { requireRole } from './authentication.ts';
import { decideBody } from './decide-body.ts';
import { DecisionText } from './decision-text.ts';
import { parseJson } from './json-body.ts';
import { logFailure, type ProblemDetails, problemOf } from './problem.ts';
import { ClientGone, readBody, requireType } from './request-body.ts';
import { REQUEST_ID_HEADER, requestIdOf, traceOf } from './request-headers.ts';
import type { Services } from './services.ts';
import { parseWith } from './validation.ts';

/** Paths that this file serves, for POST alone. */
export const DECIDE_PATH = '/decide';
export const BATCH_PATH = '/decide/batch';
/** `<origin> <index> <size>`: what a gateway writes into its own log, so that a missing entry can be proven. */
const LOG_HEADER = 'x-duramen-log';
const JSON_TYPES = ['application/json'];
const PEP = ['pep'] as const;

/** Which successful requests are written to the request log. */
export interface DecideOptions {
  /** One in this many. */
  readonly logSampleRate: number;
}

export class DecideEdge {
  readonly #services: Services;
  readonly #options: DecideOptions;
  readonly #text = new DecisionText();
  readonly #turns = new Turns();
  #served = 0;

  constructor(services: Services, options: DecideOptions) {
    this.#services = services;
    this.#options = options;
  }

  /** Answers one request; never rejects. */
  async serve(incoming: IncomingMessage, outgoing: ServerResponse, path: string): Promise<void> {
    const startedAt = this.#services.clock.monotonic();
    const requestId = requestIdOf(incoming, () => this.#services.ids.next());
    let status: number;
    try {
      const caller = this.#admit(incoming, requestId);
      requireType(incoming, JSON_TYPES);
      const bytes = await readBody(incoming, this.#services.limits.maxBodyBytes);
      await this.#turns.end();
      const body = parseJson(bytes);
      if (path === DECIDE_PATH) await this.#one(body, caller, outgoing, requestId);
      else await this.#batch(body, caller, outgoing, requestId);
      status = 200;
    } catch (error) {
      if (error instanceof ClientGone) return;
      status = this.#fail(error, outgoing, requestId);
      reportFailure(this.#services, error, path, requestId);
    }
    this.#services.metrics.requestServed(
      path,
      'POST',
      status,
      (this.#services.clock.monotonic() - startedAt) / 1000,
    );
    if (status === 200) this.#sample(path, requestId);
  }

  #admit(incoming: IncomingMessage, httpRequestId: string): DecisionCaller {
    const credential: Credential = this.#services.authenticator.authenticate(incoming);
    requireRole(credential, PEP);
    const trace = traceOf(incoming);
    return trace === undefined ? { credential, httpRequestId } : { credential, httpRequestId, trace };
  }

  async #one(
    body: unknown,
    caller: DecisionCaller,
    outgoing: ServerResponse,
    requestId: string,
  ): Promise<void> {
    const decision = await decideBody(this.#services, body, caller);
    const { origin, index, size } = decision.log;
    send(outgoing, this.#text.encode(decision), [
      REQUEST_ID_HEADER,
      requestId,
      'x-duramen-decision',
      decision.decision,
      'x-duramen-decision-id',
      decision.decisionId,
      'x-duramen-reason',
      decision.reason.code,
      LOG_HEADER,
      `${origin} ${index} ${size}`,
    ]);
  }

  /** Each item stands alone: its failure is an `error` at its place, and the others are decided. */
  async #batch(
    body: unknown,
    caller: DecisionCaller,
    outgoing: ServerResponse,
    requestId: string,
  ): Promise<void> {
    const { requests } = parseWith(batchRequestSchema, body);
    const decisions = await Promise.all(requests.map(item => decideItem(this.#services, item, caller)));
    send(outgoing, JSON.stringify({ decisions }), [REQUEST_ID_HEADER, requestId]);
  }

  #fail(error: unknown, outgoing: ServerResponse, requestId: string): number {
    const { status, headers, body } = problemOf(error, requestId);
    if (outgoing.headersSent) {
      // half an answer must not look like a whole one
      outgoing.destroy();
      return status;
    }
    const text = `${JSON.stringify(body)}\n`;
    outgoing.writeHead(status, {
      ...headers,
      'x-content-type-options': 'nosniff',
      [REQUEST_ID_HEADER]: requestId,
      'content-length': Buffer.byteLength(text),
    });
    outgoing.end(text);
    return status;
  }

  #sample(route: string, requestId: string): void {
    this.#served += 1;
    if (this.#served % this.#options.logSampleRate === 0) {
      this.#services.logger.info(
        { route, status: 200, requestId, sampled: this.#options.logSampleRate },
        'request',
      );
    }
  }
}

/** One item of a batch. It stands alone: its failure is an `error` at its place, and the others are decided. */
export async function decideItem(
  services: Services,
  item: unknown,
  caller: DecisionCaller,
): Promise<Decision | { error: ProblemDetails }> {
  try {
    return await decideBody(services, item, caller);
  } catch (error) {
    const requestId = caller.httpRequestId ?? '';
    reportFailure(services, error, BATCH_PATH, requestId);
    return { error: problemOf(error, requestId).body };
  }
}

function reportFailure(
  { logger, metrics }: Services,
  error: unknown,
  route: string,
  requestId: string,
): void {
  const code = error instanceof AppError ? error.code : 'INTERNAL_ERROR';
  if (code === 'LOG_BACKPRESSURE' || code === 'LOG_UNAVAILABLE') metrics.entryDropped(code);
  logFailure(logger, error, { route, requestId });
}

function send(outgoing: ServerResponse, text: string, headers: string[]): void {
  const length = Buffer.byteLength(text);
  headers.push(
    'content-type',
    'application/json',
    'cache-control',
    'no-store',
    'x-content-type-options',
    'nosniff',
    'content-length',
    String(length),
  );
  outgoing.writeHead(200, headers);
  // most answers are ASCII, which is the same bytes in Latin-1 and cheaper to write
  outgoing.end(text, length === text.length ? 'latin1' : 'utf8');
}
