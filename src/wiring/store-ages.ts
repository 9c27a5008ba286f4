/**
 * Compares state.db and subjects.db with the log at a start. Invariant: nothing is decided or logged over a database
 * that is older than the log says, such as that of a backup: revoked rights would be back, one principal would get
 * two pseudonyms, and an erased one its name.
 */
import { leafTime } from '../decision-log/leaf-facts.ts';
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import type { DecisionLog, LogReader } from '../decision-log/ports.ts';
import { namedChanges, STORE_NAMES, type StoreAges, type StoreName } from '../decision-log/store-ages.ts';
import type { DirectoryStore } from '../directory/ports.ts';
import { AppError } from '../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { StoreChanges } from '../domain/log-entry.ts';

/** Newest entries that are looked at, however old: two weeks of heartbeats of a version that named nothing. */
const LOOKED_AT = 20_160;
/** How far back they are looked at, however many: heartbeats come each minute at least. In milliseconds. */
const LOOKED_BACK_MS = 180_000;
/** Entries that are asked for at a time. */
const CHUNK = 256;
/** How an entry that names changes holds them; nothing else has to be parsed. */
const MARK = '"stores":{';

/** What going on without the database costs. */
const COSTS: Readonly<Record<StoreName, string>> = {
  state: 'what was changed since is then undone, revoked keys included',
  subjects: 'who was registered since gets another pseudonym; erasures that the old log has are repeated',
};

interface Parts {
  readonly ages: StoreAges;
  readonly directory: Pick<DirectoryStore, 'revision'>;
  readonly log: Pick<DecisionLog, 'size' | 'origin'>;
  readonly reader: Pick<LogReader, 'leaf'>;
}

/** To be called before anything changes them or is logged. @throws AppError STORE_UNAVAILABLE with what to do */
export async function refuseOlderStores(parts: Parts): Promise<void> {
  const { ages, log } = parts;
  const named = await newestNamed(parts);
  const own = await ages.read();
  for (const store of STORE_NAMES) {
    const { changes, log: owner } = own[store];
    // an empty file, which was put there on purpose: nobody has rights in it, and it names nobody
    if (owner === '' || named.changes === undefined) continue;
    const { index } = named.changes;
    const seen = named.changes[store];
    if (changes < seen) throw older(store, `entry ${index} names its change ${seen}, and it has ${changes}`);
    if (owner !== undefined && owner !== log.origin) {
      throw older(store, `it belongs to the log \`${owner}\`, which this one took the place of`);
    }
  }
  if (own.state.log !== '') await refuseOlderDirectory(parts, named.revision);
  for (const store of STORE_NAMES) {
    if (own[store].log !== log.origin) await ages.adopt(store, log.origin, named.changes?.[store] ?? 0);
  }
}

/** What entries of an earlier version tell, and decisions that came after the last entry that names changes. */
async function refuseOlderDirectory({ directory }: Parts, named: Named['revision']): Promise<void> {
  if (named === undefined) return;
  const own = await directory.revision();
  // begun anew with an empty file under an earlier version
  if (own === 0 || named.revision <= own) return;
  throw older('state', `entry ${named.index} names directory revision ${named.revision}, and it has ${own}`);
}

function older(store: StoreName, found: string): AppError {
  const file = `\`${store}.db\``;
  return new AppError(
    'STORE_UNAVAILABLE',
    `${file} is older than the decision log: ${found}. Put the ${file} back that belongs to the log. ` +
      `If it is lost, \`duramen log open-new\` begins a new log beside the older one; ${COSTS[store]}`,
  );
}

/** What the newest entries name: changes, and a revision of the directory in an entry behind that one. */
interface Named {
  changes?: StoreChanges & { readonly index: number };
  revision?: { readonly revision: number; readonly index: number };
}

/** What retention removed is passed over. */
async function newestNamed({ log, reader }: Parts): Promise<Named> {
  const named: Named = {};
  let until: number | undefined;
  for (let end = log.size; end > 0; end -= CHUNK) {
    const from = Math.max(0, end - CHUNK);
    const indexes = Array.from({ length: end - from }, (_, at) => end - 1 - at);
    const leaves = await Promise.all(indexes.map(index => reader.leaf(index)));
    for (const [at, leaf] of leaves.entries()) {
      if (leaf !== undefined && look(named, end - 1 - at, leaf)) return named;
    }
    const oldest = timeOf(leaves.at(-1));
    until ??= timeOf(leaves[0]) - LOOKED_BACK_MS;
    if (log.size - from >= LOOKED_AT && oldest < until) return named;
  }
  return named;
}

/** @returns whether nothing before this entry matters */
function look(named: Named, index: number, leaf: Uint8Array): boolean {
  const isMarked = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).includes(MARK);
  if (!isMarked && named.revision !== undefined) return false;
  const entry = parsed(leaf);
  const changes = entry['kind'] === 'decision' ? undefined : namedChanges(entry);
  if (changes !== undefined) {
    named.changes = { ...changes, index };
    return true;
  }
  const revision = directoryRevision(entry);
  if (revision !== undefined) named.revision ??= { revision, index };
  return false;
}

/** Milliseconds of a leaf; before everything when retention removed it. */
function timeOf(leaf: Uint8Array | undefined): number {
  return leaf === undefined ? Number.NEGATIVE_INFINITY : leafTime(parsed(leaf));
}

function parsed(leaf: Uint8Array): JsonObject {
  return parseLeaf(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString('utf8'));
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
