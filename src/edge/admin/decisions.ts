/**
 * Routes of the decision log: decisions and administrative events. Invariant: an entry is answered as its
 * leaf says it, with its place and hash beside it; a credential limited to tenants sees only theirs.
 */
import { z } from 'zod';
import { DECISION_FILTERS, type LoggedLeaf, type Page } from '../../decision-log/ports.ts';
import { type Parsed, parseDecisionQuery, parseEventQuery } from '../../decision-log/query-params.ts';
import { timestamp } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import {
  levelResultSchema,
  obligationSchema,
  reasonSchema,
  revisionSchema,
  verdictSchema,
} from '../../domain/decision.ts';
import { AppError } from '../../domain/errors.ts';
import { EVENT_KINDS } from '../../domain/log-entry.ts';
import { levelSchema } from '../../domain/reason.ts';
import { type Answer, type Route, route } from '../http/route.ts';
import { invalidRequest } from '../http/validation.ts';
import { pageOf } from './paging.ts';

const placeSchema = z
  .strictObject({ origin: z.string(), index: z.int(), leafHash: z.string() })
  .meta({ id: 'LogPlace', description: 'place in the log, with the RFC 6962 leaf hash in hex' });

const loggedDecisionSchema = z
  .looseObject({
    decisionId: z.string(),
    evaluatedAt: z.string(),
    log: placeSchema,
    decision: verdictSchema,
    reason: reasonSchema,
    levels: z.partialRecord(levelSchema, levelResultSchema),
    obligations: z.array(obligationSchema),
    revision: revisionSchema,
    request: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'LoggedDecision', description: 'the leaf (schema/log-entry.schema.json) with its place' });

const loggedEventSchema = z
  .looseObject({
    at: z.string(),
    log: placeSchema,
    kind: z.enum(EVENT_KINDS),
    actor: z.string(),
    subject: z.string(),
    tenant: z.string().optional(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'LoggedEvent' });

/** Documents the parameters; decision-log/query-params.ts parses them. */
const filter = z.string().optional().meta({ description: 'a comma means or, a leading `!` negates' });
const pageParameters = {
  from: z.iso.datetime({ offset: true }).optional().meta({ description: 'inclusive' }),
  to: z.iso.datetime({ offset: true }).optional().meta({ description: 'exclusive' }),
  limit: z.int().min(1).max(1000).optional(),
  order: z.enum(['desc', 'asc']).optional(),
  cursor: z.string().optional(),
};
const decisionQuery = z.strictObject({
  ...Object.fromEntries(DECISION_FILTERS.map(name => [name, filter])),
  ...pageParameters,
});
const eventQuery = z.strictObject({ kind: filter, ...pageParameters });

export function decisionRoutes(): readonly Route[] {
  return [listDecisions(), getDecision(), listEvents()];
}

function listDecisions(): Route {
  return route({
    method: 'GET',
    path: '/v1/decisions',
    operation: 'listDecisions',
    tag: 'log',
    summary: 'Decisions by time, parties and outcome',
    access: ['auditor'],
    query: decisionQuery,
    ownQuery: true,
    answers: { 200: { description: 'a page of decisions', schema: pageOf(loggedDecisionSchema) } },
    async handle({ services, credential, search }) {
      const query = checked(parseDecisionQuery(search, tenantsOf(credential)));
      return pageAnswer(await services.log.decisions(query), leaf => decisionText(leaf, services.logOrigin));
    },
  });
}

function getDecision(): Route {
  return route({
    method: 'GET',
    path: '/v1/decisions/{decisionId}',
    operation: 'getDecision',
    tag: 'log',
    summary: 'One decision with everything that it depended on',
    access: ['auditor'],
    answers: { 200: { description: 'the decision', schema: loggedDecisionSchema } },
    failures: ['NOT_FOUND'],
    async handle({ services, credential, param }) {
      const id = param('decisionId');
      const leaf = await services.log.decision(id, tenantsOf(credential));
      if (leaf === undefined) throw new AppError('NOT_FOUND', `there is no decision \`${id.slice(0, 64)}\``);
      return jsonText(decisionText(leaf, services.logOrigin));
    },
  });
}

function listEvents(): Route {
  return route({
    method: 'GET',
    path: '/v1/events',
    operation: 'listEvents',
    tag: 'log',
    summary: 'Administrative changes and events of the service itself',
    access: ['auditor'],
    query: eventQuery,
    ownQuery: true,
    answers: { 200: { description: 'a page of events', schema: pageOf(loggedEventSchema) } },
    async handle({ services, credential, search }) {
      const query = checked(parseEventQuery(search, tenantsOf(credential)));
      return pageAnswer(await services.log.events(query), leaf => eventText(leaf, services.logOrigin));
    },
  });
}

function checked<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.query;
  throw invalidRequest(parsed.problems);
}

function tenantsOf({ tenants }: Credential): readonly string[] | undefined {
  return tenants === undefined ? undefined : [...tenants];
}

function pageAnswer(page: Page<LoggedLeaf>, render: (leaf: LoggedLeaf) => string): Answer {
  const nextCursor = JSON.stringify(page.nextCursor);
  return jsonText(`{"items":[${page.items.map(render).join(',')}],"nextCursor":${nextCursor}}`);
}

function jsonText(text: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/json' }, text: `${text}\n` };
}

/** The leaf as it is stored, with the names that /decide uses for its id, time and place in front. */
function decisionText(leaf: LoggedLeaf, origin: string): string {
  return spliced(leaf, origin, { decisionId: leaf.content['id'], evaluatedAt: timeOf(leaf) });
}

function eventText(leaf: LoggedLeaf, origin: string): string {
  return spliced(leaf, origin, { at: timeOf(leaf) });
}

function spliced({ index, leafHash, json }: LoggedLeaf, origin: string, names: object): string {
  const front = JSON.stringify({ ...names, log: { origin, index, leafHash } });
  return `${front.slice(0, -1)},${json.slice(1)}`;
}

function timeOf({ content }: LoggedLeaf): string {
  const { time } = content;
  return timestamp(typeof time === 'number' ? time : 0);
}
