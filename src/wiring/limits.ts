/** What counts beside the policies, put together: the planner, the store, the desk of decisions and that of outcomes. */
import type { Config } from '../config/settings.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { LimitDesk, type LimitGuard } from '../limits/desk.ts';
import { ActiveTenants } from '../limits/fair-shares.ts';
import { LimitTable } from '../limits/limit-table.ts';
import { LimitPlanner } from '../limits/planner.ts';
import type { LimitStore } from '../limits/ports.ts';
import { UsageTable } from '../limits/usage-history.ts';
import { LimitUsageDesk } from '../pdp/limit-usage.ts';
import { OutcomeDesk } from '../pdp/outcome-desk.ts';
import type { SnapshotHolder } from '../pdp/snapshot.ts';
import type { Stores } from './stores.ts';

const SECOND_MS = 1_000;

export interface LimitParts {
  readonly config: Pick<Config, 'limits'>;
  readonly stores: Pick<Stores, 'log' | 'reader' | 'subjects'>;
  readonly snapshots: SnapshotHolder;
  readonly guard: LimitGuard;
  readonly clock: Clock;
  readonly ids: IdSource;
}

export interface Limits {
  readonly desk: LimitDesk;
  readonly outcomes: OutcomeDesk;
  readonly usage: LimitUsageDesk;
  readonly planner: LimitPlanner;
  readonly store: LimitStore;
  close(): Promise<void>;
}

export function assembleLimits(parts: LimitParts): Limits {
  const { config, stores, snapshots, guard, clock, ids } = parts;
  const history = new UsageTable();
  const planner = new LimitPlanner({ history, activity: new ActiveTenants() });
  const store = new LimitTable();
  const holdMs = config.limits.holdSeconds * SECOND_MS;
  const { registry } = stores.subjects;
  return {
    desk: new LimitDesk({ store, planning: planner, guard, holdMs }),
    outcomes: new OutcomeDesk({
      store,
      planning: planner,
      log: stores.log,
      reader: stores.reader,
      subjects: registry,
      snapshots,
      usage: history,
      outputDigest: (output, time) => registry.outputMac(output, time),
      clock,
      ids,
      holdMs,
    }),
    usage: new LimitUsageDesk({ snapshots, planning: planner, store, log: stores.log, clock, ids }),
    planner,
    store,
    close: () => store.close(),
  };
}
