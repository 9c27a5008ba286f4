/** Keys as their keepers see them. Invariant: how a key is hashed is never shown. */
import type { CallerKey, CallerKeyRecord, CallerKeyUse } from '../../domain/caller-key.ts';
import type { KeyEntry } from './key-table.ts';

/** A key as it is shown, with its last use. */
export interface ListedCallerKey {
  readonly record: CallerKeyRecord;
  readonly lastUse: CallerKeyUse | undefined;
}

export function listed({ key, lastUse }: Pick<KeyEntry, 'key' | 'lastUse'>): ListedCallerKey {
  return { record: recordOf(key), lastUse };
}

/** The entries from the one after `after` on. @param entries newest first */
export function pageOf(
  entries: readonly KeyEntry[],
  limit: number,
  after: string | undefined,
): { items: ListedCallerKey[]; next: string | null } {
  const start = after === undefined ? 0 : entries.findIndex(({ key }) => key.id === after) + 1;
  const items = entries.slice(start, start + limit);
  const last = items.at(-1);
  return {
    items: items.map(listed),
    next: last !== undefined && start + limit < entries.length ? last.key.id : null,
  };
}

function recordOf({ hash: _hash, pepper: _pepper, ...record }: CallerKey): CallerKeyRecord {
  return record;
}
