/**
 * The golden corpus through every edge that gateways ask at. Invariants: what a case comes to is what each edge answers;
 * its entry is that of POST /decide; what an edge cannot say is listed by name, so that the list cannot grow unseen.
 */
import { createHash } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Decision, decisionSchema } from '../../src/domain/decision.ts';
import { type CorpusCase, readCases } from './corpus.ts';
import { type CorpusService, startCorpusService } from './corpus-service.ts';
import { express } from './edges/client-request.ts';
import { EDGES, profileOf } from './edges/edges.ts';
import inexpressible from './edges/inexpressible.json' with { type: 'json' };
import { expected, observe } from './expectation.ts';

/** How long an entry may take until lists show it, in milliseconds. */
const LIST_DEADLINE_MS = 30_000;

const cases = readCases();
const expressible = cases.flatMap(one => {
  const said = express(one);
  return 'request' in said ? [{ title: one.title, one, request: said.request }] : [];
});
const models = [...new Set(cases.map(({ request }) => request.resource.id))];
/** Each way in which callers are named has a profile at each edge. */
const names = new Map(expressible.map(({ request }) => [JSON.stringify(request.by), request.by]));

/** How many of the cases each edge can tell. */
const TOLD: Readonly<Record<string, number>> = {
  'Envoy over HTTP': 118,
  'Envoy over gRPC': 118,
  'agentgateway over HTTP': 118,
  'agentgateway over gRPC': 118,
  'nginx with njs': 118,
  'nginx with auth_request': 55,
  Caddy: 55,
  Traefik: 118,
  HAProxy: 118,
  APISIX: 118,
  Kong: 118,
  Portkey: 41,
  LiteLLM: 29,
};

const entrySchema = z.looseObject({
  decisionId: z.string(),
  httpRequestId: z.string(),
  limits: z.array(z.looseObject({ remaining: z.number() })).optional(),
  request: z.looseObject({ context: z.looseObject({ input: z.looseObject({}), params: z.looseObject({}) }) }),
});
type Entry = z.output<typeof entrySchema>;

let service: CorpusService;
let client: Client;
let keys: { readonly asserting: string; readonly plain: string };

beforeAll(async () => {
  const profiles = EDGES.flatMap((edge, at) =>
    [...names.values()].map((by, way) => profileOf(edge, by, `e${at}-${way}`, models)),
  );
  service = await startCorpusService({
    DURAMEN_PEP_PROFILES: JSON.stringify(profiles),
    DURAMEN_GRPC_LISTEN: '127.0.0.1:0',
  });
  client = new Client(service.running.grpcAddress ?? '', credentials.createInsecure());
  keys = { asserting: await service.makeKey(true), plain: await service.makeKey(false) };
});
afterAll(async () => {
  client.close();
  await service.stop();
});

/** The entry of a decision; of one whose id the answer does not tell, by the id of the question. */
async function entryOf(decisionId: string | undefined, requestId: string): Promise<Entry> {
  if (decisionId !== undefined) {
    const answer = await service.call('GET', `/v1/decisions/${decisionId}`);
    return entrySchema.parse(await answer.json());
  }
  const page = z.object({ items: z.array(z.looseObject({ httpRequestId: z.string().optional() })) });
  for (const deadline = Date.now() + LIST_DEADLINE_MS; Date.now() < deadline; ) {
    const answer = await service.call('GET', '/v1/decisions?limit=1&order=desc');
    const [newest] = page.parse(await answer.json()).items;
    if (newest?.httpRequestId === requestId) return entrySchema.parse(newest);
  }
  throw new Error('the entry does not appear');
}

/** What an entry says of the decision, without what each entry has for itself: each takes from the same limits. */
function comparable({
  decisionId: _decision,
  id: _id,
  log: _log,
  httpRequestId: _http,
  ...rest
}: Entry): object {
  const limits = rest.limits?.map(({ remaining: _remaining, ...limit }) => limit);
  return { ...rest, limits };
}

/** The case through POST /decide, with the input and the parameters that the edge saw: what to ask. */
function question(one: CorpusCase, entry: Entry, shown: string): string {
  const { input, params } = entry.request.context;
  const hash = `sha256:${createHash('sha256').update(shown).digest('hex')}`;
  const { maxOutputTokens } = one.request.params ?? {};
  return JSON.stringify({
    ...one.request,
    input: { ...input, ...(shown === '' ? {} : { hash }) },
    // the context has a bound that nobody set
    params: { ...params, maxOutputTokens },
  });
}

/** What POST /decide says of a question, and its entry. Edges that tell the same share it. */
class Decided {
  readonly #known = new Map<string, { readonly decision: Decision; readonly entry: Entry }>();

  async of(body: string, key: string): Promise<{ readonly decision: Decision; readonly entry: Entry }> {
    const known = this.#known.get(body);
    if (known !== undefined) return known;
    const answer = await service.call('POST', '/decide', body, { key });
    const decision = decisionSchema.parse(await answer.json());
    const made = { decision, entry: await entryOf(decision.decisionId, '') };
    this.#known.set(body, made);
    return made;
  }
}

describe('a case comes to the same', () => {
  test.each(expressible)('$title', async ({ one, request }) => {
    service.setTime(one.now);
    const way = [...names.keys()].indexOf(JSON.stringify(request.by));
    const key = request.by.auth === undefined ? keys.plain : keys.asserting;
    const decided = new Decided();
    for (const [at, edge] of EDGES.entries()) {
      if (edge.cannot(request) !== undefined) continue;
      const requestId = `${edge.kind}-${at}-${one.title.replaceAll(/[^a-z]/g, '')}`;
      const asker = { url: service.running.url, client, profile: `e${at}-${way}`, key, requestId };
      const told = await edge.ask(asker, request);
      const entry = await entryOf(told.decisionId, requestId);
      const { decision, entry: same } = await decided.of(question(one, entry, edge.shown(request)), key);
      expect({ edge: edge.name, allowed: told.isAllowed }).toEqual({
        edge: edge.name,
        allowed: one.expect.decision === 'allow',
      });
      expect(entry.httpRequestId).toBe(requestId);
      expect(observe(decision, one.expect)).toEqual(expected(one.expect));
      expect({ edge: edge.name, ...comparable(entry) }).toEqual({ edge: edge.name, ...comparable(same) });
    }
  });
});

describe('what cannot be said', () => {
  test('is listed by name', () => {
    const reasons = Object.groupBy(
      cases.flatMap(one => {
        const said = express(one);
        return 'reason' in said ? [{ title: one.title, reason: said.reason }] : [];
      }),
      ({ reason }) => reason,
    );
    const titles = Object.entries(reasons).map(([reason, list = []]) => [
      reason,
      list.map(({ title }) => title),
    ]);
    expect(Object.fromEntries(titles)).toEqual(inexpressible);
  });

  test('leaves each edge with as many cases as it can tell', () => {
    const told = EDGES.map(({ name, cannot }) => [
      name,
      expressible.filter(({ request }) => cannot(request) === undefined).length,
    ]);
    expect(cases.length).toBe(271);
    expect(Object.fromEntries(told)).toEqual(TOLD);
  });
});
