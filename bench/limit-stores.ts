/**
 * The benchmark of limits over HTTP: the same decisions without limits, with six that match each, counted in memory
 * and in a Redis on loopback. All three run beside each other and take turns: noise hits them alike.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { freePort } from '../test/loopback-port.ts';
import type { HttpPlan } from './http.ts';
import { median } from './median.ts';
import { load, processorSeconds, type RunningService, startService } from './process.ts';
import { call, fill, platformBundle } from './setup.ts';
import { type Bar, bar } from './table.ts';
import { requests } from './world.ts';

type Store = 'none' | 'memory' | 'redis';
const STORES: readonly Store[] = ['none', 'memory', 'redis'];

/** Six limits of four kinds that every request meets, and none reaches. */
const LIMITS = {
  limits: [
    {
      id: 'principal-second',
      kind: 'window',
      unit: 'requests',
      limit: 1_000_000,
      per: '1s',
      key: ['principal'],
    },
    {
      id: 'principal-minute',
      kind: 'window',
      unit: 'requests',
      limit: 9_000_000,
      per: '60s',
      key: ['principal', 'model'],
    },
    {
      id: 'tenant-rate',
      kind: 'rate',
      unit: 'requests',
      limit: 1_000_000,
      per: '1s',
      burst: 1_000_000,
      key: ['tenant'],
    },
    { id: 'model-minute', kind: 'window', unit: 'requests', limit: 9_000_000, per: '60s', key: ['model'] },
    {
      id: 'tenant-day',
      kind: 'quota',
      unit: 'requests',
      limit: 1_000_000_000,
      period: 'day',
      key: ['tenant'],
    },
    {
      id: 'tenant-tokens',
      kind: 'quota',
      unit: 'tokens',
      limit: 1_000_000_000_000,
      period: 'month',
      key: ['tenant'],
    },
  ],
};

const REDIS = 'redis-server';
/** Rounds that are counted: many short ones, since noise comes and goes. */
const ROUNDS = 15;
/** Turns, as multiples of the plan's seconds: a measured one, and one before, since a service is compiled for long. */
const TURN = 0.25;
const WARM_TURN = 2;
/** What nobody settles is held for this many seconds: as long as a call may take. */
const HOLD_SECONDS = '10';

const answerSchema = z.object({
  limits: z.array(z.object({ degraded: z.literal(true).optional() })).default([]),
});

export interface LimitStoreFigures {
  readonly perSecond: Readonly<Record<Store, number>>;
  /** Medians over the rounds of limited / without limits. */
  readonly ratio: Readonly<Record<'memory' | 'redis', number>>;
  readonly p99Ms: Readonly<Record<Store, number>>;
  /** Processor time of the service for one decision, in microseconds: what the ratios come to without noise. */
  readonly workUs: Readonly<Record<Store, number>>;
  /** The same of Redis itself. */
  readonly redisUs: number;
  readonly failures: number;
}

