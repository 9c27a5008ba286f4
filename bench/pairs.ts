/**
 * Two services that should hardly differ, compared: they run beside each other and take short turns, so that noise hits
 * them alike, in pairs of processes one after the other, since two processes of the same code were seen to differ by
 * a tenth.
 */
import type { HttpPlan } from './http.ts';
import { median } from './median.ts';
import { load, type RunningService } from './process.ts';
import { requests } from './world.ts';

/** Pairs of processes, where nothing else is said. */
const PAIRS = 6;
/** Rounds of a pair that are counted: many short ones, since the speed of a machine changes from second to second. */
const ROUNDS = 10;
/** Turns, as multiples of the plan's seconds: a measured one, and one before, since a service is compiled for long. */
const TURN = 1 / 12;
const WARM_TURN = 3 / 2;

/** One load on one service. */
interface Sample {
  readonly perSecond: number;
  readonly workUs: number;
  readonly mainUs: number;
  readonly failures: number;
}

export interface Side {
  readonly service: RunningService;
  /** Of a gateway. */
  readonly key: string;
}

/** Medians over the rounds of one side. */
export interface SideFigures {
  readonly perSecond: number;
  /** Processor time of the service for one decision, all its threads together, in microseconds. */
  readonly workUs: number;
  /** Of that, what the thread of the event loop took. */
  readonly mainUs: number;
}

export interface PairFigures {
  readonly first: SideFigures;
  readonly second: SideFigures;
  /** Median over the rounds of the first side's throughput / the second's. */
  readonly ratio: number;
  readonly failures: number;
}

/**
 * @param start starts a service of a kind, once for each pair; it is stopped after its rounds
 * @param pairs of processes
 */
export async function comparePairs<K extends string>(
  plan: HttpPlan,
  kinds: readonly [K, K],
  start: (kind: K) => Promise<Side>,
  say: (line: string) => void,
  pairs = PAIRS,
): Promise<PairFigures> {
  const rounds: (readonly [Sample, Sample])[] = [];
  const services: RunningService[] = [];
  const started = async (kind: K): Promise<Side> => {
    const side = await start(kind);
    services.push(side.service);
    return side;
  };
  for (let pair = 0; pair < pairs; pair++) {
    try {
      // each is started before the other as often as after it: what that does to a process, if anything, falls out
      const early = pair % 2 === 0 ? undefined : await started(kinds[1]);
      const ours = await started(kinds[0]);
      const sides = [ours, early ?? (await started(kinds[1]))] as const;
      for await (const round of measure(plan, sides)) {
        rounds.push(round);
        const told = round.map(
          (one, at) => `${kinds[at]} ${one.perSecond.toFixed(0)}/s, ${one.workUs.toFixed(0)} µs`,
        );
        say(`round ${rounds.length}: ${told.join('; ')}`);
      }
    } finally {
      for (const service of services.splice(0)) await service.stop();
    }
  }
  return {
    first: figuresOf(rounds.map(([first]) => first)),
    second: figuresOf(rounds.map(([, second]) => second)),
    ratio: median(rounds.map(([first, second]) => first.perSecond / second.perSecond)),
    failures: rounds.flat().reduce((sum, one) => sum + one.failures, 0),
  };
}

async function* measure(
  plan: HttpPlan,
  [first, second]: readonly [Side, Side],
): AsyncGenerator<readonly [Sample, Sample]> {
  const bodies = requests(plan.size, 20_000, 7);
  await sampleOf(plan, first, bodies, WARM_TURN);
  await sampleOf(plan, second, bodies, WARM_TURN);
  for (let round = 0; round < ROUNDS; round++) {
    // each follows the other as often as it goes before it: what one leaves to be indexed disturbs the other
    const early = round % 2 === 0 ? undefined : await sampleOf(plan, second, bodies, TURN);
    const ours = await sampleOf(plan, first, bodies, TURN);
    yield [ours, early ?? (await sampleOf(plan, second, bodies, TURN))];
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

function figuresOf(samples: readonly Sample[]): SideFigures {
  return {
    perSecond: median(samples.map(one => one.perSecond)),
    workUs: median(samples.map(one => one.workUs)),
    mainUs: median(samples.map(one => one.mainUs)),
  };
}
