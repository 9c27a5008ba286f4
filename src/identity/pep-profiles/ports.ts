/** Profiles of gateways that outlive the process; every backend passes test/conformance/pep-profile-store.ts. */
import type { EventEntry } from '../../domain/log-entry.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';

/** One profile with where it stands. */
export interface StoredProfile {
  readonly profile: PepProfile;
  /** Of the profiles together: each change has its own, and none comes twice. */
  readonly revision: number;
  /** RFC 3339 UTC. */
  readonly updatedAt: string;
  /** Key id of who wrote it. */
  readonly updatedBy: string;
}

/** A change: `profile` null removes it. */
export interface ProfileChange {
  readonly name: string;
  readonly profile: PepProfile | null;
  readonly revision: number;
  /** RFC 3339 UTC. */
  readonly at: string;
  readonly by: string;
}

export interface ProfileStore {
  /**
   * The profiles that there are, by name, and the highest revision ever given; 0 before the first.
   * Rejects with AppError STORE_UNAVAILABLE when one cannot be read: no profile is ever passed over.
   */
  load(): Promise<{ readonly revision: number; readonly profiles: readonly StoredProfile[] }>;
  /**
   * Durable with its event when it resolves; what was before stays readable in the store. Rejects with AppError
   * ALREADY_EXISTS when the revision was given before; then nothing changed.
   */
  write(change: ProfileChange, event: EventEntry): Promise<void>;
}
