/**
 * Reads and changes the profiles of gateways. Invariants: a change is durable with its event before it counts, and
 * counts for every question after its answer; what the configuration says cannot be changed here; whoever is limited
 * to tenants has no say, because a profile concerns whoever comes through the gateway.
 */
import { type Clock, type IdSource, timestamp } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { isJsonObject } from '../../domain/decision-request.ts';
import { AppError } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import { MAX_PROFILES, type PepProfile, type PepProfileBody } from '../../domain/pep-profile.ts';
import type { ProfileChange, ProfileStore, StoredProfile } from './ports.ts';
import type { ProfileRegistry } from './profile-registry.ts';

/** A profile as it is shown. */
export interface ListedProfile {
  readonly profile: PepProfile;
  readonly origin: 'configuration' | 'api';
  /** 0 for those of the configuration. */
  readonly revision: number;
  /** Absent for those of the configuration. */
  readonly updatedAt?: string;
  readonly updatedBy?: string;
}

/** What the control plane says of profiles. Each throws AppError where it denies. */
export interface ProfileGuard {
  read(profile: PepProfile, actor: Credential): void;
  write(profile: PepProfile, actor: Credential): void;
  remove(profile: PepProfile, actor: Credential): void;
}

export interface ProfileServiceOptions {
  readonly store: ProfileStore;
  readonly registry: ProfileRegistry;
  readonly guard: ProfileGuard;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Names the state of a profile in its event: a digest of the JSON. */
  readonly digestOf: (value: JsonObject) => string;
  /** Called after a change and its event are durable: carries the event to the log. Never rejects. */
  readonly announce: (event: EventEntry) => Promise<void>;
}

/** Refuses a change of a profile at this revision; undefined: there is none. Throws AppError. */
export type ProfileCondition = (revision: number | undefined) => void;

export class ProfileService {
  readonly #options: ProfileServiceOptions;
  #revision = 0;
  /** Changes happen one after the other: each is checked against what the one before left. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: ProfileServiceOptions) {
    this.#options = options;
  }

  /**
   * Reads what the store kept.
   * @returns names of stored profiles that those of the configuration hide.
   */
  async load(): Promise<readonly string[]> {
    const { store, registry } = this.#options;
    const { revision, profiles } = await store.load();
    this.#revision = revision;
    registry.replace(profiles);
    return profiles.map(({ profile }) => profile.name).filter(name => registry.configured.has(name));
  }

