/**
 * `npm run bench -- --log N`: a log of N entries is written, verified beside the open writer, and proven against, each
 * in a process of its own whose memory is reported; sizes on the disk, rates and latencies in one table.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { verifyTarget } from '../src/cli/log-verify.ts';
import type { Terminal } from '../src/cli/terminal.ts';
import { leafHash } from '../src/decision-log/leaf-hash.ts';
import { LeafWriter } from '../src/decision-log/leaf.ts';
import { consistencyFault, inclusionFault } from '../src/decision-log/proofs.ts';
import { LeafBatch, MAX_BATCH_ENTRIES } from '../src/store/sqlite/log-batch.ts';
import { isoWeek } from '../src/store/sqlite/log-shard-name.ts';
import { LogShards } from '../src/store/sqlite/log-shards.ts';
import { ShardedTree } from '../src/store/sqlite/log-tree.ts';
import { LogWriter } from '../src/store/sqlite/log-writer.ts';
import { readMigrations } from '../src/store/sqlite/migrations.ts';
import { benchPrivacy, LOG_START, logEntries } from './log-entries.ts';
import { seeded } from './random.ts';
import { type Bar, printTable } from './table.ts';

/** Entries without a number behind `--log`. */
const DEFAULT_ENTRIES = 5_000_000;
const INCLUSION_PROOFS = 2_000;
const CONSISTENCY_PROOFS = 500;
const MEGABYTE = 1_000_000;
/** Most memory of the verification of any log, in megabytes: it streams. */
const MAX_VERIFY_MB = 400;

const figuresSchema = z.record(z.string(), z.number());
type Figures = Readonly<Record<string, number>>;

/** What this file is when it is forked: one step of its own benchmark. */
const STEP = '--log-step';
if (process.argv[2] === STEP) await runStep(process.argv.slice(3));

async function runStep([step, folder = '', entries]: readonly string[]): Promise<void> {
  if (step === 'build') build(folder, Number(entries));
  if (step === 'verify') tell(await verify(folder));
  if (step === 'prove') tell(await prove(folder));
}

