/**
 * Real gateways under load while the service stops and starts again. Invariants: what is denied never passes, and each
 * request that reached the upstream has an allow in the log.
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { startTestService, temporaryFolder, type TestService } from '../service.ts';
import { ASSERTS, ask, type Question } from './asking.ts';
import {
  type GatewayName,
  type GatewayProcess,
  type Received,
  runsHere,
  startGateway,
  startUpstream,
  type Upstream,
} from './gateway-process.ts';
import { freePort } from '../../loopback-port.ts';

const SHARED: Pick<PepProfileInput, 'identity' | 'dialects'> = {
  identity: ASSERTS,
  dialects: ['torchserve'],
};
const ORIGINAL = { method: 'x-original-method', uri: 'x-original-uri', host: 'x-original-host' };
const SOURCE = { kind: 'headers', ...ORIGINAL, normalizedUri: 'x-normalized-uri' } as const;
const BODY = { body: 'whole', bodyLength: 'x-original-content-length' } as const;
const PROFILES: readonly PepProfileInput[] = [
  { ...SHARED, name: 'nginx', kind: 'nginx', source: SOURCE },
  { ...SHARED, ...BODY, name: 'njs', kind: 'nginx', source: SOURCE },
  { ...SHARED, name: 'caddy', kind: 'caddy' },
  { ...SHARED, ...BODY, name: 'haproxy', kind: 'haproxy' },
];
const NAMES = (['nginx', 'njs', 'caddy', 'haproxy'] as const).filter(name => runsHere(name));
/** Requests that each gateway has in hand at a time. */
const LANES = 4;
/** Answers of each kind that each gateway must have given before the next phase begins: HAProxy tries for seconds. */
const PASSED = 25;
const FAILED = 1;
/** Between two requests of a lane, in milliseconds: a load that leaves room for the service. */
const PAUSE_MS = 50;
/** How long a phase may take, in milliseconds. */
const PHASE_MS = 50_000;

const headers = { authorization: 'Bearer alice-token', 'content-type': 'application/json' };
const MAY: Question = { path: '/predictions/acme%2Fsupport-llm', headers, body: '{}' };
const MAY_NOT: Question = { path: '/predictions/globex%2Fdemand', headers, body: '{}' };

let folder: string;
let env: Readonly<Record<string, string>>;
let service: TestService;
let upstream: Upstream;
let gateways: ReadonlyMap<GatewayName, GatewayProcess>;

beforeAll(async () => {
  folder = temporaryFolder();
  const pdpPort = await freePort();
  env = {
    DURAMEN_HTTP_LISTEN: `127.0.0.1:${pdpPort}`,
    DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES),
    DURAMEN_SHUTDOWN_GRACE_SECONDS: '1',
  };
  service = await startTestService({ folder, env, filled: true });
  const key = await service.makeKey(['pep']);
  upstream = await startUpstream();
  const started = NAMES.map(async name => {
    const settings = { pdpPort, upstreamPort: upstream.port, key, isImpatient: true };
    return [name, await startGateway(name, settings)] as const;
  });
  gateways = new Map(await Promise.all(started));
});
afterAll(async () => {
  for (const gateway of gateways.values()) await gateway.stop();
  await upstream.stop();
  await service.stop();
  rmSync(folder, { recursive: true });
});

/** Statuses by gateway, in the phase that is counted now. */
class Tally {
  readonly #statuses = new Map<GatewayName, { may: number[]; mayNot: number[] }>();

  add(name: GatewayName, isAllowed: boolean, status: number): void {
    const known = this.of(name);
    (isAllowed ? known.may : known.mayNot).push(status);
  }

  of(name: GatewayName): { may: number[]; mayNot: number[] } {
    const known = this.#statuses.get(name) ?? { may: [], mayNot: [] };
    this.#statuses.set(name, known);
    return known;
  }
}

test.skipIf(NAMES.length === 0)(
  'lets nothing pass that was not allowed, before, during and after',
  async () => {
    let tally = new Tally();
    const load = { isOver: false };
    const lane = async (name: GatewayName, url: string): Promise<void> => {
      for (let turn = 0; !load.isOver; turn += 1) {
        const isAllowed = turn % 2 === 0;
        const counted = tally;
        const { status } = await ask(url, isAllowed ? MAY : MAY_NOT);
        counted.add(name, isAllowed, status);
        await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
      }
    };
    const lanes = [...gateways].flatMap(([name, { url }]) =>
      Array.from({ length: LANES }, () => lane(name, url)),
    );
    const reached: Received[] = [];
    /** Goes on until every gateway has given enough answers of this kind. */
    const phase = async (
      what: string,
      isEnough: (statuses: readonly number[]) => boolean,
    ): Promise<Tally> => {
      const own = new Tally();
      tally = own;
      for (const end = performance.now() + PHASE_MS; !NAMES.every(name => isEnough(own.of(name).may)); ) {
        if (performance.now() > end) {
          load.isOver = true;
          await Promise.allSettled(lanes);
          throw new Error(
            `it never came true: ${what}: ${JSON.stringify(NAMES.map(name => own.of(name).may))}`,
          );
        }
        await new Promise(resolve => setTimeout(resolve, 10));
      }
      reached.push(...upstream.take());
      return own;
    };
    const passes = (statuses: readonly number[]): boolean =>
      statuses.filter(one => one === 200).length >= PASSED;
    const fails = (statuses: readonly number[]): boolean =>
      statuses.filter(one => one >= 500).length >= FAILED;

    const before = await phase('allowed requests pass', passes);
    const stopping = service.stop();
    const down = await phase('requests fail while the service is down', fails);
    await stopping;
    service = await startTestService({ folder, env });
    const after = await phase('allowed requests pass again', passes);
    load.isOver = true;
    await Promise.all(lanes);
    reached.push(...upstream.take());

    for (const name of NAMES) {
      for (const each of [before, down, after]) {
        expect({ name, passed: each.of(name).mayNot.filter(status => status < 400) }).toEqual({
          name,
          passed: [],
        });
      }
      // what was denied before is denied afterwards, and not only refused for want of the service
      expect(after.of(name).mayNot).toContain(403);
    }
    expect(new Set(reached.map(({ url }) => url))).toEqual(new Set([MAY.path]));
    const ids = new Set(reached.map(one => one.headers['x-duramen-decision-id'] ?? ''));
    expect(ids.size).toBe(reached.length);
    const entry = z.looseObject({ decision: z.string() });
    for (const id of ids) {
      const { json } = await service.call('GET', `/v1/decisions/${id}`);
      expect(entry.parse(json).decision).toBe('allow');
    }
  },
);
