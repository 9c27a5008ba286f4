/**
 * What the log costs as evidence: the same decisions with tree, signatures and privacy, and by a service from which the
 * benchmark has taken them (plain-log/preload.ts). Both write the same durable log otherwise, each leaf with its hash;
 * they run beside each other and take turns: noise hits them alike.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogContent, readLog, requireEvidence, requirePlain } from './evidence-check.ts';
import type { HttpPlan } from './http.ts';
import { median } from './median.ts';
import { load, type RunningService, startService } from './process.ts';
import { fill } from './setup.ts';
import { type Bar, bar } from './table.ts';
import { requests } from './world.ts';

type Kind = 'evidence' | 'plain';
const KINDS: readonly Kind[] = ['evidence', 'plain'];

/** Pairs of processes, one after the other: two processes of the same code were seen to differ by a tenth. */
const PAIRS = 3;
/** Rounds of a pair that are counted: short ones, since the costs lie closer to each other than noise comes and goes. */
const ROUNDS = 8;
/** Turns, as multiples of the plan's seconds: a measured one, and one before, since a service is compiled for long. */
const TURN = 0.25;
const WARM_TURN = 2;
/** Least throughput with evidence, as a share of that without. */
const LEAST_RATIO = 0.9;
const PRELOAD = new URL('./plain-log/preload.ts', import.meta.url).href;

type Figures = Readonly<Record<Kind, number>>;

export interface EvidenceFigures {
  /** Medians over the rounds. */
  readonly perSecond: Figures;
  /** Median over the rounds of with / without. */
  readonly ratio: number;
  /** Processor time of the service for one decision, all its threads together, in microseconds. */
  readonly workUs: Figures;
  /** Of that, what the thread of the event loop took. */
  readonly mainUs: Figures;
  readonly failures: number;
  /** What the logs held in the end. */
  readonly content: Readonly<Record<Kind, LogContent>>;
}

type Samples = Record<Kind, Sample[]>;

/** One load on one service. */
interface Sample {
  readonly perSecond: number;
  readonly workUs: number;
  readonly mainUs: number;
  readonly failures: number;
}

interface Side {
  readonly service: RunningService;
  /** Of a gateway. */
  readonly key: string;
}

export async function benchEvidence(plan: HttpPlan, say: (line: string) => void): Promise<EvidenceFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-bench-evidence-'));
  const services: RunningService[] = [];
  const start = async (kind: Kind, untilReady: boolean): Promise<RunningService> => {
    const options = kind === 'plain' ? ['--import', PRELOAD] : [];
    const service = await startService(join(folder, kind), {}, untilReady, options);
    services.push(service);
    return service;
  };
  const stopAll = async (): Promise<void> => {
    for (const service of services.splice(0)) await service.stop();
  };
  const filled = async (kind: Kind): Promise<string> => {
    mkdirSync(join(folder, kind));
    return await fill(await start(kind, false), plan.size);
  };
  try {
    const keys = { evidence: await filled('evidence'), plain: await filled('plain') };
    await stopAll();
    const samples: Samples = { evidence: [], plain: [] };
    for (let pair = 0; pair < PAIRS; pair++) {
      const side = async (kind: Kind): Promise<Side> => ({
        service: await start(kind, true),
        key: keys[kind],
      });
      await measure(plan, { evidence: await side('evidence'), plain: await side('plain') }, samples, say);
      await stopAll();
    }
    const content = { evidence: readLog(join(folder, 'evidence')), plain: readLog(join(folder, 'plain')) };
    requireEvidence(content.evidence);
    requirePlain(content.plain);
    return { ...figuresOf(samples), content };
  } finally {
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  plan: HttpPlan,
  sides: Readonly<Record<Kind, Side>>,
  samples: Samples,
  say: (line: string) => void,
): Promise<void> {
  const bodies = requests(plan.size, 20_000, 7);
  for (const kind of KINDS) await sampleOf(plan, sides[kind], bodies, WARM_TURN);
  for (let round = 1; round <= ROUNDS; round++) {
    // each follows the other as often as it goes before it: what one leaves to be indexed disturbs the other
    for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
      samples[kind].push(await sampleOf(plan, sides[kind], bodies, TURN));
    }
    say(
      `evidence, round ${samples.plain.length}: ${KINDS.map(kind => told(kind, samples[kind])).join(', ')}`,
    );
  }
}

async function sampleOf(
  { connections, seconds }: HttpPlan,
  { service, key }: Side,
  bodies: readonly string[],
  turn: number,
): Promise<Sample> {
  const headers = { authorization: `Bearer ${key}` };
  const before = service.cpu();
  const options = { port: service.port, path: '/decide', headers, bodies, connections };
  const result = await load({ ...options, seconds: seconds * turn });
  const after = service.cpu();
  return {
    perSecond: result.perSecond,
    workUs: (after.process - before.process) / result.requests,
    mainUs: (after.main - before.main) / result.requests,
    failures: result.failures,
  };
}

function told(kind: Kind, samples: readonly Sample[]): string {
  const { perSecond = Number.NaN, workUs = Number.NaN } = samples.at(-1) ?? {};
  return `${kind} ${perSecond.toFixed(0)}/s, ${workUs.toFixed(0)} µs`;
}

function figuresOf(samples: Readonly<Record<Kind, readonly Sample[]>>): Omit<EvidenceFigures, 'content'> {
  const { evidence, plain } = samples;
  const medians = (field: keyof Sample): Figures => ({
    evidence: median(evidence.map(one => one[field])),
    plain: median(plain.map(one => one[field])),
  });
  return {
    perSecond: medians('perSecond'),
    ratio: median(evidence.map((one, round) => one.perSecond / (plain[round]?.perSecond ?? Number.NaN))),
    workUs: medians('workUs'),
    mainUs: medians('mainUs'),
    failures: [...evidence, ...plain].reduce((sum, one) => sum + one.failures, 0),
  };
}

export function evidenceBars({
  perSecond,
  ratio,
  workUs,
  mainUs,
  failures,
}: EvidenceFigures): readonly Bar[] {
  const work = (kind: Kind): string =>
    `${workUs[kind].toFixed(0)} µs (${mainUs[kind].toFixed(0)} of the main thread)`;
  return [
    bar(
      '/decide with tree, signatures and privacy / without',
      `${ratio.toFixed(3)} (${perSecond.evidence.toFixed(0)} / ${perSecond.plain.toFixed(0)})`,
      `≥ ${LEAST_RATIO}`,
      ratio >= LEAST_RATIO,
    ),
    bar(
      'processor time of a decision with them, without',
      `${work('evidence')}, ${work('plain')}`,
      'reported',
      undefined,
    ),
    bar('failed requests with and without evidence', String(failures), '0', failures === 0),
  ];
}
