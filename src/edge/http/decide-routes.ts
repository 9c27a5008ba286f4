/**
 * /decide as entries of the route table: for the OpenAPI document, for 405, and for requests with a query
 * string, which miss the fast path of decide.ts and are refused like on any other route.
 */
import { z } from 'zod';
import { decisionSchema } from '../../domain/decision.ts';
import { batchRequestSchema } from '../../domain/decision-request.ts';
import type { ErrorCode } from '../../domain/errors.ts';
import { decideBody, decideBodySchema } from './decide-body.ts';
import { BATCH_PATH, DECIDE_PATH, decideItem } from './decide.ts';
import { traceOf } from './request-headers.ts';
import { type Exchange, type Route, route } from './route.ts';

const FAILURES: readonly ErrorCode[] = [
  'TENANT_NOT_ALLOWED',
  'ASSERTION_NOT_ALLOWED',
  'REQUEST_ID_CONFLICT',
  'LOG_UNAVAILABLE',
  'LOG_BACKPRESSURE',
  'NOT_READY',
];

const batchAnswerSchema = z
  .strictObject({
    decisions: z.array(
      z.union([decisionSchema, z.strictObject({ error: z.record(z.string(), z.unknown()) })]),
    ),
  })
  .meta({ id: 'BatchAnswer' });

export function decideRoutes(): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: DECIDE_PATH,
      operation: 'decide',
      tag: 'decisions',
      summary: 'Decide: may this principal do this, at the levels endpoint, tenant and action?',
      access: 'pep',
      body: { kind: 'json', schema: decideBodySchema },
      answers: {
        200: {
          description: 'the decision, allow and deny alike',
          schema: decisionSchema,
          headers: {
            'X-Duramen-Decision': '`allow` or `deny`',
            'X-Duramen-Decision-Id': 'id of the decision',
            'X-Duramen-Log':
              '`<origin> <index> <size>`: the place in the log, and the size of a tree that includes it; a gateway ' +
              'that writes it down can have it proven later',
            'X-Duramen-Reason': 'code of the reason',
          },
        },
      },
      failures: FAILURES,
      async handle(exchange) {
        return {
          status: 200,
          json: await decideBody(exchange.services, exchange.body, callerOf(exchange)),
        };
      },
    }),
    route({
      method: 'POST',
      path: BATCH_PATH,
      operation: 'decideBatch',
      tag: 'decisions',
      summary: 'Up to 100 decisions in one request, in order; a bad item is an `error` at its place',
      access: 'pep',
      body: { kind: 'json', schema: batchRequestSchema },
      answers: { 200: { description: 'decisions and errors', schema: batchAnswerSchema } },
      failures: ['LOG_UNAVAILABLE', 'NOT_READY'],
      async handle(exchange) {
        const caller = callerOf(exchange);
        const items = exchange.body.requests.map(item => decideItem(exchange.services, item, caller));
        return { status: 200, json: { decisions: await Promise.all(items) } };
      },
    }),
  ];
}

function callerOf({ credential, requestId, incoming }: Exchange<unknown, unknown>) {
  const trace = traceOf(incoming);
  return { credential, httpRequestId: requestId, ...(trace === undefined ? {} : { trace }) };
}
