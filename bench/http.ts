/** The benchmark over HTTP: the service against a bare server, alternating, same client, same run. */
import { setTimeout } from 'node:timers/promises';
import { benchCallers, type CallerFigures } from './callers.ts';
import { type LoadOptions, type LoadResult, WARM_UP_MS } from './client.ts';
import { overFilledFolder } from './filled-folder.ts';
import { type FsyncFigures, measureFsync } from './fsync.ts';
import { median } from './median.ts';
import { benchModes, type ModeFigures } from './modes.ts';
import { load, type RunningService, startBare, startService } from './process.ts';
import { call, stage } from './setup.ts';
import { requests, tenantName, type WorldSize } from './world.ts';

export interface HttpPlan {
  readonly size: WorldSize;
  /** Seconds of one load. */
  readonly seconds: number;
  /** Alternations of bare and service; the ratio is the median of their ratios. */
  readonly rounds: number;
  readonly connections: number;
  /** Policies of the bundle that is activated under load. */
  readonly activationPolicies: number;
}

export interface HttpFigures {
  readonly barePerSecond: number;
  readonly servicePerSecond: number;
  /** Median over the rounds of service / bare. */
  readonly ratio: number;
  /** The median of HALF_LOADS loads. */
  readonly p99AtHalfLoadMs: number;
  /** Of the disk just before that load, while nobody asked anything: what pauses without the service. */
  readonly fsyncBefore: FsyncFigures;
  readonly failures: number;
  readonly startToReadyMs: number;
  /** When it became ready, before any load. */
  readonly residentMegabytes: number;
  /** After all loads and the activation of the large bundle. */
  readonly residentAfterMegabytes: number;
  readonly activation: {
    readonly beforeP99Ms: number;
    readonly duringP99Ms: number;
    readonly seconds: number;
  };
  readonly modes: ModeFigures;
  readonly callers: CallerFigures;
  readonly metrics: Readonly<Record<string, string>>;
}

/** Loads at half of the throughput. */
const HALF_LOADS = 3;
/** Between two probes of the disk: they take five seconds then. */
const FSYNC_PAUSE_MS = 16;

/** Runs every HTTP measurement. */
export async function benchHttp(plan: HttpPlan, say: (line: string) => void): Promise<HttpFigures> {
  say(
    `filling: ${plan.size.principals} principals, ${plan.size.models} models, ${plan.size.policies} policies`,
  );
  return await overFilledFolder(plan.size, async (dataDir, key) => {
    const service = await startService(dataDir, {}, true);
    const residentAtStart = service.residentMegabytes();
    say(`start to ready ${service.startMs.toFixed(0)} ms, resident ${residentAtStart.toFixed(0)} MB`);
    const throughput = await compareWithBare(plan, service, key, say);
    const fsyncBefore = await measureFsync(FSYNC_PAUSE_MS);
    const halfLoads = await atHalfLoad(plan, service.port, key, throughput.servicePerSecond / 2, say);
    const activation = await activateUnderLoad(plan, service, key, throughput.servicePerSecond / 2);
    say(
      `activation of ${plan.activationPolicies} policies: ${activation.seconds.toFixed(2)} s, p99 ${activation.beforeP99Ms.toFixed(2)} → ${activation.duringP99Ms.toFixed(2)} ms`,
    );
    const metrics = await readMetrics(service);
    const resident = service.residentMegabytes();
    await service.stop();
    const callers = await benchCallers(plan, dataDir, key, say);
    const modes = await benchModes(plan, dataDir, key, say);
    return {
      ...throughput,
      p99AtHalfLoadMs: median(halfLoads.map(({ p99 }) => p99)),
      fsyncBefore,
      failures: halfLoads.reduce((sum, one) => sum + one.failures, throughput.failures),
      startToReadyMs: service.startMs,
      residentMegabytes: residentAtStart,
      residentAfterMegabytes: resident,
      activation,
      modes,
      callers,
      metrics,
    };
  });
}