/** Measures. @returns whether every bar was met */
export async function benchLog(asked: string | undefined, say: (line: string) => void): Promise<boolean> {
  const entries = asked === undefined ? DEFAULT_ENTRIES : Number(asked);
  if (!Number.isSafeInteger(entries) || entries < 1)
    throw new Error(`--log \`${asked}\` is not a number of entries`);
  const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-log-'));
  let writer: ChildProcess | undefined;
  try {
    say(`writing ${entries} entries`);
    writer = start('build', folder, String(entries));
    const built = await figuresOf(writer);
    say('verifying');
    const verified = await figuresOf(start('verify', folder));
    say('proving');
    const proven = await figuresOf(start('prove', folder));
    await ended(writer);
    writer = undefined;
    const table = rows(entries, built, verified, proven, sizesOf(folder));
    printTable(table, line => {
      process.stdout.write(`${line}\n`);
    });
    keep({ entries, built, verified, proven, table }, say);
    return !table.some(({ met }) => met === false);
  } finally {
    writer?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes the log and keeps it open, as a service does, until the parent lets go. */
function build(folder: string, entries: number): void {
  const migrations = (name: string) =>
    readMigrations(fileURLToPath(new URL(`../migrations/sqlite/${name}`, import.meta.url)));
  const writer = LogWriter.open({
    folder,
    migrations: migrations('log'),
    archiveMigrations: migrations('log-archive'),
    newOrigin: 'duramen.bench/log',
    newSeed: new Uint8Array(32).fill(1),
    at: '2026-01-05T00:00:00.000Z',
    now: LOG_START,
    say: () => undefined,
    random: randomBytes,
  });
  const leaves = new LeafWriter(benchPrivacy());
  const start = performance.now();
  const cpu = process.cpuUsage();
  const batch = new LeafBatch();
  let now = LOG_START;
  let bytes = 0;
  const flush = (): void => {
    if (batch.count === 0) return;
    writer.append({ shared: batch.shared, used: batch.used, count: batch.count, now });
    if (writer.checkpointDue) writer.checkpoint();
    bytes += batch.used;
    batch.clear();
  };
  for (const entry of logEntries(entries)) {
    // a batch spans hours here: it is written at the time of its first entry, and a week begins with a batch
    if (isoWeek(entry.time) !== isoWeek(now)) flush();
    if (batch.count === 0) now = entry.time;
    const { text, late } = leaves.write(entry);
    if (!batch.add(text, late)) {
      flush();
      batch.add(text, late);
    }
    if (batch.count >= MAX_BATCH_ENTRIES) flush();
  }
  flush();
  // as the service does it: the newest checkpoint is kept beside the log
  writeFileSync(join(folder, 'anchor.checkpoint'), writer.sign(now).note);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  tell({
    seconds,
    perSecond: entries / seconds,
    cpuMicroseconds: (user + system) / entries,
    bytes,
    megabytes: peakMegabytes(),
  });
  process.once('disconnect', () => writer.close(now));
}

async function verify(data: string): Promise<Figures> {
  const cpu = process.cpuUsage();
  const verification = await verifyTarget(silentTerminal(), {
    output: 'json',
    data,
    checkpoint: [],
    gatewayLog: [],
  });
  const { user, system } = process.cpuUsage(cpu);
  if (!verification.verified || verification.findings.length > 0) {
    throw new Error(`the log does not verify: ${JSON.stringify(verification.findings.slice(0, 3))}`);
  }
  const entries = verification.report?.entries ?? 0;
  const { seconds } = verification;
  return {
    entries,
    seconds,
    perSecond: entries / seconds,
    cpuMicroseconds: (user + system) / entries,
    megabytes: peakMegabytes(),
  };
}

/** Proofs of random entries and between random sizes, each built from the files and then judged. */
async function prove(folder: string): Promise<Figures> {
  const log = LogShards.open(folder);
  const tree = new ShardedTree(log);
  const size = log.size();
  const root = await tree.root(size);
  const random = seeded(23);
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const inclusion: number[] = [];
  for (let run = 0; run < INCLUSION_PROOFS; run++) {
    const index = upTo(size);
    const start = performance.now();
    const leaf = log.leaf(index);
    const proof = await tree.inclusionProof(index, size);
    inclusion.push(performance.now() - start);
    const fault = inclusionFault(index, size, leafHash(leaf?.body ?? new Uint8Array()), proof, root);
    if (fault !== undefined) throw new Error(`entry ${index}: ${fault}`);
  }
  const consistency: number[] = [];
  for (let run = 0; run < CONSISTENCY_PROOFS; run++) {
    const from = 1 + upTo(size - 1);
    const fromRoot = await tree.root(from);
    const start = performance.now();
    const proof = await tree.consistencyProof(from, size);
    consistency.push(performance.now() - start);
    const fault = consistencyFault(from, size, fromRoot, root, proof);
    if (fault !== undefined) throw new Error(`size ${from}: ${fault}`);
  }
  log.close();
  return {
    inclusionP50Ms: quantile(inclusion, 0.5),
    inclusionP99Ms: quantile(inclusion, 0.99),
    consistencyP50Ms: quantile(consistency, 0.5),
    consistencyP99Ms: quantile(consistency, 0.99),
    megabytes: peakMegabytes(),
  };
}

function rows(
  entries: number,
  built: Figures,
  verified: Figures,
  proven: Figures,
  sizes: ReadonlyMap<string, number>,
): readonly Bar[] {
  const shards = [...sizes].flatMap(([name, size]) => (/^\d.*\.db$/.test(name) ? [size] : []));
  const onDisk = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const figure = (figures: Figures, name: string): number => figures[name] ?? Number.NaN;
  const rate = (figures: Figures): string =>
    `${figure(figures, 'perSecond').toFixed(0)} per second, ${figure(figures, 'seconds').toFixed(1)} s, ` +
    `${figure(figures, 'cpuMicroseconds').toFixed(1)} µs of processor each`;
  const latency = (name: string): string =>
    `p50 ${figure(proven, `${name}P50Ms`).toFixed(2)} ms, p99 ${figure(proven, `${name}P99Ms`).toFixed(2)} ms`;
  const memory = figure(verified, 'megabytes');
  return [
    reported('entries', String(entries)),
    reported('leaf, mean', `${(figure(built, 'bytes') / entries).toFixed(0)} bytes`),
    reported('written, with tree and signatures', rate(built)),
    reported('memory of the writer, peak', `${figure(built, 'megabytes').toFixed(0)} MB`),
    reported(
      'on disk',
      `${(onDisk / MEGABYTE).toFixed(0)} MB, ${(onDisk / entries).toFixed(0)} bytes per entry`,
    ),
    reported('shards', `${shards.length}, the largest ${(Math.max(...shards) / MEGABYTE).toFixed(0)} MB`),
    reported('verified, every entry', rate(verified)),
    {
      what: 'memory of the verification, peak',
      measured: `${memory.toFixed(0)} MB`,
      bar: `≤ ${MAX_VERIFY_MB} MB`,
      met: memory <= MAX_VERIFY_MB,
    },
    reported('inclusion proof with its leaf', latency('inclusion')),
    reported('consistency proof', latency('consistency')),
  ];
}

function reported(what: string, measured: string): Bar {
  return { what, measured, bar: 'reported', met: undefined };
}

function sizesOf(folder: string): ReadonlyMap<string, number> {
  const files = readdirSync(join(folder, 'log')).sort();
  return new Map(files.map(name => [name, statSync(join(folder, 'log', name)).size]));
}

function keep(result: object, say: (line: string) => void): void {
  mkdirSync(new URL('./results/', import.meta.url), { recursive: true });
  const kept = { at: new Date().toISOString(), node: process.version, ...result };
  writeFileSync(new URL('./results/log.json', import.meta.url), `${JSON.stringify(kept, undefined, 2)}\n`);
  say('written to bench/results/log.json');
}

function start(...args: string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), [STEP, ...args], { stdio: 'inherit' });
}

/** What a child measured. @throws Error when it ends without a word */
function figuresOf(child: ChildProcess): Promise<Figures> {
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(figuresSchema.parse(message)));
    child.once('exit', code => reject(new Error(`a step of the benchmark ended with ${code}`)));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  const end = new Promise(resolve => child.once('exit', resolve));
  child.disconnect();
  await end;
}

function tell(figures: Figures): void {
  process.send?.(figures);
}

function peakMegabytes(): number {
  return (process.resourceUsage().maxRSS * 1024) / MEGABYTE;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function silentTerminal(): Terminal {
  return {
    env: {},
    interactive: false,
    color: false,
    out: () => undefined,
    err: () => undefined,
    readStdin: () => Promise.resolve(''),
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    stopRequested: () => Promise.resolve(),
    endWithoutThreads: () => undefined,
  };
}
