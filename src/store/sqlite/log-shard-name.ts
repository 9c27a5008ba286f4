/**
 * Names of the files of the log: `2026-W47-000000000000`, the ISO week (UTC) in which a shard was opened and the
 * index of its first leaf. Invariant: names sort as their first leaves do, within what twelve digits hold.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { timestamp } from '../../domain/clock.ts';

/** Folder of the shards within the data folder. */
export const LOG_FOLDER = 'log';
/** What a shard that is not finished yet is called, behind its name: never read, deleted at the next start. */
export const DRAFT_SUFFIX = '.db.new';
/** Files that SQLite keeps beside a database. */
export const SIDE_FILES = ['-wal', '-shm', '-journal'] as const;

const SUFFIX = '.db';
const DAY_MS = 86_400_000;
const INDEX_DIGITS = 12;

/** A shard as its name tells. */
export interface ShardName {
  readonly name: string;
  /** `2026-W47`; compares as text. */
  readonly week: string;
  /** Index of its first leaf. */
  readonly first: number;
}

/** The ISO 8601 week of an instant, UTC: `2026-W47`. @param time milliseconds since the epoch */
export function isoWeek(time: number): string {
  const day = Math.floor(time / DAY_MS);
  // Day 0 was a Thursday, and the Thursday of a week tells its year (ISO 8601 §3.1.1.23).
  const thursday = day - ((((day + 3) % 7) + 7) % 7) + 3;
  const year = timestamp(thursday * DAY_MS).slice(0, 4);
  const week = Math.floor((thursday - Date.UTC(Number(year), 0, 1) / DAY_MS) / 7) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

/** The instant at which an ISO week begins, milliseconds since the epoch. @param week as `isoWeek` gives it */
export function weekStart(week: string): number {
  // The fourth of January is always in the first week.
  const fourth = Date.UTC(Number(week.slice(0, 4)), 0, 4) / DAY_MS;
  const monday = fourth - ((((fourth + 3) % 7) + 7) % 7);
  return (monday + (Number(week.slice(6)) - 1) * 7) * DAY_MS;
}

export function shardName(week: string, first: number): ShardName {
  return { name: `${week}-${String(first).padStart(INDEX_DIGITS, '0')}`, week, first };
}

/** Undefined when it is not the name of a shard. */
export function parseShardName(name: string): ShardName | undefined {
  const match = /^(\d{4}-W\d{2})-(\d{12,16})$/.exec(name);
  if (match === null) return undefined;
  const [, week = '', digits = ''] = match;
  const parsed = shardName(week, Number(digits));
  return parsed.name === name ? parsed : undefined;
}

/** @param folder data folder */
export function shardFile(folder: string, { name }: Pick<ShardName, 'name'>): string {
  return join(folder, LOG_FOLDER, `${name}${SUFFIX}`);
}

/** The shards of a data folder, the oldest first. @throws Error when it has no folder `log` */
export function listShards(folder: string): ShardName[] {
  return readdirSync(join(folder, LOG_FOLDER))
    .filter(file => file.endsWith(SUFFIX))
    .map(file => parseShardName(file.slice(0, -SUFFIX.length)))
    .filter(shard => shard !== undefined)
    .sort((one, other) => one.first - other.first);
}
