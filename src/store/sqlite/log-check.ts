/**
 * What is checked before a log is written to. Invariant: a log that is damaged, foreign or of an unknown format
 * stops the start with a message that says what to do; it is never repaired or replaced silently.
 */
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { leafHash } from '../../decision-log/leaf-hash.ts';
import { AppError, messageOf } from '../../domain/errors.ts';
import { LEAF_VERSION } from '../../domain/log-entry.ts';
import type { ShardName } from './log-shard-name.ts';

/** Earlier versions can corrupt a WAL database that is written and checkpointed at once (sqlite.org/wal.html). */
export const MIN_SQLITE_VERSION = '3.51.3';
/** Leaves at the end of the log whose place and hash are checked at every start. */
const TAIL_LEAVES = 1_024;
/** Largest database whose whole structure is checked at every start, in bytes: some tenths of a second. */
const FULL_CHECK_BYTES = 67_108_864;

/** @throws Error when the SQLite library is too old to be trusted with the log */
export function refuseOldSqlite(db: Database): void {
  const version = db.prepare<[], string>('SELECT sqlite_version()').pluck().get() ?? '0';
  if (compareVersions(version, MIN_SQLITE_VERSION) < 0) {
    throw new AppError(
      'LOG_UNAVAILABLE',
      `SQLite ${version} can corrupt the decision log: install the better-sqlite3 of package-lock.json, which ` +
        `brings ${MIN_SQLITE_VERSION} or later`,
    );
  }
}

/** Compares dotted versions number by number. */
export function compareVersions(one: string, other: string): number {
  const left = one.split('.').map(Number);
  const right = other.split('.').map(Number);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What a shard says of itself. */
export interface ShardState {
  /** Name of the log. */
  readonly origin: string;
  /** Undefined in a log of before there was a tree. */
  readonly verifierKey: string | undefined;
  /** Name of the shard that follows; undefined while this one is open. */
  readonly next: string | undefined;
  /** Leaves of the whole log up to the last of this shard. */
  readonly size: number;
}

/**
 * Checks structure, format and the last leaves of a shard.
 * @throws Error with what is wrong
 */
export function checkShard(db: Database, { first }: Pick<ShardName, 'first'>): ShardState {
  const pages = Number(db.pragma('page_count', { simple: true }));
  const pageBytes = Number(db.pragma('page_size', { simple: true }));
  if (pages * pageBytes <= FULL_CHECK_BYTES) {
    const found: unknown = db.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw new Error(String(found));
  }
  const meta = new Map(
    db
      .prepare<[], { key: string; value: string }>('SELECT key, value FROM meta')
      .all()
      .map(({ key, value }) => [key, value]),
  );
  const format = meta.get('format') ?? '';
  if (!/^[1-9]\d{0,3}$/.test(format)) throw new Error('it does not say which format its leaves have');
  if (Number(format) > LEAF_VERSION) throw newerFormat(db.name, format);
  return {
    origin: meta.get('origin') ?? '',
    verifierKey: meta.get('verifierKey'),
    next: meta.get('sealed'),
    size: checkTail(db, first),
  };
}

interface LeafRow {
  readonly idx: number;
  readonly body: Buffer;
  readonly hash: Buffer;
}

function checkTail(db: Database, first: number): number {
  const rows = db
    .prepare<[number], LeafRow>('SELECT idx, body, hash FROM leaf ORDER BY idx DESC LIMIT ?')
    .all(TAIL_LEAVES);
  const last = rows[0]?.idx ?? first - 1;
  for (const [at, row] of rows.entries()) {
    if (row.idx !== last - at) throw new Error(`entry ${last - at} is missing`);
    if (!row.hash.equals(leafHash(row.body))) throw new Error(`entry ${row.idx} does not match its hash`);
  }
  const found = db.prepare<[], number | null>('SELECT min(idx) FROM leaf').pluck().get() ?? first;
  if (found !== first) throw new Error(`it starts at entry ${found} instead of ${first}`);
  return last + 1;
}

function newerFormat(file: string, format: string): AppError {
  return new AppError(
    'LOG_UNAVAILABLE',
    `the decision log \`${file}\` has leaves of format \`${format}\`, this version writes ` +
      `\`${LEAF_VERSION}\`: start the version that made it`,
  );
}

/** Turns whatever stopped the opening of a log into a failure that says what to do. */
export function damagedLog(file: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof SqliteDatabase.SqliteError ? error.code : systemCode(error);
  if (/^(SQLITE_(CANTOPEN|READONLY|PERM|AUTH|FULL|IOERR)|E[A-Z]+$)/.test(code)) {
    return new AppError(
      'LOG_UNAVAILABLE',
      `the decision log \`${file}\` cannot be written: ${messageOf(error)}: check the permissions and the free ` +
        'space of the data folder',
      { cause: error },
    );
  }
  return new AppError(
    'LOG_UNAVAILABLE',
    `the decision log \`${file}\` is damaged: ${messageOf(error)}: keep the folder \`log\` for an inquiry and ` +
      'restore all of it from a backup, or begin another log with `duramen log open-new`',
    { cause: error },
  );
}

/** `ENOSPC`; empty when the error is not one of the operating system. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
