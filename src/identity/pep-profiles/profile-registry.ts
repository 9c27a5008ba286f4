/**
 * The profiles that gateways are judged by, in memory. Invariants: readers see one whole set, old or new; a profile
 * is made ready for every reader before any of them sees it; one of the configuration is never replaced.
 */
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { StoredProfile } from './ports.ts';

/** Looks a profile up, as its reader made it ready. */
export interface ProfileView<T> {
  get(name: string): T | undefined;
}

/** One that is derived from the profiles. */
interface Derived {
  /** Makes the next set ready. @returns what puts it in force, which cannot fail. */
  prepare(profiles: ReadonlyMap<string, PepProfile>): () => void;
}

export class ProfileRegistry {
  /** By name, those of the configuration. */
  readonly configured: ReadonlyMap<string, PepProfile>;
  #stored: ReadonlyMap<string, StoredProfile> = new Map();
  #profiles: ReadonlyMap<string, PepProfile>;
  readonly #derived: Derived[] = [];

  constructor(configured: readonly PepProfile[]) {
    this.configured = new Map(configured.map(profile => [profile.name, profile]));
    this.#profiles = this.configured;
  }

  /** Those that were written over the API, also where the configuration has one of the name. */
  get stored(): ReadonlyMap<string, StoredProfile> {
    return this.#stored;
  }

  /** Those in force. */
  get profiles(): ReadonlyMap<string, PepProfile> {
    return this.#profiles;
  }

  /** @param make makes one profile ready; it is called again for a profile that changed alone. */
  derive<T>(make: (profile: PepProfile) => T): ProfileView<T> {
    let current: ReadonlyMap<string, Ready<T>> = new Map();
    const derived: Derived = {
      prepare(profiles) {
        const next = new Map<string, Ready<T>>();
        for (const [name, profile] of profiles) {
          const known = current.get(name);
          next.set(name, known?.profile === profile ? known : { profile, made: make(profile) });
        }
        return () => {
          current = next;
        };
      },
    };
    derived.prepare(this.#profiles)();
    this.#derived.push(derived);
    return { get: name => current.get(name)?.made };
  }

  /** Puts the stored profiles in force. @throws what a reader throws; then nothing changed. */
  replace(stored: readonly StoredProfile[]): void {
    this.stage(stored)();
  }

  /** The same in two steps. @returns what puts them in force, which cannot fail. */
  stage(stored: readonly StoredProfile[]): () => void {
    const byName = new Map(stored.map(one => [one.profile.name, one]));
    const profiles = new Map([
      ...stored.map(({ profile }) => [profile.name, profile] as const),
      ...this.configured,
    ]);
    const swaps = new Map(this.#derived.map(derived => [derived, derived.prepare(profiles)] as const));
    return () => {
      this.#stored = byName;
      this.#profiles = profiles;
      // a reader that came in the meantime has seen the old set
      for (const derived of this.#derived) (swaps.get(derived) ?? derived.prepare(profiles))();
    };
  }
}

interface Ready<T> {
  readonly profile: PepProfile;
  readonly made: T;
}
