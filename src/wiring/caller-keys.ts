/** Keys of callers, put together: peppers, the table in memory, the service that changes it, and who verifies by it. */
import type { Config } from '../config/settings.ts';
import type { DirectoryService } from '../directory/service.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { EntityRef } from '../domain/ids.ts';
import { qualify } from '../pdp/plan.ts';
import { KeyAuthenticator } from '../identity/caller-keys/key-authenticator.ts';
import { KeyEvents } from '../identity/caller-keys/key-events.ts';
import type { CallerKeyPolicy } from '../identity/caller-keys/key-policy.ts';
import { CallerKeyService } from '../identity/caller-keys/key-service.ts';
import { CallerKeyTable } from '../identity/caller-keys/key-table.ts';
import { LastUse } from '../identity/caller-keys/last-use.ts';
import { PepperHasher } from '../identity/caller-keys/pepper-hash.ts';
import type { CallerKeyStore } from '../identity/caller-keys/ports.ts';
import { FailureLimiter } from '../identity/failure-limiter.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PROCESS_TIMERS } from './anchors.ts';
import { readCallerPeppers } from './caller-peppers.ts';
import type { Events } from './events.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export interface CallerKeyParts {
  readonly config: Config;
  readonly callerKeys: CallerKeyStore;
  readonly directory: Pick<DirectoryService, 'graph'>;
  readonly events: Pick<Events, 'announce'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: RandomBytes;
  readonly metrics: Pick<Metrics, 'authenticationFailed'>;
  readonly logger: Pick<Logger, 'warn'>;
}

export interface CallerKeys {
  readonly service: CallerKeyService;
  readonly authenticator: KeyAuthenticator;
  /** Writes down the last uses. */
  close(): Promise<void>;
}

/** Loads every key. @throws AppError STORE_UNAVAILABLE when keys or peppers cannot be read */
export async function assembleCallerKeys(parts: CallerKeyParts): Promise<CallerKeys> {
  const { config, callerKeys: store, directory, events, clock, ids, random, metrics, logger } = parts;
  const { peppers } = config.identity.callerKeys;
  const hasher = new PepperHasher(readCallerPeppers(config.dataDir, peppers, await hasKeys(store), random));
  const table = new CallerKeyTable(hasher, clock);
  const owners = { find: ({ type, id }: EntityRef) => directory.graph.get(qualify(type, id).key) };
  const service = new CallerKeyService({
    store,
    table,
    hasher,
    owners,
    policy: policyOf(config),
    events: new KeyEvents(ids, clock),
    clock,
    random,
    announce: event => events.announce(event),
  });
  const unverifiable = await service.load();
  if (unverifiable > 0) {
    logger.warn(
      { keys: unverifiable },
      'keys of callers are refused, because their version of the pepper is gone',
    );
  }
  const uses = new LastUse({
    store,
    clock,
    timers: PROCESS_TIMERS,
    failed: error => logger.warn({ err: error }, 'the last uses of keys of callers wait for the store'),
  });
  const authenticator = new KeyAuthenticator({
    table,
    owners,
    uses,
    limiter: new FailureLimiter(clock, config.auth.maxFailuresPerMinute),
    refused: cause => metrics.authenticationFailed(`caller_${cause}`),
    lateUse: (keyId, endsAt) =>
      logger.warn({ keyId, endsAt }, 'a key of a caller has a successor and is still used: it ends soon'),
    now: () => clock.now(),
  });
  return { service, authenticator, close: () => uses.close() };
}

async function hasKeys(store: CallerKeyStore): Promise<boolean> {
  for await (const chunk of store.load()) return chunk.length > 0;
  return false;
}

function policyOf({ identity }: Config): CallerKeyPolicy {
  const { maxLifetimeDays, tenantLifetimes, maxOverlapHours, onLeak, selfService } = identity.callerKeys;
  const days = new Map(tenantLifetimes.map(one => [one.tenant, one.maxLifetimeDays]));
  return {
    maxLifetimeMs: tenant => (days.get(tenant ?? '') ?? maxLifetimeDays) * DAY_MS,
    maxOverlapMs: maxOverlapHours * HOUR_MS,
    onLeak,
    selfService: new Set(selfService),
  };
}
