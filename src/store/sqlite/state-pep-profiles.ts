/** Profiles of gateways in state.db. Invariants: a change and its event are one transaction; nothing is overwritten. */
import type { Statement } from 'better-sqlite3';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import { pepProfileSchema } from '../../domain/pep-profile.ts';
import type { ProfileChange, StoredProfile } from '../../identity/pep-profiles/ports.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';
import { isObject, parseStored } from './stored-json.ts';

/** A row as it crosses to the main thread. */
export interface ProfileRow {
  readonly name: string;
  readonly revision: number;
  readonly updatedAt: string;
  readonly updatedBy: string;
  /** JSON. */
  readonly profile: string;
}

export interface LoadedProfiles {
  readonly revision: number;
  readonly rows: readonly ProfileRow[];
}

/** Table `pep_profile_revision`. */
export class ProfileTable {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #newest: Statement<[], ProfileRow>;
  readonly #highest: Statement<[], { readonly revision: number }>;
  readonly #insert: Statement<[number, string, string, string, string | null]>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    this.#state = state;
    this.#outbox = outbox;
    this.#newest = state.db.prepare(
      `SELECT name, revision, at AS "updatedAt", actor AS "updatedBy", profile FROM pep_profile_revision
        WHERE revision IN (SELECT max(revision) FROM pep_profile_revision GROUP BY name)
          AND profile IS NOT NULL ORDER BY name`,
    );
    this.#highest = state.db.prepare('SELECT ifnull(max(revision), 0) AS revision FROM pep_profile_revision');
    this.#insert = state.db.prepare(
      `INSERT INTO pep_profile_revision (revision, name, at, actor, profile)
       VALUES (?, ?, ?, ?, ?) ON CONFLICT (revision) DO NOTHING`,
    );
  }

  load(): LoadedProfiles {
    return this.#state.read(() => ({
      revision: this.#highest.get()?.revision ?? 0,
      rows: this.#newest.all(),
    }));
  }

  write({ name, profile, revision, at, by }: ProfileChange, event: EventEntry): void {
    this.#state.write(() => {
      const text = profile === null ? null : JSON.stringify(profile);
      const { changes } = this.#insert.run(revision, name, at, by, text);
      if (changes === 0) {
        throw new AppError('ALREADY_EXISTS', `revision ${revision} of the profiles was given before`);
      }
      this.#outbox.add(event);
    });
  }
}

/** The profile of a row. @throws AppError STORE_UNAVAILABLE when it is not what was written */
export function parseProfile({ profile, ...place }: ProfileRow): StoredProfile {
  const { name, revision, updatedAt, updatedBy } = place;
  const what = `the profile \`${name}\` of a gateway`;
  const parsed = pepProfileSchema.safeParse(parseStored(profile, isObject, what));
  if (parsed.success && parsed.data.name === name) {
    return { profile: parsed.data, revision, updatedAt, updatedBy };
  }
  const detail = parsed.error?.issues[0]?.message ?? 'it has another name';
  throw new AppError(
    'STORE_UNAVAILABLE',
    `${what} cannot be read: ${detail}: use the version that wrote it, or restore a backup`,
  );
}
