/**
 * How old the databases beside the log are, as the log names it and as they say themselves. Invariant: what an entry
 * names was durable in its database before the entry was appended, so a database that has less is an older one.
 */
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { StoreChanges } from '../domain/log-entry.ts';

/** The databases beside the log. */
export const STORE_NAMES = ['state', 'subjects'] as const;
export type StoreName = (typeof STORE_NAMES)[number];

/** Where one database stands. */
export interface StoreAge {
  readonly changes: number;
  /** Name of the log that it goes with; empty: it was begun anew; undefined: its last start was by an earlier version. */
  readonly log: string | undefined;
}

/** The ages of both databases. Rejects with AppError STORE_UNAVAILABLE. */
export interface StoreAges {
  read(): Promise<Readonly<Record<StoreName, StoreAge>>>;
  /** From here on a database goes with a log that has seen `seen` changes of it, and is newer than that. */
  adopt(store: StoreName, log: string, seen: number): Promise<void>;
  /** Whether erasures of logs before this one are to be repeated, since no start with this one has. */
  erasuresDue(): Promise<boolean>;
  /** The erasures of the logs before this one are repeated. */
  erasuresRepeated(): Promise<void>;
}

/** What an entry is to name. Asked and then appended at once, so that later entries never name less. */
export async function changesOf(ages: Pick<StoreAges, 'read'>): Promise<StoreChanges> {
  const { state, subjects } = await ages.read();
  return { state: state.changes, subjects: subjects.changes };
}

/** What a leaf names; undefined: nothing. */
export function namedChanges({ stores }: JsonObject): StoreChanges | undefined {
  if (!isJsonObject(stores)) return undefined;
  const { state, subjects } = stores;
  return typeof state === 'number' && typeof subjects === 'number' ? { state, subjects } : undefined;
}
