/**
 * Routes of the decision log: decisions with their proofs, and administrative events. Invariants: an entry is
 * answered as its leaf says it, with its place and hash beside it, and persons in clear as far as they were not
 * erased; a credential limited to tenants sees only theirs.
 */
import { z } from 'zod';
import { entryView, type Opened } from '../../decision-log/entry-view.ts';
import {
  DECISION_FILTERS,
  type LoggedLeaf,
  type Page,
  type SignedCheckpoint,
} from '../../decision-log/ports.ts';
import { type Parsed, parseDecisionQuery, parseEventQuery } from '../../decision-log/query-params.ts';
import { LeafOpener, withPseudonyms } from '../../decision-log/query-subjects.ts';
import { formatTlogProof } from '../../decision-log/tlog-proof.ts';
import { Pacer } from '../../directory/pacing.ts';
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
import type { JsonValue } from '../../domain/json.ts';
import { EVENT_KINDS } from '../../domain/log-entry.ts';
import { levelSchema } from '../../domain/reason.ts';
import { type Answer, type Route, route } from '../http/route.ts';
import type { Services } from '../http/services.ts';
import { invalidRequest } from '../http/validation.ts';
import { TEXT_TYPE } from './log-tree.ts';
import { pageOf } from './paging.ts';

const placeSchema = z
  .strictObject({ origin: z.string(), index: z.int(), leafHash: z.string() })
  .meta({ id: 'LogPlace', description: 'place in the log, with the RFC 6962 leaf hash in hex' });

/** The place of an entry that is answered alone. */
const provenPlaceSchema = placeSchema
  .extend({
    leaf: z.string().meta({ description: 'the exact leaf: what `leafHash` covers' }),
    openings: z.array(z.string()).meta({
      description: 'disclosures (RFC 9901) of the digests in the leaf, as far as they were not erased',
    }),
  })
  .meta({ id: 'LogPlaceWithLeaf' });

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
  .meta({ id: 'LoggedDecision', description: 'what the leaf says, in full, with its place' });

const singleDecisionSchema = loggedDecisionSchema
  .extend({ log: provenPlaceSchema })
  .meta({ id: 'LoggedDecisionWithLeaf' });

const loggedEventSchema = z
  .looseObject({
    at: z.string(),
    log: placeSchema,
    kind: z.enum(EVENT_KINDS),
    actor: z.string(),
    subject: z.string(),
    tenant: z.string().optional(),
    details: z.record(z.string(), z.unknown()),
    stores: z
      .object({ state: z.int(), subjects: z.int() })
      .optional()
      .meta({ description: 'changes that `state.db` and `subjects.db` had when it was appended' }),
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
  return [listDecisions(), getDecision(), getDecisionProof(), listEvents()];
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
      const asked = checked(parseDecisionQuery(search, tenantsOf(credential)));
      const query = await withPseudonyms(asked, services.subjects);
      return pageAnswer(services, await services.log.decisions(query), decisionNames);
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
    answers: { 200: { description: 'the decision', schema: singleDecisionSchema } },
    failures: ['NOT_FOUND'],
    async handle({ services, credential, param }) {
      const leaf = await findDecision(services, param('decisionId'), credential);
      const opener = new LeafOpener(services);
      opener.takeIn(leaf);
      await opener.fetch();
      const opened = opener.open(leaf);
      const place = { leaf: leaf.json, openings: opened.disclosures };
      return jsonText(entryText(leaf, opened, services.logOrigin, decisionNames(leaf), place));
    },
  });
}

