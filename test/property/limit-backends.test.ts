/**
 * Limits counted in memory and in Redis: the same answers on the same trace, whatever is charged, settled, extended or
 * reset, and wherever the clock goes; and the same counts whether Redis was asked or told afterwards.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LimitCharge, LimitRule, LimitStanding, UnitAmounts } from '../../src/domain/limit.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  SettlementResult,
} from '../../src/limits/ports.ts';
import { openRedisLimits } from '../store/redis/redis-limits.ts';
import { type RedisProcess, startRedis, withoutRedis } from '../store/redis/redis-process.ts';

const RUNS = 150;
/** 2026-11-30T23:59:58Z, a Monday: most periods end soon. */
const START = Date.UTC(2026, 10, 30, 23, 59, 58);
const UNITS = ['requests', 'input_tokens', 'output_tokens', 'tokens', 'compute_ms', 'micro_usd'] as const;

interface Key {
  readonly key: string;
  readonly rule: LimitRule;
}

type Step =
  | {
      readonly do: 'admit';
      readonly charges: readonly { at: number; amount: number; part: number }[];
      dry: boolean;
    }
  | { readonly do: 'settle'; readonly back: number; readonly actual: UnitAmounts; readonly floor: boolean }
  | { readonly do: 'extend'; readonly back: number; readonly holdMs: number }
  | { readonly do: 'reset'; readonly at: number }
  | { readonly do: 'repeat'; readonly back: number };

interface Trace {
  readonly keys: readonly Key[];
  readonly steps: readonly (Step & { readonly wait: Wait })[];
}

/** Milliseconds, or what the last answer said: when a denied request passes, a millisecond before, when all has left. */
type Wait = number | 'retry' | 'before' | 'reset';

const name = fc.constantFrom('platform/a', 'tenant:acme/b');
const limit = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 12 }) },
  fc.integer({ min: 100, max: 1_000_000_000_000 }),
);
const span = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 5_000 }) },
  fc.integer({ min: 100, max: 86_400_000 }),
  fc.integer({ min: 86_400_000, max: 40 * 86_400_000 }),
);
const mode = fc.constantFrom('enforce', 'enforce', 'enforce', 'shadow');
const common = {
  name,
  unit: fc.constantFrom(...UNITS),
  mode,
  limit,
  source: fc.constant('base'),
  scope: fc.constant([]),
  onStoreFailure: fc.constant('local'),
  alertAtPercent: fc.constant([]),
} as const;

const ruleArbitrary: fc.Arbitrary<LimitRule> = fc.oneof(
  fc.record({ ...common, kind: fc.constant('window'), windowMs: span }),
  // what no number holds exactly when it is multiplied
  fc.record({
    ...common,
    kind: fc.constant('rate'),
    limit: fc.integer({ min: 1_000_000_000, max: 1_000_000_000_000 }),
    burst: fc.integer({ min: 1_000_000_000, max: 1_000_000_000_000 }),
    periodMs: fc.integer({ min: 10_000_000, max: 86_400_000 }),
  }),
  fc.record({
    ...common,
    kind: fc.constant('rate'),
    periodMs: span.map(ms => Math.min(ms, 86_400_000)),
    burst: limit,
  }),
  fc.record({
    ...common,
    kind: fc.constant('quota'),
    period: fc.oneof(
      fc.constantFrom('hour', 'day', 'week', 'month'),
      span.map(rollingMs => ({ rollingMs })),
    ),
    onExpiry: fc.constantFrom('charge_estimate', 'charge_input', 'release'),
  }),
  fc.record({ ...common, kind: fc.constant('concurrency'), leaseMs: fc.integer({ min: 1, max: 5_000 }) }),
  fc.record({
    ...common,
    kind: fc.constant('concurrency'),
    leaseMs: fc.integer({ min: 1, max: 5_000 }),
    fair: fc.record({
      ownKey: fc.uuid(),
      guaranteed: fc.integer({ min: 0, max: 6 }),
      highWater: fc.integer({ min: 0, max: 12 }),
    }),
  }),
);

