/**
 * Exports that the log names and its table of exports lacks, as when an older `log/tiles.db` was put back. Invariant: an
 * export that was registered and not removed since is never taken for one that does not hold retention back.
 */
import type { LogExports, LoggedLeaf, LogReader } from '../decision-log/ports.ts';
import { isJsonList, objectOf, textOf } from '../domain/json.ts';

/** Events that are asked for at a time. */
const PAGE = 256;

interface Parts {
  readonly reader: Pick<LogReader, 'events'>;
  readonly exports: Pick<LogExports, 'list'>;
}

/** By name. Rejects as the log and its index do. */
export async function lostExports({ reader, exports }: Parts): Promise<readonly string[]> {
  const known = new Set((await exports.list()).map(({ name }) => name));
  const named = await namedExports(reader);
  return [...named].flatMap(([name, exists]) => (exists && !known.has(name) ? [name] : [])).toSorted();
}

/** Whether each export that the kept log names exists, after the newest entry about it. */
async function namedExports(reader: Parts['reader']): Promise<ReadonlyMap<string, boolean>> {
  const named = new Map<string, boolean>();
  let cursor: string | undefined;
  do {
    const page = await reader.events({
      kind: { values: ['log.export', 'log.prune'], negated: false },
      limit: PAGE,
      order: 'desc',
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const leaf of page.items) if (note(leaf, named)) return named;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return named;
}

/** @returns whether the entry tells of all exports, so that older ones say nothing new */
function note({ content }: LoggedLeaf, named: Map<string, boolean>): boolean {
  const details = objectOf(content['details']);
  if (content['kind'] === 'log.export') {
    const name = textOf(content['subject']);
    if (!named.has(name)) named.set(name, details['removed'] !== true);
    return false;
  }
  const { exports } = details;
  if (!isJsonList(exports)) return false;
  for (const name of exports.map(textOf)) if (!named.has(name)) named.set(name, true);
  return true;
}
