/**
 * `Idempotency-Key` on POST: a repeated request gets the first answer. Invariants: one key never stands for
 * two requests; of two at once only one runs; what is shown once is not kept for the repetition.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../../domain/errors.ts';
import type { StoredAnswer } from '../../identity/ports.ts';
import { readBody, requireType } from './request-body.ts';
import { type Answer, bodyLimit, type RawExchange, type Route } from './route.ts';
import type { Services } from './services.ts';

const IDEMPOTENCY_HEADER = 'idempotency-key';
const KEY = /^[\x21-\x7e]{1,128}$/;
/** Headers of an answer that a repetition gets too. */
const KEPT_HEADERS = ['etag', 'location'];

export class IdempotentRequests {
  readonly #services: Services;
  readonly #running = new Set<string>();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Runs the route, or answers as before. Rejects with AppError IDEMPOTENCY_CONFLICT or INVALID_REQUEST. */
  async run(route: Route, exchange: RawExchange): Promise<Answer> {
    const key = exchange.incoming.headers[IDEMPOTENCY_HEADER];
    const { body } = route;
    if (route.method !== 'POST' || route.keepsNothing) return route.run(exchange);
    if (typeof key !== 'string' || body === undefined || body.kind === 'stream') return route.run(exchange);
    if (!KEY.test(key)) {
      throw new AppError(
        'INVALID_REQUEST',
        'the `Idempotency-Key` must be 1 to 128 printable ASCII characters',
      );
    }
    requireType(exchange.incoming, body.kind === 'json' ? ['application/json'] : body.types);
    const bytes = await readBody(exchange.incoming, bodyLimit(route, this.#services));
    // neither part can hold a space
    const running = `${exchange.credential.keyId} ${key}`;
    if (this.#running.has(running)) {
      throw new AppError('IDEMPOTENCY_CONFLICT', 'a request with this `Idempotency-Key` is still running', {
        retryAfterSeconds: 1,
      });
    }
    this.#running.add(running);
    try {
      return await this.#runOnce(route, { ...exchange, bytes }, key, hashOf(exchange.incoming, bytes));
    } finally {
      this.#running.delete(running);
    }
  }

  async #runOnce(route: Route, exchange: RawExchange, key: string, requestHash: string): Promise<Answer> {
    const { idempotency, clock, logger } = this.#services;
    const { keyId } = exchange.credential;
    const known = await idempotency.find(keyId, key);
    if (known !== undefined) return repeat(known, requestHash);
    const answer = await route.run(exchange);
    // a failure changed nothing, so a retry may try again; only what was done is kept
    if (answer.status >= 300 || answer.json === undefined) return answer;
    const kept = answer.replayJson ?? answer.json;
    const headers = Object.entries(answer.headers ?? {}).filter(([name]) => KEPT_HEADERS.includes(name));
    const stored: StoredAnswer = {
      requestHash,
      status: answer.status,
      headers: Object.fromEntries(headers),
      body: JSON.stringify(kept),
    };
    // the change is durable already: losing this note costs a later repetition its replay, not this answer
    await idempotency.save(keyId, key, stored, clock.now()).catch((error: unknown) => {
      logger.warn({ err: error, requestId: exchange.requestId }, 'an idempotency key could not be kept');
    });
    return answer;
  }
}

function repeat({ requestHash, status, headers, body }: StoredAnswer, wanted: string): Answer {
  if (requestHash !== wanted) {
    throw new AppError('IDEMPOTENCY_CONFLICT', 'this `Idempotency-Key` was used with another request', {
      problems: [
        { message: 'method, path, conditions or body differ from the first use', hint: 'use a new key' },
      ],
    });
  }
  const json: unknown = JSON.parse(body);
  return { status, headers: { ...headers, 'idempotency-replayed': 'true' }, json };
}

function hashOf({ method, url, headers }: RawExchange['incoming'], body: Buffer): string {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  const hasConditions = ifMatch !== undefined || ifNoneMatch !== undefined;
  // a target holds no space, so a request without conditions is never taken for one with them
  const conditions = hasConditions ? ` ${JSON.stringify([ifMatch ?? null, ifNoneMatch ?? null])}` : '';
  return createHash('sha256').update(`${method} ${url}${conditions}\n`).update(body).digest('hex');
}
