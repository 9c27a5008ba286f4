/** The edges of gateways against bare servers of their kind: alternating, same client, same run, a durable log. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../test/loopback-port.ts';
import { median } from './median.ts';
import { grpcLoad, load, type ServerProcess, startBare, startService } from './process.ts';
import { CHAT_PATH, chatOf, CHECK_PATH, checkEncoder, type Asked, headersOf } from './questions.ts';
import { seeded, zipf } from './random.ts';
import { fill } from './setup.ts';
import { principalName, TEAMS, tenantName, type WorldSize } from './world.ts';

export interface EdgePlan {
  readonly size: WorldSize;
  readonly seconds: number;
  readonly rounds: number;
}

/** One edge beside the bare server of its kind. */
export interface EdgeFigures {
  readonly name: string;
  readonly barePerSecond: number;
  readonly servicePerSecond: number;
  /** Median over the rounds of service / bare. */
  readonly ratio: number;
  /** CPU of the whole process, in microseconds for each request, median over the rounds. */
  readonly bareMicroseconds: number;
  readonly serviceMicroseconds: number;
  /** The same of the thread that answers: what bounds the throughput of one process. */
  readonly serviceMainMicroseconds: number;
  readonly failures: number;
}

const PROFILE = {
  name: 'edge',
  kind: 'envoy',
  identity: { mode: 'assert', principal: 'x-user', method: 'jwt', assurance: 1 },
  body: 'flagged',
  dialects: ['openai'],
};
const MESSAGES = 1_000;
const CONNECTIONS = 12;
/** 4.7 KB each, and half a window of 64 KiB may wait for its update. */
const STREAMS = 5;

export async function benchEdges(
  plan: EdgePlan,
  say: (line: string) => void,
): Promise<readonly EdgeFigures[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'duramen-bench-'));
  try {
    const first = await startService(dataDir, {}, false);
    const key = await fill(first, plan.size);
    await first.stop();
    const grpcPort = await freePort();
    const env = {
      DURAMEN_GRPC_LISTEN: `127.0.0.1:${grpcPort}`,
      DURAMEN_PEP_PROFILES: JSON.stringify([PROFILE]),
    };
    const service = await startService(dataDir, env, true);
    const asked = askedOf(plan.size);
    const http = await compare(
      'ext_authz over HTTP',
      plan,
      await startBare('./bare.ts'),
      service,
      say,
      port =>
        load({
          port,
          path: `/ext-authz/edge${CHAT_PATH}`,
          headers: { ...headersOf(), 'x-envoy-auth-partial-body': 'false', 'x-duramen-key': key },
          heads: asked.map(({ principal }) => ({ 'x-user': principal })),
          bodies: asked.map((one, at) => chatOf(one, at)),
          connections: CONNECTIONS * STREAMS,
          seconds: plan.seconds,
        }),
    );
    const encode = checkEncoder('edge');
    const messages = asked.map((one, at) => encode(one, chatOf(one, at)).toString('base64'));
    const grpcService = { ...service, port: grpcPort };
    const grpc = await compare(
      'ext_authz over gRPC',
      plan,
      await startBare('./bare-grpc.ts'),
      grpcService,
      say,
      port =>
        grpcLoad({
          port,
          path: CHECK_PATH,
          metadata: { 'x-duramen-key': key },
          messages,
          connections: CONNECTIONS,
          streams: STREAMS,
          seconds: plan.seconds,
        }),
    );
    await service.stop();
    return [http, grpc];
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Requests that are allowed: by principals of the first team of each tenant. */
function askedOf({ tenants, principals, models }: WorldSize): readonly Asked[] {
  const random = seeded(7);
  const member = zipf(Math.floor(principals / tenants / TEAMS), random);
  const model = zipf(Math.max(1, Math.floor(models / tenants)), random);
  return Array.from({ length: MESSAGES }, () => {
    const tenant = Math.floor(random() * tenants);
    const principal = principalName(member() * TEAMS * tenants + tenant, {
      tenants,
      principals,
      models,
      policies: 0,
    });
    return { principal, model: `${tenantName(tenant)}/m${model()}` };
  });
}

interface Measured {
  readonly perSecond: number;
  readonly failures: number;
  readonly microseconds: number;
  readonly mainMicroseconds: number;
}

async function compare(
  name: string,
  { rounds }: EdgePlan,
  bare: ServerProcess,
  service: ServerProcess,
  say: (line: string) => void,
  run: (port: number) => Promise<{ requests: number; perSecond: number; failures: number }>,
): Promise<EdgeFigures> {
  const measure = async (server: ServerProcess): Promise<Measured> => {
    const before = server.cpu();
    const { requests, perSecond, failures } = await run(server.port);
    const after = server.cpu();
    return {
      perSecond,
      failures,
      microseconds: (after.process - before.process) / requests,
      mainMicroseconds: (after.main - before.main) / requests,
    };
  };
  // one unmeasured round each, so that both are compiled by the JIT
  await measure(bare);
  await measure(service);
  const measured: { readonly bare: Measured; readonly service: Measured }[] = [];
  for (let round = 0; round < rounds; round++) {
    const one = { bare: await measure(bare), service: await measure(service) };
    measured.push(one);
    say(
      `${name}, round ${round + 1}: bare ${told(one.bare)}, duramen ${told(one.service)}, ratio ${(one.service.perSecond / one.bare.perSecond).toFixed(3)}`,
    );
  }
  await bare.stop();
  return {
    name,
    barePerSecond: median(measured.map(one => one.bare.perSecond)),
    servicePerSecond: median(measured.map(one => one.service.perSecond)),
    ratio: median(measured.map(one => one.service.perSecond / one.bare.perSecond)),
    bareMicroseconds: median(measured.map(one => one.bare.microseconds)),
    serviceMicroseconds: median(measured.map(one => one.service.microseconds)),
    serviceMainMicroseconds: median(measured.map(one => one.service.mainMicroseconds)),
    failures: measured.reduce((sum, one) => sum + one.service.failures, 0),
  };
}

function told({ perSecond, microseconds, mainMicroseconds }: Measured): string {
  return `${perSecond.toFixed(0)}/s (${microseconds.toFixed(0)} µs of CPU, ${mainMicroseconds.toFixed(0)} of the main thread)`;
}
