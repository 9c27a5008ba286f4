/** What counts beside the policies, put together: the planner, the store, the desk of decisions and that of outcomes. */
import type { Config } from '../config/settings.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { LimitDesk, type LimitGuard } from '../limits/desk.ts';
import { ActiveTenants } from '../limits/charges/fair-shares.ts';
import { LimitPlanner } from '../limits/charges/planner.ts';
import type { LimitStore } from '../limits/ports.ts';
import { UsageTable } from '../limits/charges/usage-history.ts';
import { DescriptorDesk } from '../pdp/descriptor-limits.ts';
import { LimitUsageDesk } from '../pdp/limit-usage.ts';
import { EffectiveLimitsDesk } from '../pdp/effective-limits.ts';
import { OutcomeDesk } from '../pdp/outcome-desk.ts';
import type { SnapshotHolder } from '../pdp/snapshot.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import type { HealthCheck } from '../edge/http/health.ts';
import type { Logger } from '../telemetry/logger.ts';
import { LimitMetrics } from '../telemetry/limit-metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PROCESS_TIMERS } from './anchors.ts';
import { LimitMemory } from './limit-memory.ts';
import { openSharedLimits } from './shared-limits.ts';
import type { Stores } from './stores.ts';

const SECOND_MS = 1_000;

export interface LimitParts {
  readonly config: Pick<Config, 'limits' | 'dataDir'>;
  readonly stores: Pick<Stores, 'log' | 'journals' | 'reader' | 'tree' | 'subjects'>;
  readonly snapshots: SnapshotHolder;
  readonly guard: LimitGuard;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: RandomBytes;
  readonly metrics: Pick<Metrics, 'register'>;
  readonly logger: Logger;
}

export interface Limits {
  readonly desk: LimitDesk;
  readonly outcomes: OutcomeDesk;
  readonly usage: LimitUsageDesk;
  readonly descriptors: DescriptorDesk;
  readonly effective: EffectiveLimitsDesk;
  readonly planner: LimitPlanner;
  readonly store: LimitStore;
  readonly checks: readonly HealthCheck[];
  /** Keeps what was counted without the log. @returns whether that holds for all entries so far */
  keepCounts(): Promise<boolean>;
  close(): Promise<void>;
}

/** Counts on from what was counted. @throws AppError with what to do when that cannot be known */
export async function assembleLimits(parts: LimitParts): Promise<Limits> {
  const { config, stores, snapshots, guard, clock, ids } = parts;
  const timers = PROCESS_TIMERS;
  const memory = await LimitMemory.open({ ...parts, ...stores, folder: config.dataDir, timers });
  const history = new UsageTable();
  const planner = new LimitPlanner({ history, activity: new ActiveTenants() });
  const { store, checks, ...shared } = await openSharedLimits({
    ...parts,
    settings: config.limits.redis,
    local: memory.table,
    timers,
  }).catch(async (error: unknown) => {
    await memory.close();
    throw error;
  });
  const metrics = new LimitMetrics(parts.metrics, {
    keys: () => memory.table.keys,
    holding: () => memory.table.holding,
  });
  const holdMs = config.limits.holdSeconds * SECOND_MS;
  const { registry } = stores.subjects;
  return {
    desk: new LimitDesk({ store, planning: planner, guard: counting(guard, metrics), holdMs }),
    outcomes: new OutcomeDesk({
      store,
      planning: planner,
      log: stores.log,
      reader: stores.reader,
      subjects: registry,
      snapshots,
      usage: history,
      outputDigest: (output, time) => registry.outputDigest(output, time),
      clock,
      ids,
      holdMs,
    }),
    usage: new LimitUsageDesk({ snapshots, planning: planner, store, log: stores.log, clock, ids }),
    descriptors: new DescriptorDesk({
      snapshots,
      planning: planner,
      store,
      log: stores.log,
      clock,
      ids,
      checked: (limits, refused) => metrics.checked(limits, refused),
    }),
    effective: new EffectiveLimitsDesk(snapshots, planner, clock),
    planner,
    store,
    checks,
    keepCounts: () => memory.keep(),
    close: async () => {
      await shared.close();
      await memory.close();
    },
  };
}

/** The guard, with what limits said counted beside it. */
function counting(guard: LimitGuard, metrics: LimitMetrics): LimitGuard {
  return {
    blocked: (asker, now) => guard.blocked(asker, now),
    shed: (facts, now) => guard.shed(facts, now),
    answered(facts, limits, refusal, now) {
      metrics.checked(limits, refusal !== undefined);
      guard.answered(facts, limits, refusal, now);
    },
  };
}