export async function benchLimitStores(
  plan: HttpPlan,
  say: (line: string) => void,
): Promise<LimitStoreFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-limits-'));
  const redisPort = await freePort();
  const redis = startRedis(redisPort);
  const services = new Map<Store, RunningService>();
  try {
    const key = await fillFolders(folder, plan);
    for (const store of STORES) {
      const env = {
        DURAMEN_LIMITS_HOLD_SECONDS: HOLD_SECONDS,
        DURAMEN_LIMITS_REDIS_NODES: store === 'redis' ? `redis://127.0.0.1:${redisPort}` : '',
        // this measures what Redis costs, not what happens when the machine has no time for it
        DURAMEN_LIMITS_REDIS_TIMEOUT_MS: '2000',
      };
      services.set(store, await startService(join(folder, store), env, true));
    }
    return await measure(plan, services, () => processorSeconds(redis), key, say);
  } finally {
    for (const service of services.values()) await service.stop();
    redis.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same world in a folder for each store; two of them with limits. @returns a key of a gateway */
async function fillFolders(folder: string, plan: HttpPlan): Promise<string> {
  const none = join(folder, 'none');
  mkdirSync(none);
  const first = await startService(none, {}, false);
  const key = await fill(first, plan.size);
  await first.stop();
  const memory = join(folder, 'memory');
  cpSync(none, memory, { recursive: true });
  const limited = await startService(memory, {}, true);
  const { manifest, files } = platformBundle();
  const bundle = { manifest, files: { ...files, 'limits.json': JSON.stringify(LIMITS) } };
  await call(limited, 'POST', '/v1/bundles?activate=true', JSON.stringify(bundle));
  await limited.stop();
  cpSync(memory, join(folder, 'redis'), { recursive: true });
  return key;
}

async function measure(
  plan: HttpPlan,
  services: ReadonlyMap<Store, RunningService>,
  redisSeconds: () => number,
  key: string,
  say: (line: string) => void,
): Promise<LimitStoreFigures> {
  const bodies = requests(plan.size, 20_000, 7);
  const perSecond: Record<Store, number[]> = { none: [], memory: [], redis: [] };
  const p99: Record<Store, number[]> = { none: [], memory: [], redis: [] };
  const work: Record<Store, number[]> = { none: [], memory: [], redis: [] };
  const redis: number[] = [];
  let failures = 0;
  // the first round warms up and is not counted
  for (let round = 0; round <= ROUNDS; round++) {
    // each goes first as often as the others
    const order = [...services];
    for (const [store, service] of [
      ...order.slice(round % order.length),
      ...order.slice(0, round % order.length),
    ]) {
      const { port } = service;
      const headers = { authorization: `Bearer ${key}` };
      const options = { port, path: '/decide', headers, bodies, connections: plan.connections };
      const [before, redisBefore] = [service.processorSeconds(), redisSeconds()];
      const turn = round === 0 ? WARM_TURN : TURN;
      const result = await load({ ...options, seconds: plan.seconds * turn });
      const [spent, redisSpent] = [service.processorSeconds() - before, redisSeconds() - redisBefore];
      failures += result.failures;
      await requireLimits(store, port, key, bodies[0] ?? '');
      if (round === 0) continue;
      perSecond[store].push(result.perSecond);
      p99[store].push(result.p99);
      work[store].push((spent * 1e6) / result.requests);
      if (store === 'redis') redis.push((redisSpent * 1e6) / result.requests);
    }
    if (round > 0)
      say(
        `limits, round ${round}: ${STORES.map(store => `${store} ${perSecond[store].at(-1)?.toFixed(0)}/s`).join(', ')}`,
      );
  }
  const ratioOf = (store: Store): number =>
    median(perSecond[store].map((value, round) => value / (perSecond.none[round] ?? Number.NaN)));
  const medians = (values: Record<Store, number[]>): Record<Store, number> => ({
    none: median(values.none),
    memory: median(values.memory),
    redis: median(values.redis),
  });
  return {
    perSecond: medians(perSecond),
    ratio: { memory: ratioOf('memory'), redis: ratioOf('redis') },
    p99Ms: medians(p99),
    workUs: medians(work),
    redisUs: median(redis),
    failures,
  };
}

/** A run in which limits were not counted where they should be measures nothing. */
async function requireLimits(store: Store, port: number, key: string, body: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/decide`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body,
  });
  const { limits } = answerSchema.parse(await response.json());
  if (limits.length !== (store === 'none' ? 0 : LIMITS.limits.length)) {
    throw new Error(`${limits.length} limits matched with ${store}`);
  }
  if (limits.some(({ degraded }) => degraded)) throw new Error('Redis did not answer in time');
}

export function limitStoreBars({
  ratio,
  perSecond,
  p99Ms,
  workUs,
  redisUs,
  failures,
}: LimitStoreFigures): readonly Bar[] {
  const row = (store: 'memory' | 'redis', least: number): Bar =>
    bar(
      `/decide with six limits in ${store} / without limits`,
      `${ratio[store].toFixed(3)} (${perSecond[store].toFixed(0)} / ${perSecond.none.toFixed(0)})`,
      `≥ ${least}`,
      ratio[store] >= least,
    );
  return [
    row('memory', 0.9),
    row('redis', 0.4),
    bar(
      'p99 without limits, in memory, in Redis',
      STORES.map(store => `${p99Ms[store].toFixed(1)} ms`).join(', '),
      'reported',
      undefined,
    ),
    bar(
      'processor time of a decision without limits, in memory, in Redis',
      `${STORES.map(store => `${workUs[store].toFixed(0)} µs`).join(', ')} and ${redisUs.toFixed(0)} µs of Redis`,
      'reported',
      undefined,
    ),
    bar('failed requests with limits', String(failures), '0', failures === 0),
  ];
}

function startRedis(port: number): ChildProcess {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  return spawn(REDIS, options, { stdio: ['ignore', 'ignore', 'inherit'] });
}