const amount = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 5 }) },
  fc.integer({ min: 6, max: 1_000_000_000_000 }),
);
const used = fc.record({
  requests: amount,
  input_tokens: amount,
  output_tokens: amount,
  tokens: amount,
  compute_ms: amount,
  micro_usd: amount,
});
const back = fc.integer({ min: 1, max: 6 });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('admit'),
      charges: fc.array(fc.record({ at: fc.nat(7), amount, part: fc.integer({ min: 0, max: 100 }) }), {
        minLength: 0,
        maxLength: 5,
      }),
      dry: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), back, actual: used, floor: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('extend'), back, holdMs: fc.integer({ min: 0, max: 9_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat'), back }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset'), at: fc.nat(7) }) },
);
const wait: fc.Arbitrary<Wait> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 1_500 }) },
  { weight: 4, arbitrary: fc.constantFrom('retry', 'before', 'reset') },
  { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: 3_000_000, max: 40 * 86_400_000 }) },
);
const traceArbitrary: fc.Arbitrary<Trace> = fc.record({
  keys: fc
    .array(ruleArbitrary, { minLength: 1, maxLength: 4 })
    .map(rules => rules.map((rule, at) => ({ key: `key ${at} } { \u{1f511}`, rule }))),
  steps: fc.array(
    fc.tuple(stepArbitrary, wait).map(([step, ms]) => ({ ...step, wait: ms })),
    { minLength: 1, maxLength: 60 },
  ),
});

/** Every answer of a store on a trace. */
async function answersOf(store: LimitStore, { keys, steps }: Trace): Promise<unknown[]> {
  const answers: unknown[] = [];
  let now = START;
  let told: readonly LimitStanding[] = [];
  for (const [at, step] of steps.entries()) {
    now += millisecondsOf(step.wait, told);
    const answer = await answerOf(store, keys, step, at, now);
    if (typeof answer === 'object' && 'standings' in answer) told = answer.standings;
    answers.push(answer);
  }
  return answers;
}

/** Longest wait that a test follows: beyond it numbers of milliseconds are no dates any more. */
const LONGEST_WAIT_MS = 400 * 86_400_000;

function millisecondsOf(waits: Wait, told: readonly LimitStanding[]): number {
  if (typeof waits === 'number') return waits;
  if (waits === 'reset') return Math.min(Math.max(0, ...told.map(({ resetMs }) => resetMs)), LONGEST_WAIT_MS);
  const retry = told.find(({ retryAfterMs }) => retryAfterMs !== null)?.retryAfterMs ?? 0;
  return Math.min(Math.max(0, waits === 'before' ? retry - 1 : retry), LONGEST_WAIT_MS);
}

async function answerOf(
  store: LimitStore,
  keys: readonly Key[],
  step: Step,
  at: number,
  now: number,
): Promise<Admission | SettlementResult | Extension | undefined> {
  switch (step.do) {
    case 'admit': {
      const charges = chargesOf(keys, step.charges);
      const request = { decisionId: `d${at}`, now, holdMs: 1_000, charges, dryRun: step.dry };
      return { ...(await store.admit(request)), journal: undefined };
    }
    case 'repeat': {
      const [first] = keys;
      const charges = first === undefined ? [] : chargesOf(keys, [{ at: 0, amount: 1, part: 50 }]);
      const request = { decisionId: `d${at - step.back}`, now, holdMs: 1_000, charges };
      return { ...(await store.admit(request)), journal: undefined };
    }
    case 'settle': {
      const { actual, floor } = step;
      const settlement = { decisionId: `d${at - step.back}`, now, actual, atLeastFloor: floor };
      return { ...(await store.settle(settlement)), journal: undefined };
    }
    case 'extend':
      return { ...(await store.extend(`d${at - step.back}`, now, step.holdMs)), journal: undefined };
    default:
      await store.reset(keys[step.at % keys.length]?.key ?? '', now);
      return undefined;
  }
}

