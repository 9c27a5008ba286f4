/** `npm run bench [-- --quick | --in-process | --callers | --modes | --edges | --limits | --limit-stores | --evidence | --log [N]]`: measures, prints a table. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { benchAccess } from './access.ts';
import { benchEdges } from './edges.ts';
import { benchEvidence, evidenceBars } from './evidence.ts';
import { benchExtraction } from './extraction.ts';
import { measureFsync } from './fsync.ts';
import { benchCallers } from './callers.ts';
import { overFilledFolder } from './filled-folder.ts';
import { benchHttp } from './http.ts';
import { benchInProcess } from './in-process.ts';
import { benchLimitStores, limitStoreBars } from './limit-stores.ts';
import { benchLimits } from './limits.ts';
import { benchLog } from './log.ts';
import { benchModes, modeBars } from './modes.ts';
import { type Bar, bars, callerBars, edgeBars, printTable } from './table.ts';

const FULL = {
  size: { tenants: 50, policies: 1_000, principals: 100_000, models: 2_000 },
  seconds: 6,
  rounds: 5,
  connections: 64,
  activationPolicies: 4_000,
};
const QUICK = {
  ...FULL,
  size: { tenants: 10, policies: 200, principals: 5_000, models: 200 },
  seconds: 2,
  rounds: 2,
};

const args = new Set(process.argv.slice(2));
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
if (args.has('--log')) {
  const [entries] = process.argv.slice(process.argv.indexOf('--log') + 1);
  process.exit((await benchLog(entries, say)) ? 0 : 5);
}
const plan = args.has('--quick') ? QUICK : FULL;
if (args.has('--callers') || args.has('--modes') || args.has('--edges')) {
  const rows = args.has('--callers')
    ? callerBars(await overFilledFolder(plan.size, (folder, key) => benchCallers(plan, folder, key, say)))
    : args.has('--modes')
      ? modeBars(await overFilledFolder(plan.size, (folder, key) => benchModes(plan, folder, key, say)))
      : edgeBars(benchExtraction(say), await benchEdges(plan, say));
  printTable(rows, line => {
    process.stdout.write(`${line}\n`);
  });
  process.exit(rows.some(row => row.met === false) ? 5 : 0);
}
if (args.has('--limits')) process.exit((await benchLimits(say)) ? 0 : 5);
if (args.has('--limit-stores')) {
  const rows = limitStoreBars(await benchLimitStores(args.has('--quick') ? QUICK : FULL, say));
  printTable(rows, line => {
    process.stdout.write(`${line}\n`);
  });
  process.exit(rows.some(row => row.met === false) ? 5 : 0);
}
if (args.has('--evidence')) {
  const figures = await benchEvidence(plan, say);
  const rows = evidenceBars(figures);
  printTable(rows, line => {
    process.stdout.write(`${line}\n`);
  });
  keep('evidence', { at: new Date().toISOString(), machine: machine(), figures, table: rows });
  process.exit(rows.some(row => row.met === false) ? 5 : 0);
}
const fsync = await measureFsync();
say(`fsync p50 ${fsync.p50Ms.toFixed(3)} ms, p99 ${fsync.p99Ms.toFixed(3)} ms`);
const inProcess = benchInProcess(say);
const access = await benchAccess(plan.size, say);
const extraction = benchExtraction(say);
const http = args.has('--in-process') ? undefined : await benchHttp(plan, say);
const edges = args.has('--in-process') ? [] : await benchEdges(plan, say);
const evidence = args.has('--in-process') ? undefined : await benchEvidence(plan, say);
const table: readonly Bar[] = [
  ...bars(inProcess, access, http),
  ...(http === undefined ? [] : modeBars(http.modes)),
  ...edgeBars(extraction, edges),
  ...(evidence === undefined ? [] : evidenceBars(evidence)),
];
printTable(table, line => {
  process.stdout.write(`${line}\n`);
});
keep('latest', {
  at: new Date().toISOString(),
  machine: machine(),
  fsync,
  inProcess,
  access,
  extraction,
  http,
  edges,
  evidence,
  table,
});
// 5: a gate failed (api.md, CLI)
process.exitCode = table.some(row => row.met === false) ? 5 : 0;

function machine(): object {
  return { node: process.version, cpus: cpus().length, model: cpus()[0]?.model ?? 'unknown' };
}

function keep(name: string, result: object): void {
  mkdirSync(new URL('./results/', import.meta.url), { recursive: true });
  writeFileSync(new URL(`./results/${name}.json`, import.meta.url), `${JSON.stringify(result, null, 2)}\n`);
  say(`written to bench/results/${name}.json`);
}
