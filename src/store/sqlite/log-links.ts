/**
 * The entries that tie shards together: `log.seal` ends one, `log.open` begins the next. Invariant: they follow
 * from the log alone, so that a step that is repeated after a crash writes the same entry.
 */
import type { LeafPrivacy } from '../../decision-log/leaf-privacy.ts';
import { leafHash } from '../../decision-log/leaf-hash.ts';
import { LeafWriter } from '../../decision-log/leaf.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isoWeek, shardName, type ShardName } from './log-shard-name.ts';

/** Most leaves of a shard: 256³, a full tile three levels up. */
export const MAX_SHARD_ENTRIES = 16_777_216;

export interface LogState {
  readonly origin: string;
  /** Leaves of the whole log. */
  readonly size: number;
}

/** The shard that follows one whose last leaf has index `last`. It never belongs to an earlier week. */
export function nextShard(shard: ShardName, last: number, now: number): ShardName {
  const week = isoWeek(now);
  return shardName(week > shard.week ? week : shard.week, last + 1);
}

/** The leaf that ends a shard. @param log before that leaf @param now milliseconds since the epoch */
export function sealLeaf(log: LogState, shard: ShardName, next: ShardName, now: number): string {
  const size = log.size + 1;
  return linkLeaf('log.seal', log.origin, now, shard.name, {
    shard: shard.name,
    entries: size - shard.first,
    size,
    next: next.name,
  });
}

/** The leaf that begins a shard. @param root tree head of the log up to the seal */
export function openLeaf(
  log: LogState & { readonly root: Uint8Array },
  previous: ShardName,
  shard: ShardName,
  now: number,
): string {
  return linkLeaf('log.open', log.origin, now, shard.name, {
    shard: shard.name,
    previous: {
      shard: previous.name,
      size: log.size,
      root: Buffer.from(log.root).toString('base64'),
    },
  });
}

function linkLeaf(
  kind: 'log.seal' | 'log.open',
  origin: string,
  time: number,
  subject: string,
  details: JsonObject,
): string {
  const id = linkId(`${origin} ${kind} ${subject}`, time);
  const entry: EventEntry = { kind, id, time, actor: 'system', subject, details };
  return new LeafWriter(NAMES_NOBODY).write(entry).text;
}

/** A version 7 UUID (RFC 9562 §5.7) whose random bits are a digest of what it names. */
function linkId(name: string, time: number): string {
  const front = time.toString(16).padStart(12, '0');
  const digest = Buffer.from(leafHash(Buffer.from(name))).toString('hex');
  const variant = '89ab'.charAt(Number.parseInt(digest.charAt(3), 16) & 3);
  return (
    `${front.slice(0, 8)}-${front.slice(8, 12)}-7${digest.slice(0, 3)}-` +
    `${variant}${digest.slice(4, 7)}-${digest.slice(7, 19)}`
  );
}

/** These entries hold names of shards alone. */
const NAMES_NOBODY: LeafPrivacy = {
  subject: refuse,
  unregistered: refuse,
  inputDigest: refuse,
  personalKeys: new Set(),
};

function refuse(): never {
  throw new Error('an entry of the log about itself names a principal');
}
