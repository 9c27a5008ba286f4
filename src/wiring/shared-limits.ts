/**
 * The store that several servers share for their limits, when one is configured. Invariant: the service starts without
 * it, and limits are then what they are while it does not answer.
 */
import { readFileSync } from 'node:fs';
import { parseRedisUrl, type RedisSettings } from '../config/limit-settings.ts';
import type { Timers } from '../decision-log/timers.ts';
import type { Clock } from '../domain/clock.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import type { HealthCheck } from '../edge/http/health.ts';
import { FailoverLimitStore } from '../limits/failover/failover-store.ts';
import type { LimitStore } from '../limits/ports.ts';
import { RedisLimitStore } from '../store/redis/limit-store.ts';
import { RedisConnection, type RedisOptionsOfService } from '../store/redis/redis-connection.ts';
import { LimitStoreMetrics } from '../telemetry/limit-store-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface SharedLimitParts {
  readonly settings: RedisSettings;
  /** Counts while the shared store does not answer, and always without one. */
  readonly local: LimitStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Pick<Metrics, 'register'>;
  readonly logger: Logger;
}

export interface SharedLimits {
  readonly store: LimitStore;
  readonly checks: readonly HealthCheck[];
  close(): Promise<void>;
}

/** Opens the shared store, or leaves the local one alone. @throws AppError when a file of its TLS cannot be read */
export async function openSharedLimits(parts: SharedLimitParts): Promise<SharedLimits> {
  const { settings, local, clock, timers, logger } = parts;
  if (settings.nodes.length === 0) return { store: local, checks: [], close: async () => undefined };
  const connection = new RedisConnection(optionsOf(settings), { onLost: reason => store.lost(reason) });
  const store: FailoverLimitStore = new FailoverLimitStore({
    shared: new RedisLimitStore({ connection, prefix: settings.prefix, time: 'redis' }),
    local,
    servers: settings.servers,
    timeoutMs: settings.timeoutMs,
    after: (ms, action) => timers.after(ms, action),
    now: () => clock.now(),
    onChange: reason => {
      if (reason === undefined) logger.info('limits are counted in the shared store');
      else logger.error({ reason }, 'the shared store of limits is not used: `onStoreFailure` decides');
    },
    onDegraded: () => metrics.degraded(),
  });
  const metrics = new LimitStoreMetrics(
    parts.metrics,
    () => store.problem === undefined,
    () => store.unmerged,
  );
  await store.start();
  // probes need no credential: they learn that something is wrong, and not where
  const problem = (): string | undefined =>
    store.problem === undefined ? undefined : 'limits are degraded: the log of the service says why';
  return {
    store,
    checks: [{ name: 'shared store of limits', advisory: true, problem }],
    close: () => store.close(),
  };
}

function optionsOf(settings: RedisSettings): RedisOptionsOfService {
  const { topology, username, password, authority, certificate, key } = settings;
  const nodes = settings.nodes.flatMap(node => parseRedisUrl(node) ?? []);
  const usesTls = nodes.some(({ tls }) => tls);
  return {
    nodes: nodes.map(({ host, port }) => ({ host, port })),
    topology,
    username,
    password,
    tls: usesTls
      ? {
          ca: readPem('authority', authority),
          cert: readPem('certificate', certificate),
          key: readPem('key', key),
        }
      : undefined,
  };
}

function readPem(setting: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AppError(
      'STORE_UNAVAILABLE',
      `cannot read \`${path}\`, the file of \`limits.redis.${setting}\`: ${messageOf(error)}`,
    );
  }
}
