/**
 * `npm run bench -- --limits`: what it takes to count. An admission under six limits, a million live keys in memory,
 * and a million entries since the last snapshot read back from the disk; each in a process of its own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { LimitCharge, LimitRule } from '../src/domain/limit.ts';
import { HmacKey } from '../src/decision-log/hmac.ts';
import { keyedAlias } from '../src/limits/counters/key-alias.ts';
import { LimitRebuild } from '../src/limits/counters/limit-rebuild.ts';
import { writeState } from '../src/limits/counters/limit-snapshot.ts';
import { LimitState } from '../src/limits/counters/limit-state.ts';
import { LimitTable } from '../src/limits/counters/limit-table.ts';
import { JournalRows } from '../src/store/sqlite/journal-rows.ts';
import { SnapshotFile, writeSnapshot } from '../src/store/sqlite/limit-snapshot-file.ts';
import { LeafBatch } from '../src/store/sqlite/log-batch.ts';
import { LogWriter } from '../src/store/sqlite/log-writer.ts';
import { readMigrations } from '../src/store/sqlite/migrations.ts';
import { median } from './median.ts';
import { type Bar, bar, printTable } from './table.ts';

const MILLION = 1_000_000;
const MEGABYTE = 1_000_000;
const START = Date.UTC(2026, 10, 2, 9);
const HOLD_MS = 60_000;
/** Principals in the log that is read back. */
const PRINCIPALS = 10_000;
/** Entries in one commit: fewer flushes, so that writing takes less than a minute. */
const BATCH_ENTRIES = 1_000;
/** Most resident memory with a million live keys, and longest time to read a million entries. */
const MAX_MEGABYTES = 400;
const MAX_SECONDS = 1;

/** What a call used. */
const USED = {
  requests: 1,
  input_tokens: 100,
  output_tokens: 300,
  tokens: 400,
  compute_ms: 9,
  micro_usd: 700,
};

const figuresSchema = z.record(z.string(), z.number());
type Figures = Readonly<Record<string, number>>;

/** What this file is when it is forked: one step of its own benchmark. */
const STEP = '--limits-step';
if (process.argv[2] === STEP) runStep(process.argv[3] ?? '', process.argv[4] ?? '', Number(process.argv[5]));

function runStep(step: string, folder: string, limits: number): void {
  if (step === 'speed') tell(measureSpeed());
  if (step === 'keys') tell(measureKeys());
  if (step === 'snapshot') tell(measureSnapshot());
  if (step === 'write') tell(writeLog(folder, limits));
  if (step === 'read') tell(readLog(folder));
}

