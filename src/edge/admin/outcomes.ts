/** Routes for gateways after an allow: how the call ended, and that it goes on. */
import {
  extendedSchema,
  extensionSchema,
  outcomeSchema,
  settledOutcomeSchema,
} from '../../domain/outcome.ts';
import { type Route, route } from '../http/route.ts';

export function outcomeRoutes(): readonly Route[] {
  return [reportOutcome(), extendDecision()];
}

function reportOutcome(): Route {
  return route({
    method: 'POST',
    path: '/v1/decisions/{decisionId}/outcome',
    operation: 'reportOutcome',
    tag: 'decisions',
    summary: 'How an allowed call ended: what was held is replaced by what was used; the first report counts',
    access: 'pep',
    body: { kind: 'json', schema: outcomeSchema },
    // repetitions are answered from the log
    keepsNothing: true,
    answers: { 200: { description: 'what was settled, now or before', schema: settledOutcomeSchema } },
    failures: ['NOT_FOUND', 'NO_OPEN_CALL', 'LOG_BACKPRESSURE', 'LOG_UNAVAILABLE', 'NOT_READY'],
    async handle({ services, credential, body, param }) {
      return { status: 200, json: await services.outcomes.report(param('decisionId'), body, credential) };
    },
  });
}

function extendDecision(): Route {
  return route({
    method: 'POST',
    path: '/v1/decisions/{decisionId}/extend',
    operation: 'extendDecision',
    tag: 'decisions',
    summary: 'An allowed call goes on: what it holds lasts from now on',
    access: 'pep',
    body: { kind: 'json', schema: extensionSchema },
    keepsNothing: true,
    answers: { 200: { description: 'until when it lasts', schema: extendedSchema } },
    failures: ['NOT_FOUND', 'NO_OPEN_CALL', 'LOG_BACKPRESSURE', 'LOG_UNAVAILABLE', 'NOT_READY'],
    async handle({ services, credential, body, param }) {
      const extended = await services.outcomes.extend(param('decisionId'), body.seconds, credential);
      return { status: 200, json: extended };
    },
  });
}