  /** Every profile in force, by name, from the one after `after` on. */
  list(limit: number, after = ''): { items: readonly ListedProfile[]; next: string | null } {
    const { profiles } = this.#options.registry;
    const names = [...profiles.keys()].filter(name => name > after).toSorted();
    const items = names.slice(0, limit).flatMap(name => this.#find(name) ?? []);
    return { items, next: names.length > limit ? (names[limit - 1] ?? null) : null };
  }

  /** @throws AppError NOT_FOUND, or what the control plane says */
  get(name: string, actor: Credential): ListedProfile {
    const found = this.#find(name);
    if (found === undefined) throw missing(name);
    this.#options.guard.read(found.profile, actor);
    return found;
  }

  /** Creates or replaces. @throws AppError PROFILE_READ_ONLY, what the control plane or `condition` say */
  put(
    name: string,
    body: PepProfileBody,
    actor: Credential,
    condition: ProfileCondition,
  ): Promise<{ readonly listed: ListedProfile; readonly created: boolean }> {
    return this.#inTurn(async () => {
      const { registry, guard } = this.#options;
      const profile: PepProfile = { name, ...body };
      const before = registry.stored.get(name);
      // who may not touch the old one may not make another of it either
      if (before !== undefined) guard.write(before.profile, actor);
      guard.write(profile, actor);
      this.#refuseConfigured(name);
      condition(before?.revision);
      const total = new Set([...registry.configured.keys(), ...registry.stored.keys(), name]).size;
      if (total > MAX_PROFILES) {
        throw new AppError('PROFILE_INVALID', `there are ${MAX_PROFILES} profiles already`);
      }
      const stored = await this.#write(name, before, profile, actor);
      const listed = { profile, origin: 'api', ...placeOf(stored) } as const;
      return { listed, created: before === undefined };
    });
  }

  /** @returns the revision of the removal. @throws as `put`, and AppError NOT_FOUND */
  remove(name: string, actor: Credential, condition: ProfileCondition): Promise<number> {
    return this.#inTurn(async () => {
      const { registry, guard } = this.#options;
      const before = registry.stored.get(name);
      const known = before?.profile ?? registry.configured.get(name);
      if (known === undefined) throw missing(name);
      guard.remove(known, actor);
      this.#refuseConfigured(name);
      if (before === undefined) throw missing(name);
      condition(before.revision);
      const { revision } = await this.#write(name, before, null, actor);
      return revision;
    });
  }

  async #write(
    name: string,
    before: StoredProfile | undefined,
    profile: PepProfile | null,
    actor: Credential,
  ): Promise<Omit<StoredProfile, 'profile'>> {
    const { store, registry, clock, announce } = this.#options;
    const now = clock.now();
    const change: ProfileChange = {
      name,
      profile,
      revision: this.#revision + 1,
      at: timestamp(now),
      by: actor.keyId,
    };
    const place = { revision: change.revision, updatedAt: change.at, updatedBy: change.by };
    const others = [...registry.stored.values()].filter(one => one.profile.name !== name);
    // made ready before it is durable: a profile that no edge can use is never stored
    const swap = registry.stage(profile === null ? others : [...others, { profile, ...place }]);
    const event = this.#event(change, before?.profile, now);
    await store.write(change, event);
    // the change is durable: from here on it counts
    this.#revision = change.revision;
    swap();
    await announce(event);
    return place;
  }

  #event(
    { name, profile, revision, by }: ProfileChange,
    before: PepProfile | undefined,
    time: number,
  ): EventEntry {
    const { ids, digestOf } = this.#options;
    const digest = (one: PepProfile | undefined): string | null =>
      one === undefined ? null : digestOf(plainProfile(one));
    const shown = profile ?? before;
    return {
      kind: profile === null ? 'pep_profile.delete' : 'pep_profile.put',
      id: ids.next(),
      time,
      actor: by,
      subject: name,
      details: {
        revision,
        ...(shown === undefined
          ? {}
          : {
              gateway: shown.kind,
              authentication: shown.authentication.kind,
              identity: shown.identity.mode,
            }),
        digests: { before: digest(before), after: digest(profile ?? undefined) },
      },
    };
  }

  #find(name: string): ListedProfile | undefined {
    const { registry } = this.#options;
    const configured = registry.configured.get(name);
    if (configured !== undefined) return { profile: configured, origin: 'configuration', revision: 0 };
    const stored = registry.stored.get(name);
    return stored === undefined ? undefined : { profile: stored.profile, origin: 'api', ...placeOf(stored) };
  }

  #refuseConfigured(name: string): void {
    if (!this.#options.registry.configured.has(name)) return;
    throw new AppError(
      'PROFILE_READ_ONLY',
      `the profile \`${name}\` stands in the configuration, which the API does not change`,
    );
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change);
    this.#lastChange = turn.catch(() => undefined);
    return turn;
  }
}

function placeOf({ revision, updatedAt, updatedBy }: Omit<StoredProfile, 'profile'>) {
  return { revision, updatedAt, updatedBy };
}

function missing(name: string): AppError {
  return new AppError('NOT_FOUND', `there is no profile \`${name}\``);
}

/** The profile as JSON, without members that are undefined. */
function plainProfile(profile: PepProfile): JsonObject {
  const copy: unknown = JSON.parse(JSON.stringify(profile));
  if (!isJsonObject(copy)) throw new Error('a profile is an object');
  return copy;
}
