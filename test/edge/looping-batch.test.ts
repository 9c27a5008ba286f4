/**
 * A scenario of the trade: the batch job of one tenant loops, and asks for a model as often as it can that another tenant
 * shares. The other tenant's p99 may not be slower by more than a tenth.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LimitedService, pushLimits, startLimitedService } from './limited-service.ts';
import { percentile, type Served, SharedModel, type Workload } from './shared-model.ts';

const CAPACITY = 8;
const WORK_MS = 200;
const SPAN_MS = 4_000;
const MODEL = { type: 'Model', id: 'globex/translate' };
const POOL = { id: 'translate', kind: 'concurrency', limit: CAPACITY, lease: '60s', key: ['model'] };
const FAIR = { weights: { acme: 1, globex: 1 }, highWaterPercent: 75 };
const PENALTIES = { principal: { violations: 20, within: '60s', block: '60s' } };

/** A call each 100 ms: two run at one time as a rule. */
const INTERACTIVE: Workload = {
  question: { principal: { type: 'Service', id: 'globex/router' }, action: 'generate', resource: MODEL },
  arrivals: Array.from({ length: SPAN_MS / 100 }, (_, at) => at * 100),
  loops: false,
  retryMs: 500,
};
/** Twelve workers without a pause. */
const BATCH: Workload = {
  question: {
    principal: { type: 'User', id: 'acme/alice' },
    action: 'generate',
    resource: MODEL,
    auth: { method: 'jwt', assurance: 1, scopes: [] },
  },
  arrivals: Array.from({ length: 12 }, () => 0),
  loops: true,
  retryMs: 200,
};

let service: LimitedService;
let alone: number;
beforeAll(async () => {
  service = await startLimitedService({});
  const [served] = await run([INTERACTIVE], {});
  alone = percentile(served?.latencies ?? [], 99);
});
afterAll(() => service.stop());

async function run(workloads: readonly Workload[], limits: object): Promise<readonly Served[]> {
  await pushLimits(service, { ...limits, penalties: PENALTIES });
  const served = await new SharedModel(service, CAPACITY, WORK_MS).run(workloads, SPAN_MS);
  // what the calls of one test hold is over before the next
  service.clock.advance(3_600_000);
  return served;
}

test('with fair shares the other tenant does not notice the loop', async () => {
  const [interactive, batch] = await run([INTERACTIVE, BATCH], { limits: [{ ...POOL, fair: FAIR }] });
  if (interactive === undefined || batch === undefined) throw new Error('a workload is missing');
  expect(interactive.latencies).toHaveLength(INTERACTIVE.arrivals.length);
  expect(percentile(interactive.latencies, 99)).toBeLessThanOrEqual(alone * 1.1);
  expect([...interactive.denied]).toEqual([]);
  expect([...batch.denied.keys()], 'want of capacity, and no violation').toEqual(['OVERLOADED']);
  const blocked = await service.call('GET', '/v1/penalties');
  expect(blocked.json).toMatchObject({ items: [] });
});

test('what the other tenant does not use is lent, and no part of the model is kept idle for nobody', async () => {
  const [batch] = await run([BATCH], { limits: [{ ...POOL, fair: FAIR }] });
  expect(batch?.most, 'six of eight, of which four are its own').toBe(6);
});

test('who comes back to its own share has it at once, also while all of the rest is lent', async () => {
  const later = { ...INTERACTIVE, arrivals: INTERACTIVE.arrivals.filter(at => at >= SPAN_MS / 2) };
  const [interactive] = await run([later, BATCH], { limits: [{ ...POOL, fair: FAIR }] });
  expect([...(interactive?.denied ?? [])]).toEqual([]);
  expect(percentile(interactive?.latencies ?? [], 99)).toBeLessThanOrEqual(alone * 1.1);
});

test.each([
  ['no limit at all, the model slows down for everybody', {}],
  ['a pool that takes whoever comes first, the loop has all of it', { limits: [POOL] }],
])('the test can fail: with %s', async (_, limits) => {
  const [interactive] = await run([INTERACTIVE, BATCH], limits);
  expect(percentile(interactive?.latencies ?? [], 99)).toBeGreaterThan(alone * 1.1);
});
