/**
 * `npm run fuzz -- --triples N --seed S`: differential fuzzing for as long as one likes. Reports progress, and
 * on a disagreement prints a small case that shows it and exits with 1.
 */
import { parseArgs } from 'node:util';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { newTally, runRound, type Tally } from './differential.ts';
import { Random } from './random.ts';
import { describeMismatch, shrink } from './shrink.ts';

/** A round takes about a second, so that progress is steady. */
const ROUND = { sets: 30, requests: 30 };
const REPORT_SECONDS = 10;

function main(): number {
  const { values } = parseArgs({
    options: { triples: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
  });
  const [triples, firstSeed] = [Number(values.triples), Number(values.seed)];
  if (!Number.isSafeInteger(triples) || triples < 1 || !Number.isSafeInteger(firstSeed)) {
    process.stderr.write('usage: npm run fuzz -- --triples N --seed S, both integers\n');
    return 64;
  }
  const wasm = new CedarWasm();
  const tally = newTally();
  const started = performance.now();
  let reported = started;
  for (let seed = firstSeed; tally.triples < triples; seed++) {
    const mismatch = runRound(new Random(seed), wasm, ROUND, tally);
    if (mismatch !== undefined) {
      const small = shrink(mismatch, wasm);
      process.stdout.write(`disagreement at seed ${seed}\n${describeMismatch(small, wasm)}\n`);
      return 1;
    }
    const now = performance.now();
    if (now - reported < REPORT_SECONDS * 1000) continue;
    reported = now;
    process.stderr.write(`${summarise(tally, (now - started) / 1000)}, next seed ${seed + 1}\n`);
  }
  process.stdout.write(`no disagreement: ${summarise(tally, (performance.now() - started) / 1000)}\n`);
  return 0;
}

function summarise(tally: Tally, seconds: number): string {
  const percent = (part: number): string => `${((100 * part) / tally.triples).toFixed(0)} %`;
  return [
    `${tally.triples} triples in ${seconds.toFixed(0)} s (${(tally.triples / seconds).toFixed(0)}/s)`,
    `${tally.policies} policies, ${tally.refused} refused`,
    `${percent(tally.allows)} allow, ${percent(tally.determined)} determined, ${percent(tally.erring)} with an error`,
  ].join('; ');
}

process.exitCode = main();