async function compareWithBare(
  plan: HttpPlan,
  service: RunningService,
  key: string,
  say: (line: string) => void,
): Promise<Pick<HttpFigures, 'barePerSecond' | 'servicePerSecond' | 'ratio' | 'failures'>> {
  const bare = await startBare();
  const rounds: { bare: LoadResult; service: LoadResult }[] = [];
  // one unmeasured round each, so that both are compiled by the JIT
  await run(plan, bare.port, key);
  await run(plan, service.port, key);
  for (let round = 0; round < plan.rounds; round++) {
    const measured = { bare: await run(plan, bare.port, key), service: await run(plan, service.port, key) };
    rounds.push(measured);
    say(
      `round ${round + 1}: bare ${measured.bare.perSecond.toFixed(0)}/s, duramen ${measured.service.perSecond.toFixed(0)}/s, ratio ${(measured.service.perSecond / measured.bare.perSecond).toFixed(3)}`,
    );
  }
  await bare.stop();
  return {
    barePerSecond: median(rounds.map(round => round.bare.perSecond)),
    servicePerSecond: median(rounds.map(round => round.service.perSecond)),
    ratio: median(rounds.map(round => round.service.perSecond / round.bare.perSecond)),
    failures: rounds.reduce((sum, round) => sum + round.service.failures, 0),
  };
}

async function atHalfLoad(
  plan: HttpPlan,
  port: number,
  key: string,
  rate: number,
  say: (line: string) => void,
): Promise<readonly LoadResult[]> {
  const loads: LoadResult[] = [];
  for (let round = 0; round < HALF_LOADS; round++) {
    const one = await run(plan, port, key, rate);
    say(`half load: p50 ${one.p50.toFixed(2)} ms, p99 ${one.p99.toFixed(2)} ms`);
    loads.push(one);
  }
  return loads;
}

/** p99 of a load before and during the activation of a staged bundle. */
async function activateUnderLoad(
  plan: HttpPlan,
  service: RunningService,
  key: string,
  rate: number,
): Promise<HttpFigures['activation']> {
  const digest = await stage(service, tenantName(0), plan.activationPolicies);
  const before = await run(plan, service.port, key, rate);
  const loading = load({ ...loadOptions(plan, service.port, key), seconds: Math.max(6, plan.seconds), rate });
  // the load runs by then, and its latencies count a moment later
  await setTimeout(WARM_UP_MS);
  const startedAt = performance.now();
  const body = JSON.stringify({ reason: 'benchmark' });
  await call(service, 'POST', `/v1/bundles/${encodeURIComponent(digest)}/activate`, body);
  const seconds = (performance.now() - startedAt) / 1000;
  const during = await loading;
  return { beforeP99Ms: before.p99, duringP99Ms: during.p99, seconds };
}

function run(plan: HttpPlan, port: number, key: string, rate?: number): Promise<LoadResult> {
  return load({ ...loadOptions(plan, port, key), ...(rate === undefined ? {} : { rate }) });
}

function loadOptions(plan: HttpPlan, port: number, key: string): LoadOptions {
  return {
    port,
    path: '/decide',
    headers: { authorization: `Bearer ${key}` },
    bodies: requests(plan.size, 20_000, 7),
    connections: plan.connections,
    seconds: plan.seconds,
  };
}

async function readMetrics(service: RunningService): Promise<Record<string, string>> {
  const response = await fetch(`http://127.0.0.1:${service.port}/metrics`, {
    headers: { authorization: `Bearer ${service.adminKey}` },
  });
  const values: Record<string, string> = {};
  for (const line of (await response.text()).split('\n')) {
    const space = line.lastIndexOf(' ');
    if (!line.startsWith('#') && /batch|commit/.test(line))
      values[line.slice(0, space)] = line.slice(space + 1);
  }
  return values;
}
