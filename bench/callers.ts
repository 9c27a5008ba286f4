/** The benchmark of callers: the same decisions with an asserted principal, a verified key, and a verified token. */
import { z } from 'zod';
import type { LoadResult } from './client.ts';
import type { HttpPlan } from './http.ts';
import { type BenchIssuer, startIssuer } from './issuer.ts';
import { median } from './median.ts';
import { load, type RunningService, startService } from './process.ts';
import { call } from './setup.ts';
import { requests, tenantName } from './world.ts';

export interface CallerFigures {
  /** Requests per second with an asserted principal. */
  readonly assertedPerSecond: number;
  /** Medians over the rounds of verified / asserted. */
  readonly keyRatio: number;
  readonly tokenRatio: number;
  /** At one rate: the median latency of requests whose token is seen for the first time, and of asserted ones. */
  readonly firstSeen: {
    readonly perSecond: number;
    readonly tokenP50Ms: number;
    readonly assertedP50Ms: number;
  };
  /** Processor time of a request as a share of one with an asserted principal: what the ratios come to without noise. */
  readonly work: { readonly key: number; readonly token: number };
  readonly failures: number;
}

/** Callers with a key and a token each: all of them stay verified during the run. */
const CALLERS = 300;
const BODIES = 20_000;
/** Requests per second and seconds of the run in which every token is new. */
const FIRST_SEEN_RATE = 500;
const FIRST_SEEN_SECONDS = 4;

const made = z.object({ key: z.string() });
const bodySchema = z.looseObject({
  principal: z.object({ type: z.string(), id: z.string() }),
  auth: z.unknown(),
});

type Kind = 'asserted' | 'key' | 'token';
const KINDS: readonly Kind[] = ['asserted', 'key', 'token'];

/** @param key of a gateway that may assert and forward */
export async function benchCallers(
  plan: HttpPlan,
  dataDir: string,
  key: string,
  say: (line: string) => void,
): Promise<CallerFigures> {
  const tenants = Array.from({ length: plan.size.tenants }, (_, at) => tenantName(at));
  const issuer = await startIssuer(tenants);
  const service = await startService(dataDir, issuer.env, true);
  try {
    const bodies = await makeBodies(plan, service, issuer);
    const run = (kind: Kind, seconds: number): Promise<LoadResult> =>
      load({ ...target(service, key), bodies: bodies[kind], connections: plan.connections, seconds });
    // one unmeasured round each: compiles the code, and verifies every token once
    for (const kind of KINDS) await run(kind, plan.seconds / 2);
    const rounds: Record<Kind, LoadResult>[] = [];
    const work: Record<Kind, number[]> = { asserted: [], key: [], token: [] };
    const measure = async (kind: Kind): Promise<LoadResult> => {
      const before = service.processorSeconds();
      const result = await run(kind, plan.seconds / 2);
      work[kind].push((service.processorSeconds() - before) / result.requests);
      return result;
    };
    for (let round = 0; round < plan.rounds; round++) {
      const asserted = await measure('asserted');
      const measured = {
        asserted,
        key: await measure('key'),
        token: await measure('token'),
      };
      rounds.push(measured);
      say(
        `callers, round ${round + 1}: asserted ${asserted.perSecond.toFixed(0)}/s, key ${ratio(measured, 'key').toFixed(3)}, token ${ratio(measured, 'token').toFixed(3)}`,
      );
    }
    const firstSeen = await measureFirstSeen(plan, service, issuer, key);
    say(
      `first seen tokens at ${firstSeen.perSecond}/s: p50 ${firstSeen.tokenP50Ms.toFixed(2)} ms, asserted ${firstSeen.assertedP50Ms.toFixed(2)} ms`,
    );
    return {
      assertedPerSecond: median(rounds.map(({ asserted }) => asserted.perSecond)),
      keyRatio: median(rounds.map(round => ratio(round, 'key'))),
      tokenRatio: median(rounds.map(round => ratio(round, 'token'))),
      firstSeen,
      work: {
        key: median(work.key) / median(work.asserted),
        token: median(work.token) / median(work.asserted),
      },
      failures: rounds.flatMap(round => KINDS.map(kind => round[kind].failures)).reduce((a, b) => a + b, 0),
    };
  } finally {
    await service.stop();
    await issuer.stop();
  }
}

function ratio(round: Record<Kind, LoadResult>, kind: Kind): number {
  return round[kind].perSecond / round.asserted.perSecond;
}

function target(service: RunningService, key: string) {
  return { port: service.port, path: '/decide', headers: { authorization: `Bearer ${key}` } };
}

/** The same requests three times: the principal named, proven by a key, proven by a token. */
async function makeBodies(
  plan: HttpPlan,
  service: RunningService,
  issuer: BenchIssuer,
): Promise<Readonly<Record<Kind, readonly string[]>>> {
  const asked = requests(plan.size, BODIES, 7).map(body => bodySchema.parse(JSON.parse(body)));
  const names = [...new Set(asked.map(({ principal }) => principal.id))].slice(0, CALLERS);
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const credentials = new Map<string, { readonly key: object; readonly token: object }>();
  for (const id of names) {
    const request = { owner: { type: 'User', id }, expiresAt, oauthScopes: ['model:invoke'] };
    const { key } = made.parse(await call(service, 'POST', '/v1/caller-keys', JSON.stringify(request)));
    const token = await issuer.token(id);
    credentials.set(id, { key: { kind: 'api_key', key }, token: { kind: 'jwt', token } });
  }
  const bodies: Record<Kind, string[]> = { asserted: [], key: [], token: [] };
  for (const { principal, auth, ...rest } of asked) {
    const credential = credentials.get(principal.id);
    if (credential === undefined) continue;
    bodies.asserted.push(JSON.stringify({ principal, auth, ...rest }));
    bodies.key.push(JSON.stringify({ credential: credential.key, ...rest }));
    bodies.token.push(JSON.stringify({ credential: credential.token, ...rest }));
  }
  return bodies;
}

/** A load whose every token is new, beside one with asserted principals, at a rate that both keep up with. */
async function measureFirstSeen(
  plan: HttpPlan,
  service: RunningService,
  issuer: BenchIssuer,
  key: string,
): Promise<CallerFigures['firstSeen']> {
  const asked = requests(plan.size, FIRST_SEEN_RATE * FIRST_SEEN_SECONDS * 2, 8);
  const bodies: Record<'asserted' | 'token', string[]> = { asserted: [], token: [] };
  for (const body of asked) {
    const { principal, auth: _auth, ...rest } = bodySchema.parse(JSON.parse(body));
    bodies.asserted.push(body);
    const credential = { kind: 'jwt', token: await issuer.token(principal.id) };
    bodies.token.push(JSON.stringify({ credential, ...rest }));
  }
  const options = {
    ...target(service, key),
    connections: plan.connections,
    seconds: FIRST_SEEN_SECONDS,
    rate: FIRST_SEEN_RATE,
  };
  const asserted = await load({ ...options, bodies: bodies.asserted });
  const token = await load({ ...options, bodies: bodies.token });
  if (token.requests > bodies.token.length) throw new Error('a token was sent twice');
  return { perSecond: FIRST_SEEN_RATE, tokenP50Ms: token.p50, assertedP50Ms: asserted.p50 };
}
