/** Which keys made which. Invariant: whoever stole a key may have made itself another, and both end together. */
import type { KeyEntry } from './key-table.ts';

/** `createdBy` of a key that another made for itself. */
export function ownMaker(id: string): string {
  return `caller-key:${id}`;
}

/**
 * Keys that these made for themselves, and those made theirs.
 * @param entries of the table, in the order in which they were made: a key is younger than its maker
 */
export function madeBy(makers: ReadonlySet<KeyEntry>, entries: Iterable<KeyEntry>): readonly KeyEntry[] {
  const known = new Set([...makers].map(({ key }) => ownMaker(key.id)));
  const found: KeyEntry[] = [];
  for (const entry of entries) {
    if (makers.has(entry) || !known.has(entry.key.createdBy)) continue;
    found.push(entry);
    known.add(ownMaker(entry.key.id));
  }
  return found;
}
