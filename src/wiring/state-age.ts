/**
 * Compares state.db with the log at a start. Invariant: no decision is made over a directory that is older than one
 * that the log already names, such as that of a backup: revoked rights would be back, and revisions mean two things.
 */
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import type { DecisionLog, LogReader } from '../decision-log/ports.ts';
import type { DirectoryStore } from '../directory/ports.ts';
import { AppError } from '../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';

/** Newest entries that are looked at: two weeks of heartbeats, one a minute, when nothing else happened. */
const LOOKED_AT = 20_160;
/** Entries that are asked for at a time. */
const CHUNK = 64;

/** @throws AppError STORE_UNAVAILABLE with what to do */
export async function refuseOlderState({
  directory,
  log,
  reader,
}: {
  readonly directory: Pick<DirectoryStore, 'revision'>;
  readonly log: Pick<DecisionLog, 'size'>;
  readonly reader: Pick<LogReader, 'leaf'>;
}): Promise<void> {
  const own = await directory.revision();
  // begun anew on purpose, with an empty file: nobody has rights in it
  if (own === 0) return;
  const oldest = Math.max(0, log.size - LOOKED_AT);
  for (let end = log.size; end > oldest; end -= CHUNK) {
    const found = await newestNamed(reader, Math.max(oldest, end - CHUNK), end);
    if (found === undefined) continue;
    if (found.revision <= own) return;
    throw new AppError(
      'STORE_UNAVAILABLE',
      `\`state.db\` is older than the decision log: entry ${found.index} names directory revision ${found.revision}, and it has ${own}. ` +
        'Put the `state.db` back that belongs to the log. If it is lost, `duramen log open-new` begins a new log beside ' +
        'the old state; what was changed since is then undone, revoked keys included',
    );
  }
}

/** The newest of some entries that names a revision of the directory. What retention removed is passed over. */
async function newestNamed(reader: Pick<LogReader, 'leaf'>, from: number, to: number) {
  const indexes = Array.from({ length: to - from }, (_, at) => to - 1 - at);
  const leaves = await Promise.all(indexes.map(index => reader.leaf(index)));
  for (const [at, leaf] of leaves.entries()) {
    if (leaf === undefined) continue;
    const revision = directoryRevision(parseLeaf(Buffer.from(leaf).toString('utf8')));
    if (revision !== undefined) return { index: to - 1 - at, revision };
  }
  return undefined;
}

/** The revision of the directory that a decision was made over, or that an event of the directory made. */
function directoryRevision(leaf: JsonObject): number | undefined {
  const { kind, revision, details } = leaf;
  const found =
    kind === 'decision' ? memberOf(revision, 'directory') : madeBy(kind, memberOf(details, 'after'));
  return typeof found === 'number' ? found : undefined;
}

function madeBy(kind: JsonObject[string] | undefined, after: JsonObject[string] | undefined) {
  return typeof kind === 'string' && kind.startsWith('entity.') ? after : undefined;
}

function memberOf(value: JsonObject[string] | undefined, name: string): JsonObject[string] | undefined {
  return isJsonObject(value) ? value[name] : undefined;
}
