/** What the oracle costs a service: each mode of it beside `crossCheck: off`, on copies of the same data. */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpPlan } from './http.ts';
import { comparePairs, type PairFigures, type Side } from './pairs.ts';
import { startService } from './process.ts';
import { type Bar, bar } from './table.ts';

/** Variables of each mode; `off` is the yardstick of the others. */
const MODES = {
  off: { DURAMEN_ENGINE_CROSS_CHECK: 'off' },
  sampled: { DURAMEN_ENGINE_CROSS_CHECK: 'sampled' },
  all: { DURAMEN_ENGINE_CROSS_CHECK: 'all' },
  wasm: { DURAMEN_ENGINE_EVALUATOR: 'wasm' },
} as const;
type Mode = keyof typeof MODES;

/** Modes and pairs of processes: `sampled` should not differ, and noise does not hide what the others cost. */
const COMPARED = [
  ['sampled', 6],
  ['all', 1],
  ['wasm', 1],
] as const;
/** Most of the throughput that `sampled` may cost. */
const MOST_COST = 0.02;

/** Of each mode, as the first side beside `off`. */
export type ModeFigures = Readonly<Record<Exclude<Mode, 'off'>, PairFigures>>;

/** @param dataDir a filled folder whose service has stopped */
export async function benchModes(
  plan: HttpPlan,
  dataDir: string,
  key: string,
  say: (line: string) => void,
): Promise<ModeFigures> {
  const found: Partial<Record<Mode, PairFigures>> = {};
  for (const [mode, pairs] of COMPARED) {
    const start = async (kind: Mode): Promise<Side> => ({
      service: await startService(copyOf(dataDir, kind), MODES[kind], true),
      key,
    });
    const figures = await comparePairs(plan, [mode, 'off'], start, say, pairs);
    say(`mode ${mode}: ${figures.first.perSecond.toFixed(0)}/s, ${figures.ratio.toFixed(3)} of off`);
    found[mode] = figures;
  }
  const { sampled, all, wasm } = found;
  if (sampled === undefined || all === undefined || wasm === undefined) throw new Error('a mode is missing');
  return { sampled, all, wasm };
}

/** A fresh copy of the data for a mode, beside it: without the copies of modes. */
function copyOf(dataDir: string, mode: Mode): string {
  const copy = join(dataDir, `mode-${mode}`);
  rmSync(copy, { recursive: true, force: true });
  for (const { name } of readdirSync(dataDir, { withFileTypes: true })) {
    if (!name.startsWith('mode-')) cpSync(join(dataDir, name), join(copy, name), { recursive: true });
  }
  return copy;
}

export function modeBars({ sampled, all, wasm }: ModeFigures): readonly Bar[] {
  const cost = 1 - sampled.ratio;
  const { first, second } = sampled;
  return [
    bar(
      'cost of crossCheck sampled',
      `${(cost * 100).toFixed(1)} %`,
      `≤ ${MOST_COST * 100} %`,
      cost <= MOST_COST,
    ),
    bar(
      'processor time of a decision with it, without',
      `${first.workUs.toFixed(0)} µs, ${second.workUs.toFixed(0)} µs`,
      'reported',
      undefined,
    ),
    bar('throughput of crossCheck all / off', all.ratio.toFixed(3), 'reported', undefined),
    bar('throughput of evaluator wasm / off', wasm.ratio.toFixed(3), 'reported', undefined),
  ];
}
