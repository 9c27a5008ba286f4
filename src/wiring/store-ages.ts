/**
 * Compares state.db and subjects.db with the log at a start. Invariant: nothing is decided or logged over a database
 * that is older than the log says, such as that of a backup: revoked rights would be back, one principal would get
 * two pseudonyms, and an erased one its name.
 */
import { leafTime } from '../decision-log/leaf-facts.ts';
import { parseLeaf } from '../decision-log/logged-leaf.ts';
import type { DecisionLog, LogReader } from '../decision-log/ports.ts';
import { type NamedAges, STORE_NAMES, type StoreAges, type StoreName } from '../decision-log/store-ages.ts';
import type { DirectoryStore } from '../directory/ports.ts';
import { AppError } from '../domain/errors.ts';

/** Newest entries that are looked at, however old: two weeks of heartbeats of a version that named nothing. */
const LOOKED_AT = 20_160;
/** How far back they are looked at, however many: heartbeats come each hour at least. In milliseconds. */
const LOOKED_BACK_MS = 7_200_000;
/** Entries that are asked for at a time: some 20 ms of the thread that looks. */
const STRETCH = 16_384;

/** What going on without the database costs. */
const COSTS: Readonly<Record<StoreName, string>> = {
  state: 'what was changed since is then undone, revoked keys included',
  subjects: 'who was registered since gets another pseudonym; erasures that the old log has are repeated',
};

interface Parts {
  readonly ages: StoreAges;
  readonly directory: Pick<DirectoryStore, 'revision'>;
  readonly log: Pick<DecisionLog, 'size' | 'origin'>;
  readonly reader: Pick<LogReader, 'leaf' | 'named'>;
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
async function refuseOlderDirectory({ directory }: Parts, named: NamedAges['revision']): Promise<void> {
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

/** What the newest entries name, found in stretches from the end. What retention removed is passed over. */
async function newestNamed({ log, reader }: Parts): Promise<NamedAges> {
  const until = (await timeAt(reader, log.size - 1)) - LOOKED_BACK_MS;
  let revision: NamedAges['revision'];
  for (let end = log.size; end > 0; end -= STRETCH) {
    const from = Math.max(0, end - STRETCH);
    const named = await reader.named(from, end);
    revision ??= named.revision;
    if (named.changes !== undefined) return { ...named, ...(revision === undefined ? {} : { revision }) };
    if (log.size - from >= LOOKED_AT && (await timeAt(reader, from)) < until) break;
  }
  return revision === undefined ? {} : { revision };
}

/** Milliseconds of an entry; before everything when retention removed it. */
async function timeAt(reader: Parts['reader'], index: number): Promise<number> {
  const leaf = await reader.leaf(index);
  if (leaf === undefined) return Number.NEGATIVE_INFINITY;
  return leafTime(parseLeaf(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString('utf8')));
}