function getDecisionProof(): Route {
  return route({
    method: 'GET',
    path: '/v1/decisions/{decisionId}/proof',
    operation: 'getDecisionProof',
    tag: 'log',
    summary: 'Proof that the log holds the decision, as c2sp.org/tlog-proof@v1 with the leaf as `extra`',
    access: ['auditor'],
    answers: { 200: { description: 'to be kept as a `.tlog-proof` file', type: TEXT_TYPE } },
    failures: ['NOT_FOUND', 'LOG_UNAVAILABLE'],
    async handle({ services, credential, param }) {
      const { index, json } = await findDecision(services, param('decisionId'), credential);
      const { tree, cosigned, signCheckpoint } = services.evidence;
      const seen = cosigned();
      // What a witness has seen says more. One signed now is of a tree that holds the entry, since it was found.
      const { checkpoint, note } =
        seen !== undefined && seen.checkpoint.size > index ? seen : freshly(await signCheckpoint());
      const { size } = checkpoint;
      const hashes = await tree.inclusionProof(index, size);
      const proof = { index, hashes, checkpoint: note, extra: Buffer.from(json) };
      return { status: 200, headers: { 'content-type': TEXT_TYPE }, text: formatTlogProof(proof) };
    },
  });
}

function freshly(checkpoint: SignedCheckpoint) {
  return { checkpoint, note: checkpoint.note };
}

/** @throws AppError NOT_FOUND, which says so where retention may have removed it */
async function findDecision(services: Services, id: string, credential: Credential): Promise<LoggedLeaf> {
  const leaf = await services.log.decision(id, tenantsOf(credential));
  if (leaf !== undefined) return leaf;
  const message = `there is no decision \`${id.slice(0, 64)}\``;
  const [time, keptSince] = [timeOfId(id), await keptTime(services)];
  if (time === undefined || keptSince === undefined || time >= keptSince) {
    throw new AppError('NOT_FOUND', message);
  }
  throw new AppError(
    'NOT_FOUND',
    `${message}: its id is of ${timestamp(time)}, and retention removed what is older than ${timestamp(keptSince)}`,
  );
}

/** Time of the first entry that is kept; undefined when nothing was removed. */
async function keptTime({ evidence }: Services): Promise<number | undefined> {
  if ((await evidence.tree.firstKept()) === 0) return undefined;
  return (await evidence.tree.shards()).find(shard => shard.kept)?.from;
}

/** When an id was made: ids of decisions are UUIDs of version 7 (RFC 9562 §5.7). */
function timeOfId(id: string): number | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.exec(id);
  return match === null ? undefined : Number.parseInt(`${match[1]}${match[2]}`, 16);
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
      return pageAnswer(services, await services.log.events(query), eventNames);
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

/** What an answer has in front of an entry. */
type Names = (leaf: LoggedLeaf) => Readonly<Record<string, JsonValue | undefined>>;

async function pageAnswer(services: Services, page: Page<LoggedLeaf>, names: Names): Promise<Answer> {
  const opener = new LeafOpener(services);
  const pacer = new Pacer(services.clock);
  for (const leaf of page.items) {
    opener.takeIn(leaf);
    if (pacer.due) await pacer.pause();
  }
  await opener.fetch();
  const items: string[] = [];
  for (const leaf of page.items) {
    items.push(entryText(leaf, opener.open(leaf), services.logOrigin, names(leaf)));
    if (pacer.due) await pacer.pause();
  }
  return jsonText(`{"items":[${items.join(',')}],"nextCursor":${JSON.stringify(page.nextCursor)}}`);
}

function jsonText(text: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/json' }, text: `${text}\n` };
}

/** The names that /decide uses for id and time. */
const decisionNames: Names = leaf => ({ decisionId: leaf.content['id'], evaluatedAt: timeOf(leaf) });

const eventNames: Names = leaf => ({ at: timeOf(leaf) });

/** What an entry says, with names and place in front. @param more of its place */
function entryText(
  { index, leafHash, json, content }: LoggedLeaf,
  opened: Opened,
  origin: string,
  names: ReturnType<Names>,
  more: object = {},
): string {
  const front = JSON.stringify({ ...names, log: { origin, index, leafHash, ...more } });
  const view = entryView(content, opened);
  // What is shown as it is stored needs no second serialisation.
  const body = view === content ? json : JSON.stringify(view);
  return `${front.slice(0, -1)},${body.slice(1)}`;
}

function timeOf({ content }: LoggedLeaf): string {
  const { time } = content;
  return timestamp(typeof time === 'number' ? time : 0);
}
