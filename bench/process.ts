/** Processes of the benchmark: the service, the bare server and the load client, each in its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { freePort } from '../test/loopback-port.ts';
import type { LoadOptions, LoadResult } from './client.ts';
import type { GrpcLoad, GrpcLoadResult } from './grpc-client.ts';

const portMessage = z.object({ port: z.int() });
const grpcResultMessage = z.object({
  requests: z.number(),
  failures: z.number(),
  perSecond: z.number(),
});
const resultMessage = z.object({
  requests: z.number(),
  failures: z.number(),
  perSecond: z.number(),
  p50: z.number(),
  p99: z.number(),
  max: z.number(),
});

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Microseconds of CPU since the start. */
export interface CpuTime {
  readonly process: number;
  /** Of the thread that runs the event loop. */
  readonly main: number;
}

/** A server in a process of its own. */
export interface ServerProcess {
  readonly port: number;
  cpu(): CpuTime;
  stop(): Promise<void>;
}

/** A running service with its admin key. */
export interface RunningService extends ServerProcess {
  readonly adminKey: string;
  /** Milliseconds from spawn to the first 200 of /readyz; NaN when the service had no policy to be ready with. */
  readonly startMs: number;
  residentMegabytes(): number;
  /** Time on processors until now, of all its threads, in seconds. */
  processorSeconds(): number;
}

const ADMIN_KEY = 'benchmark-bootstrap-key-0123456789abcdef';
/** As in the `start` script of package.json and in the image; why: docs/adr/0022. */
const SERVICE_OPTIONS = ['--max-semi-space-size=16', '--no-allocation-site-pretenuring'];

/** Starts `duramen serve` on a free port over `dataDir`. @param nodeOptions further ones, for all its threads */
export async function startService(
  dataDir: string,
  env: Readonly<Record<string, string>>,
  untilReady: boolean,
  nodeOptions: readonly string[] = [],
): Promise<RunningService> {
  const port = await freePort();
  const startedAt = performance.now();
  const options = [...SERVICE_OPTIONS, ...nodeOptions];
  const child = spawn(process.execPath, [...options, pathOf('../src/cli.ts'), 'serve'], {
    env: {
      ...process.env,
      DURAMEN_HTTP_LISTEN: `127.0.0.1:${port}`,
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_DATA_DIR: dataDir,
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'error',
      ...env,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await poll(
    async () => (await fetch(`http://127.0.0.1:${port}${untilReady ? '/readyz' : '/livez'}`)).ok,
    child,
  );
  return {
    port,
    adminKey: ADMIN_KEY,
    startMs: performance.now() - startedAt,
    residentMegabytes: () => residentMegabytes(child),
    processorSeconds: () => processorSeconds(child),
    cpu: () => cpuOf(child),
    stop: () => stop(child),
  };
}

/** Starts a bare server. */
export async function startBare(file = './bare.ts'): Promise<ServerProcess> {
  const child = fork(pathOf(file), { stdio: 'inherit' });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', message => resolve(portMessage.parse(message).port));
    child.once('exit', code => reject(new Error(`the bare server ended with ${code}`)));
  });
  return { port, cpu: () => cpuOf(child), stop: () => stop(child) };
}

/** Microseconds of a clock tick of /proc. */
const TICK = 10_000;

function cpuOf({ pid }: ChildProcess): CpuTime {
  const read = (file: string): number => {
    const stat = readFileSync(`/proc/${pid}/${file}`, 'utf8');
    // after the name, which may hold spaces: user and system time are fields 14 and 15
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  };
  return { process: read('stat'), main: read(`task/${pid}/stat`) };
}

/** Runs a load in a process of its own. */
export function load(options: LoadOptions): Promise<LoadResult> {
  return runIn('./load.ts', options, resultMessage);
}

/** The same for gRPC. */
export function grpcLoad(
  options: Omit<GrpcLoad, 'messages'> & { readonly messages: readonly string[] },
): Promise<GrpcLoadResult> {
  return runIn('./grpc-load.ts', options, grpcResultMessage);
}

function runIn<R>(file: string, options: object, schema: z.ZodType<R>): Promise<R> {
  const child = fork(pathOf(file), { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(schema.parse(message)));
    child.once('exit', code => {
      if (code !== 0) reject(new Error(`the load client ended with ${code}`));
    });
    child.send(options);
  });
}

/** Polls a condition every 5 ms for at most 120 s. */
async function poll(condition: () => Promise<boolean>, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode}`);
    const holds = await condition().catch(() => false);
    if (holds) return;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  throw new Error('the service did not come up within 120 s');
}

function residentMegabytes(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

/** Clock ticks per second in /proc, which Linux fixes for programs. */
const TICKS = 100;

export function processorSeconds(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  // behind the name of the command, which may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
