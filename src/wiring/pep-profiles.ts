/** Profiles of gateways, put together: those of the configuration, those that were written over the API. */
import type { Config } from '../config/settings.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { ProfileRegistry } from '../identity/pep-profiles/profile-registry.ts';
import { ProfileService } from '../identity/pep-profiles/profile-service.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Control } from './control.ts';
import type { Events } from './events.ts';
import { objectDigest } from './object-digest.ts';
import type { Stores } from './stores.ts';

export interface ProfileParts {
  readonly config: Pick<Config, 'pepProfiles'>;
  readonly stores: Pick<Stores, 'profiles'>;
  readonly events: Pick<Events, 'announce'>;
  readonly control: Pick<Control, 'profiles'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Pick<Logger, 'warn'>;
}

export interface Profiles {
  readonly service: ProfileService;
  readonly registry: ProfileRegistry;
}

/** Loads every profile. @throws AppError STORE_UNAVAILABLE when one cannot be read */
export async function assembleProfiles(parts: ProfileParts): Promise<Profiles> {
  const { config, stores, events, control, clock, ids, logger } = parts;
  const registry = new ProfileRegistry(config.pepProfiles);
  const service = new ProfileService({
    store: stores.profiles,
    registry,
    guard: control.profiles,
    clock,
    ids,
    digestOf: objectDigest,
    announce: event => events.announce(event),
  });
  for (const profile of await service.load()) {
    logger.warn({ profile }, 'the configuration has a profile of this name: the stored one is not in force');
  }
  return { service, registry };
}