/** Measures. @returns whether every bar was met */
export async function benchLimits(say: (line: string) => void): Promise<boolean> {
  say('admissions under six limits');
  const speed = await step('speed', '', 6);
  say('a million live keys');
  const keys = await step('keys', '', 1);
  const snapshot = await step('snapshot', '', 1);
  const table: Bar[] = [
    bar(
      'admission under six limits, processor time, median',
      `${figure(speed, 'admitUs').toFixed(2)} µs`,
      'reported',
      undefined,
    ),
    bar('with its settlement', `${figure(speed, 'settleUs').toFixed(2)} µs`, 'reported', undefined),
    bar(
      'journal of an admission',
      `${figure(speed, 'journalBytes').toFixed(0)} bytes`,
      'reported',
      undefined,
    ),
    bar(
      'memory with a million live keys, resident',
      `${figure(keys, 'residentMb').toFixed(0)} MB, of which ${figure(keys, 'processMb').toFixed(0)} without any`,
      `≤ ${MAX_MEGABYTES} MB`,
      figure(keys, 'residentMb') <= MAX_MEGABYTES,
    ),
    bar('snapshot of a million keys', snapshotOf(snapshot), 'reported', undefined),
  ];
  for (const limits of [1, 6]) {
    const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-limits-'));
    try {
      say(`a million entries with ${limits} limits each`);
      const written = await step('write', folder, limits);
      const read = await step('read', folder, limits);
      table.push(
        bar(
          `a million entries since the snapshot, ${limits} limits each, read back`,
          `${figure(read, 'seconds').toFixed(2)} s, ${figure(read, 'workSeconds').toFixed(2)} s of processor time, ${figure(written, 'megabytes').toFixed(0)} MB of journals`,
          limits === 1 ? `≤ ${MAX_SECONDS} s` : 'reported',
          limits === 1 ? figure(read, 'seconds') <= MAX_SECONDS : undefined,
        ),
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  printTable(table, line => {
    process.stdout.write(`${line}\n`);
  });
  return !table.some(({ met }) => met === false);
}

function snapshotOf(snapshot: Figures): string {
  return `${figure(snapshot, 'snapshotMb').toFixed(0)} MB, read in ${figure(snapshot, 'snapshotSeconds').toFixed(2)} s`;
}

/** Six limits of four kinds. */
function rulesOf(limit: number): readonly LimitRule[] {
  const base = {
    unit: 'requests',
    mode: 'enforce',
    limit,
    source: 'base',
    scope: ['principal'],
    onStoreFailure: 'local',
    alertAtPercent: [80, 100],
  } as const;
  return [
    { ...base, name: 'platform/minute', kind: 'window', windowMs: 60_000 },
    { ...base, name: 'platform/burst', kind: 'window', windowMs: 1_000 },
    { ...base, name: 'platform/tokens', kind: 'window', windowMs: 60_000, unit: 'tokens' },
    { ...base, name: 'platform/rate', kind: 'rate', periodMs: 60_000, burst: limit },
    {
      ...base,
      name: 'platform/money',
      kind: 'quota',
      period: 'month',
      unit: 'micro_usd',
      onExpiry: 'charge_input',
    },
    { ...base, name: 'platform/day', kind: 'quota', period: 'day', onExpiry: 'charge_input' },
  ];
}

/** The charges of one principal: what the planner makes, its keys remembered. */
function chargesOf(rules: readonly LimitRule[], principal: number): readonly LimitCharge[] {
  return rules.map(rule => ({
    rule,
    key: `${rule.name.length}:${rule.name}9:w60000:req9:principal24:acme/principal-${String(principal).padStart(8, '0')}`,
    amount: rule.unit === 'requests' ? 1 : 800,
    floor: rule.unit === 'requests' ? 1 : 100,
  }));
}

/** As the service makes it. */
function newTable(): LimitTable {
  const state = new LimitState();
  state.reserve();
  const key = new HmacKey(new Uint8Array(32).fill(7));
  return new LimitTable({ alias: keyedAlias(text => key.mac(text, 'binary')) }, state);
}

function measureSpeed(): Figures {
  const rules = rulesOf(1_000_000_000);
  const charges = Array.from({ length: 2_000 }, (_, principal) => chargesOf(rules, principal));
  const table = newTable();
  const admit: number[] = [];
  const settle: number[] = [];
  let bytes = 0;
  const rounds = 60;
  const perRound = 5_000;
  const ids = Array.from({ length: rounds * perRound }, () => randomUUID());
  for (let round = 0; round < rounds; round++) {
    const now = START + round * 500;
    const mine = ids.slice(round * perRound, (round + 1) * perRound);
    const journals: Uint8Array[] = [];
    const startedAt = processorMs();
    for (const [n, decisionId] of mine.entries()) {
      const asked = charges[(n * 7_919) % charges.length] ?? [];
      const { journal } = table.admit({ decisionId, now, holdMs: HOLD_MS, charges: asked });
      if (journal !== undefined) journals.push(journal);
    }
    const admittedAt = processorMs();
    for (const decisionId of mine) table.settle({ decisionId, now, actual: USED, atLeastFloor: false });
    const settledAt = processorMs();
    for (const journal of journals) table.confirm(journal);
    bytes = journals.reduce((sum, journal) => sum + journal.length, 0) / journals.length;
    admit.push(((admittedAt - startedAt) * 1_000) / perRound);
    settle.push(((settledAt - startedAt) * 1_000) / perRound);
  }
  // the first rounds warm the JIT up
  return { admitUs: median(admit.slice(15)), settleUs: median(settle.slice(15)), journalBytes: bytes };
}

/** A million keys of every kind that all count something, and a tenth of their calls not settled yet. */
function measureKeys(): Figures {
  const before = residentMb();
  const rules = rulesOf(1_000_000);
  const table = newTable();
  for (let n = 0; table.keys < MILLION; n++) {
    const rule = rules[n % rules.length];
    if (rule === undefined) continue;
    // what flows off at once is no live key
    const slow: LimitRule = rule.kind === 'rate' ? { ...rule, limit: 1 } : rule;
    const now = START + Math.floor(n / 2_000);
    const decisionId = randomUUID();
    const { journal } = table.admit({ decisionId, now, holdMs: HOLD_MS, charges: chargesOf([slow], n) });
    if (journal !== undefined) table.confirm(journal);
    if (n % 10 !== 0) table.settle({ decisionId, now, actual: USED, atLeastFloor: false });
  }
  globalThis.gc?.();
  return { processMb: before, residentMb: residentMb(), keys: table.keys };
}

/** A million keys through a file and back. */
function measureSnapshot(): Figures {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-limits-'));
  try {
    const rebuild = new LimitRebuild();
    const rules = rulesOf(1_000_000).slice(0, 1);
    const table = newTable();
    for (let n = 0; n < MILLION; n += 1) {
      const request = { decisionId: randomUUID(), now: START + Math.floor(n / 20), holdMs: HOLD_MS };
      const { journal } = table.admit({ ...request, charges: chargesOf(rules, n) });
      if (journal !== undefined) rebuild.readJournals(framed([journal]));
    }
    writeSnapshot(folder, { origin: 'bench', size: 1, leafHash: '' }, writeState(rebuild.finish()));
    const startedAt = performance.now();
    const file = SnapshotFile.open(folder);
    const again = new LimitRebuild();
    let bytes = 0;
    for (const chunk of file?.chunks() ?? []) bytes += chunk.length;
    file?.close();
    const second = SnapshotFile.open(folder);
    again.readSnapshot(second?.chunks() ?? []);
    second?.close();
    again.finish();
    return { snapshotMb: bytes / MEGABYTE, snapshotSeconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A log of a million short entries, each with the journal of an admission. */
function writeLog(folder: string, limits: number): Figures {
  const migrations = (name: string) =>
    readMigrations(fileURLToPath(new URL(`../migrations/sqlite/${name}`, import.meta.url)));
  const writer = LogWriter.open({
    folder,
    migrations: migrations('log'),
    archiveMigrations: migrations('log-archive'),
    newOrigin: 'duramen.bench/limits',
    newSeed: new Uint8Array(32).fill(1),
    at: '2026-11-02T09:00:00.000Z',
    now: START,
    say: () => undefined,
    random: randomBytes,
  });
  const rules = rulesOf(1_000_000_000).slice(0, limits);
  const charges = Array.from({ length: PRINCIPALS }, (_, principal) => chargesOf(rules, principal));
  const table = newTable();
  const batch = new LeafBatch();
  let bytes = 0;
  let now = START;
  for (let n = 0; n < MILLION; now += 200) {
    const journals: Uint8Array[] = [];
    for (let one = 0; one < BATCH_ENTRIES; one++, n++) {
      const asked = charges[(n * 7_919) % PRINCIPALS] ?? [];
      const { journal } = table.admit({ decisionId: randomUUID(), now, holdMs: HOLD_MS, charges: asked });
      if (journal === undefined) throw new Error('a request was denied');
      journals.push(journal);
      bytes += journal.length;
      batch.add(`{"n":${n}}`, undefined, journal);
    }
    writer.append({ shared: batch.shared, used: batch.used, count: batch.count, now });
    if (writer.checkpointDue) writer.checkpoint();
    for (const journal of journals) table.confirm(journal);
    batch.clear();
  }
  writer.close(now);
  return { megabytes: bytes / MEGABYTE };
}

/** What a start does. */
function readLog(folder: string): Figures {
  const startedAt = performance.now();
  const work = process.cpuUsage();
  const rows = new JournalRows(folder);
  const rebuild = new LimitRebuild(true);
  for (let chunk = rows.chunk(0); chunk !== undefined; chunk = rows.chunk(chunk.next)) {
    rebuild.readJournals(chunk.body);
  }
  const table = new LimitTable({}, rebuild.finish());
  rows.close();
  const seconds = (performance.now() - startedAt) / 1_000;
  if (rebuild.journals !== MILLION) throw new Error(`${rebuild.journals} journals were read`);
  const { user, system } = process.cpuUsage(work);
  return { seconds, workSeconds: (user + system) / MILLION, keys: table.keys };
}

function framed(journals: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    journals.flatMap(journal => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(journal.length);
      return [length, journal];
    }),
  );
}

/** Processor time of this process in milliseconds, which does not depend on who else is busy. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function residentMb(): number {
  return process.memoryUsage.rss() / MEGABYTE;
}

function figure(figures: Figures, name: string): number {
  return figures[name] ?? Number.NaN;
}

async function step(name: string, folder: string, limits: number): Promise<Figures> {
  const child = fork(fileURLToPath(import.meta.url), [STEP, name, folder, String(limits)], {
    stdio: 'inherit',
    // what is measured is what is counted, and not how much garbage V8 lets lie
    execArgv: ['--expose-gc', '--max-semi-space-size=4'],
  });
  const figures = await figuresOf(child);
  const end = new Promise(resolve => child.once('exit', resolve));
  child.disconnect();
  await end;
  return figures;
}

/** What a child measured. @throws Error when it ends without a word */
function figuresOf(child: ChildProcess): Promise<Figures> {
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(figuresSchema.parse(message)));
    child.once('exit', code => reject(new Error(`a step of the benchmark ended with ${code}`)));
  });
}

function tell(figures: Figures): void {
  process.send?.(figures);
}
