/**
 * What the newest entries of a stretch of the log name, for the start to compare databases with. Invariant: the text
 * that SQLite looks for only says where to look; what counts is what the entry says when it is parsed.
 */
import { parseLeaf } from '../../decision-log/logged-leaf.ts';
import {
  CHANGES_MARK,
  type NamedAges,
  namedChanges,
  namedRevision,
  REVISION_MARKS,
} from '../../decision-log/store-ages.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { LogShards } from './log-shards.ts';

/** @param to behind the last entry that is looked at */
export function namedAges(log: LogShards, from: number, to: number): NamedAges {
  const end = Math.min(to, log.size());
  const changes = newest(log, CHANGES_MARK, from, end, namedChanges);
  let start = changes === undefined ? from : changes.index + 1;
  let revision: Found<number> | undefined;
  for (const mark of REVISION_MARKS) {
    const found = newest(log, mark, start, end, namedRevision);
    if (found === undefined) continue;
    revision = found;
    // only a newer one matters
    start = found.index + 1;
  }
  return {
    ...(changes === undefined ? {} : { changes: { ...changes.value, index: changes.index } }),
    ...(revision === undefined ? {} : { revision: { revision: revision.value, index: revision.index } }),
  };
}

interface Found<T> {
  readonly index: number;
  readonly value: T;
}

function newest<T>(
  log: LogShards,
  mark: string,
  from: number,
  to: number,
  read: (leaf: JsonObject) => T | undefined,
): Found<T> | undefined {
  for (const { idx, body } of log.holding(mark, from, to)) {
    const value = read(parseLeaf(body.toString('utf8')));
    if (value !== undefined) return { index: idx, value };
  }
  return undefined;
}