/** Each key once. @param most limits above it are not filled up */
function chargesOf(
  keys: readonly Key[],
  chosen: readonly { at: number; amount: number; part: number }[],
  most = Number.POSITIVE_INFINITY,
): LimitCharge[] {
  const charges = new Map<string, LimitCharge>();
  for (const one of chosen) {
    const found = keys[one.at % keys.length];
    if (found === undefined) continue;
    const { key, rule } = found;
    const charged = amountOf(rule, one.amount, most);
    charges.set(key, { rule, key, amount: charged, floor: Math.floor((charged * one.part) / 100) });
  }
  return [...charges.values()];
}

/** Small numbers as they are; of large limits, up to a bound, a part: so that some requests fit and some do not. */
function amountOf({ kind, limit: of }: LimitRule, wanted: number, most: number): number {
  if (kind === 'concurrency') return wanted % 4;
  return of < 100 || of > most || wanted > 5 ? wanted : Math.floor((of * wanted) / 7) + wanted;
}

describe.skipIf(withoutRedis('the agreement of the stores of limits'))('memory and Redis', () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  test('answer the same on every trace', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(traceArbitrary, async trace => {
        const store = await openRedisLimits(redis, `run-${run++}`, 'request');
        try {
          expect(await answersOf(store, trace)).toEqual(await answersOf(new LimitTable(), trace));
        } finally {
          await store.close();
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('count the same, whether Redis is asked or told afterwards', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(tellingArbitrary, fc.boolean(), async (trace, backwards) => {
        const store = await openRedisLimits(redis, `merge-${run++}`, 'request');
        try {
          const table = new LimitTable();
          const requests = requestsOf(trace);
          for (const request of requests) expect(table.admit(request).admitted).toBe(true);
          // servers tell what they did one after the other
          const own = [0, 1].map(server => requests.filter((_, at) => at % 2 === server));
          const told =
            backwards && !trace.keys.some(({ rule }) => rule.kind === 'rate') ? own.reverse() : [requests];
          for (const some of told) if (some.length > 0) await store.merge(some);
          // an answer that was lost: told again at once
          await store.merge(told.at(-1) ?? []);
          const now = (requests.at(-1)?.now ?? START) + trace.later;
          for (const { key, rule } of trace.keys) {
            const charges = [{ rule, key, amount: 0, floor: 0 }];
            const look = { decisionId: 'look', now, holdMs: 0, charges, dryRun: true };
            expect((await store.admit(look)).standings).toEqual(table.admit(look).standings);
          }
        } finally {
          await store.close();
        }
      }),
      { numRuns: RUNS },
    );
  });
});

/** Requests that are admitted whatever they ask. */
interface Telling {
  readonly keys: readonly Key[];
  readonly asked: readonly {
    readonly wait: number;
    readonly charges: readonly { at: number; amount: number; part: number }[];
  }[];
  readonly later: number;
}

const tellingArbitrary: fc.Arbitrary<Telling> = fc.record({
  keys: fc
    .array(ruleArbitrary, { minLength: 1, maxLength: 6 })
    .map(rules => rules.map((rule, at) => ({ key: `key ${at}`, rule: wideOpen(rule) }))),
  asked: fc.array(
    fc.record({
      wait: fc.oneof(fc.integer({ min: 0, max: 1_500 }), fc.integer({ min: 0, max: 3 * 86_400_000 })),
      charges: fc.array(fc.record({ at: fc.nat(5), amount: fc.nat(9), part: fc.nat(100) }), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  later: fc.integer({ min: 0, max: 10_000 }),
});

const PLENTY = 1_000_000;

function wideOpen(rule: LimitRule): LimitRule {
  const open = { ...rule, limit: PLENTY, mode: 'enforce' } as const;
  if (open.kind === 'rate') return { ...open, burst: PLENTY };
  if (open.kind !== 'concurrency' || open.fair === undefined) return open;
  return { ...open, fair: { ...open.fair, highWater: PLENTY } };
}

function requestsOf({ keys, asked }: Telling): AdmissionRequest[] {
  let now = START;
  return asked.map(({ wait, charges }, at) => {
    now += wait;
    return { decisionId: `d${at}`, now, holdMs: 1_000, charges: chargesOf(keys, charges, 1) };
  });
}
