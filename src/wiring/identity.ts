/** Keys and the record of failed authentications, put together. */
import type { Config } from '../config/settings.ts';
import { AuthFailureRecorder } from '../decision-log/auth-failures.ts';
import type { DirectoryService } from '../directory/service.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { Authenticator } from '../edge/http/authentication.ts';
import { ClientAddresses } from '../edge/http/client-address.ts';
import { FailureLimiter } from '../identity/failure-limiter.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import { KeyHasher } from '../identity/key-hash.ts';
import { KeyRing } from '../identity/key-ring.ts';
import { KeyService } from '../identity/key-service.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { assembleCallers, type Callers } from './callers.ts';
import { takeBreakGlass } from './break-glass.ts';
import { checkAdministrable, type Control } from './control.ts';
import type { Certificates } from './certificates.ts';
import { readPepper } from './data-folder.ts';
import type { Events } from './events.ts';
import { objectDigest } from './object-digest.ts';
import type { Stores } from './stores.ts';

export interface IdentityParts {
  readonly config: Config;
  readonly stores: Stores;
  readonly events: Events;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly directory: DirectoryService;
  readonly control: Control;
  readonly random: RandomBytes;
  /** Takes the text of the first key when it is stored: it is kept nowhere. */
  readonly showFirstKey: (key: string) => void;
  readonly certificates: Pick<Certificates, 'clients' | 'requesters'>;
}

export interface Identity {
  readonly keys: KeyService;
  readonly authenticator: Authenticator;
  /** End callers, whose credentials gateways forward. */
  readonly callers: Callers;
  /** Writes down the failures that are still being counted, and the last uses of callers' keys. */
  close(): Promise<void>;
}

/** Loads the keys, and makes the first one when there is none. */
export async function assembleIdentity(parts: IdentityParts): Promise<Identity> {
  const { config, stores, events, clock, ids, metrics, logger, random, control } = parts;
  const existing = await stores.keys.list();
  const pepper = readPepper(config.dataDir, config.keyPepper, existing.length > 0, random);
  const hasher = new KeyHasher(pepper);
  const ring = new KeyRing(hasher, clock);
  const keys = new KeyService({
    store: stores.keys,
    ring,
    hasher,
    clock,
    ids,
    random,
    guard: control.keys,
    digestOf: objectDigest,
    announce: event => events.announce(event),
  });
  await keys.load();
  const callers = await assembleCallers({
    ...parts,
    revocations: stores.revocations,
    callerKeys: stores.callerKeys,
  });
  const firstKey = await keys.bootstrap(config.bootstrapKey);
  // stored now: whatever stops the start after this must not take the only admin key with it
  if (firstKey !== undefined) parts.showFirstKey(firstKey);
  checkAdministrable(keys, control);
  await takeBreakGlass(config.dataDir, keys, clock, logger);
  const failures = new AuthFailureRecorder({
    log: stores.log,
    clock,
    ids,
    nameOf(source, cause, time) {
      // The address itself is told to the service's own log alone, which can forget it.
      const loggedAs = stores.subjects.registry.unregistered(`address ${source}`, time);
      logger.warn({ source, loggedAs, cause }, 'authentication failed');
      return loggedAs;
    },
  });
  failures.start();
  const authenticator = new Authenticator(
    ring,
    new FailureLimiter(clock, config.auth.maxFailuresPerMinute),
    new ClientAddresses(config.http.trustedProxies),
    (source, { cause }) => {
      metrics.authenticationFailed(cause);
      failures.record({ address: source, cause });
    },
    parts.certificates.requesters,
  );
  const close = async (): Promise<void> => {
    await callers.close();
    await failures.close();
  };
  return { keys, authenticator, callers, close };
}
