/**
 * One server of several, as a process of its own: asks the shared store for many admissions at once when it is told
 * to, and says how many it got.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { FailoverLimitStore } from '../../src/limits/failover/failover-store.ts';
import { LimitTable } from '../../src/limits/counters/limit-table.ts';
import { RedisLimitStore } from '../../src/store/redis/limit-store.ts';
import { RedisConnection } from '../../src/store/redis/redis-connection.ts';
import { chargeTo, leaseRule, quotaRule, windowRule } from '../conformance/limit-scene.ts';

/** What the parent says: ask so many times for the limits of a round. */
const orderSchema = z.object({ round: z.string(), server: z.int(), asks: z.int(), budget: z.int() });
type Order = z.infer<typeof orderSchema>;

const port = Number(process.argv[2]);
const connection = new RedisConnection(
  { nodes: [{ host: '127.0.0.1', port }], topology: 'single' },
  { onLost: reason => store.lost(reason) },
);
const store: FailoverLimitStore = new FailoverLimitStore({
  shared: new RedisLimitStore({ connection, prefix: 'race', time: 'redis' }),
  local: new LimitTable(),
  servers: 1,
  // the machine that runs the tests is slow at times, and this is not about deadlines
  timeoutMs: 5_000,
  after: (ms, action) => {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
  now: () => Date.now(),
  onChange: () => undefined,
  onDegraded: () => undefined,
});
await store.start();

process.on('message', message => {
  void answer(orderSchema.parse(message));
});
process.once('disconnect', () => void store.close().then(() => process.exit()));
process.send?.({ ready: store.problem === undefined });

async function answer(order: Order): Promise<void> {
  const results = await Promise.all(Array.from({ length: order.asks }, (_, n) => ask(order, n)));
  const admitted = results.filter(result => result).length;
  process.send?.({ admitted, asked: results.length });
}

/** Money that nobody may overspend, a window that is wide enough, and leases. */
async function ask({ round, server, budget }: Order, n: number): Promise<boolean> {
  // spread over some turns, so that commands of different servers interleave
  await wait(n % 20);
  const name = `platform/${round}`;
  const money = quotaRule({ name, unit: 'micro_usd', limit: budget * 3, onStoreFailure: 'deny' });
  const charges = [
    chargeTo(windowRule({ name: `${name}-w`, limit: 1_000_000, onStoreFailure: 'deny' })),
    chargeTo(money, { amount: 3, floor: 1 }),
    chargeTo(leaseRule({ name: `${name}-c`, limit: 1_000_000, onStoreFailure: 'deny' })),
  ];
  const decisionId = `${round}-${server}-${n}`;
  return (await store.admit({ decisionId, now: Date.now(), holdMs: 600_000, charges })).admitted;
}
