/** Profiles of gateways in memory: the reference of the contract. */
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { ProfileChange, ProfileStore, StoredProfile } from '../../identity/pep-profiles/ports.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryProfileStore implements ProfileStore {
  readonly #outbox: MemoryOutbox;
  readonly #profiles = new Map<string, StoredProfile>();
  readonly #given = new Set<number>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  load(): ReturnType<ProfileStore['load']> {
    const profiles = [...this.#profiles.values()].toSorted((one, other) =>
      one.profile.name < other.profile.name ? -1 : 1,
    );
    return Promise.resolve({ revision: Math.max(0, ...this.#given), profiles });
  }

  async write({ name, profile, revision, at, by }: ProfileChange, event: EventEntry): Promise<void> {
    if (this.#given.has(revision)) {
      throw new AppError('ALREADY_EXISTS', `revision ${revision} of the profiles was given before`);
    }
    this.#outbox.add(event);
    this.#given.add(revision);
    if (profile === null) this.#profiles.delete(name);
    else this.#profiles.set(name, { profile, revision, updatedAt: at, updatedBy: by });
  }
}
