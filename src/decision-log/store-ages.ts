/**
 * How old the databases beside the log are, as the log names it and as they say themselves. Invariant: what an entry
 * names was durable in its database before the entry was appended, so a database that has less is an older one.
 */
import { isJsonObject, type JsonObject, objectOf } from '../domain/json.ts';
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

/** What the newest entries of a stretch of the log name: changes, and a revision of the directory behind that entry. */
export interface NamedAges {
  readonly changes?: StoreChanges & { readonly index: number };
  readonly revision?: { readonly revision: number; readonly index: number };
}

/** How a leaf that names changes holds them. Others may hold it, too: what a client calls so in the context. */
export const CHANGES_MARK = '"stores":{';
/** How leaves that name a revision of the directory do: decisions, and events of the directory. */
export const REVISION_MARKS = ['"directory":', '"kind":"entity.'] as const;

/** What a leaf names; undefined: nothing. A decision names none, whatever a client sent. */
export function namedChanges({ kind, stores }: JsonObject): StoreChanges | undefined {
  if (kind === 'decision' || !isJsonObject(stores)) return undefined;
  const { state, subjects } = stores;
  return typeof state === 'number' && typeof subjects === 'number' ? { state, subjects } : undefined;
}

/** The revision of the directory that a decision was made over, or that an event of the directory made. */
export function namedRevision({ kind, revision, details }: JsonObject): number | undefined {
  const isChange = typeof kind === 'string' && kind.startsWith('entity.');
  const named = isChange ? objectOf(details)['after'] : objectOf(revision)['directory'];
  return (isChange || kind === 'decision') && typeof named === 'number' ? named : undefined;
}
