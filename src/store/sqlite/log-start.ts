/**
 * Opens the files of a log, or makes them. Invariants: the shards that are there follow each other without a gap,
 * the newest one agrees with its tree and its signed checkpoint, and the key is the one of this log; else nothing is
 * opened, repaired or signed.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { Frontier } from '../../decision-log/frontier.ts';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import type { Ed25519Signer } from '../../decision-log/signed-note.ts';
import { AppError } from '../../domain/errors.ts';
import { LEAF_VERSION } from '../../domain/log-entry.ts';
import { LogArchive } from './log-archive.ts';
import { damagedLog } from './log-check.ts';
import { removeDatabase } from './log-files.ts';
import { adoptFormerLog, FORMER_FILE } from './log-former.ts';
import { checkedFrontier, checkNewestTiles } from './log-frontier.ts';
import { finishPruning } from './log-retention.ts';
import { type NewShard, Shard, type ShardFiles } from './log-shard.ts';
import {
  DRAFT_SUFFIX,
  isoWeek,
  listShards,
  LOG_FOLDER,
  shardFile,
  shardName,
  type ShardName,
} from './log-shard-name.ts';
import { ARCHIVE_FILE } from './log-shards.ts';
import { adoptKey, keyOfLog, newKey } from './log-signing-key.ts';
import type { Migration } from './migrations.ts';

/** How long a start waits for readers of a sealed shard, in milliseconds; the shard is sound with them, too. */
const READERS_WAIT_MS = 50;

export interface StartOptions extends ShardFiles {
  readonly archiveMigrations: readonly Migration[];
  /** Origin for a log that does not exist yet, unless a given key names one. */
  readonly newOrigin: string;
  /** Of the key for a log that has none yet: 32 random bytes. */
  readonly newSeed: Uint8Array;
  /** `PRIVATE+KEY+…`, instead of the file in the folder. */
  readonly signingKey?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Told what takes long. */
  readonly say: (progress: string) => void;
}

/** An opened log. */
export interface StartedLog {
  readonly shard: Shard;
  readonly archive: LogArchive;
  readonly frontier: Frontier;
  readonly signer: Ed25519Signer;
  /** Newest signed checkpoint. */
  readonly head: SignedCheckpoint | undefined;
}

/** @throws AppError LOG_UNAVAILABLE or STORE_UNAVAILABLE with what to do. The folder must be locked. */
export function startLog(options: StartOptions): StartedLog {
  const path = join(options.folder, LOG_FOLDER);
  let file = path;
  let archive: LogArchive | undefined;
  let shard: Shard | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    removeDrafts(path);
    file = join(path, ARCHIVE_FILE);
    requireArchive(options.folder, file);
    archive = LogArchive.open(options.folder, options.archiveMigrations, options.at);
    finishPruning(options.folder, archive);
    file = join(options.folder, FORMER_FILE);
    adoptFormerLog(options, options.now, options.say);
    file = path;
    const signed = checkChain(options, archive);
    const newest = listShards(options.folder).at(-1);
    if (newest === undefined) {
      const created = createLog(options);
      ({ shard } = created);
      return { ...created, archive, frontier: new Frontier(), head: undefined };
    }
    file = shardFile(options.folder, newest);
    shard = Shard.open(options, newest);
    const head = shard.head();
    checkNewestTiles(shard.db, newest.first);
    // A shard that was just opened has nothing signed: then what the seal before it signed must hold.
    const frontier = checkedFrontier(shard.db, newest.first, shard.size, head ?? signed);
    const signer = keyOfLog(options, shard, options.newSeed);
    if (shard.verifierKey === undefined) shard.setMeta('verifierKey', signer.verifierKey);
    // Leaves of this version may follow: older versions must refuse the shard from now on.
    if (shard.next === undefined) shard.setMeta('format', String(LEAF_VERSION));
    return { shard, archive, frontier, signer, head };
  } catch (error) {
    shard?.close();
    archive?.close();
    throw damagedLog(file, error);
  }
}

/** It is made before the first shard: without it, what exports hold back, or the tree of removed shards, was lost. */
function requireArchive(folder: string, file: string): void {
  if (existsSync(file) || listShards(folder).length === 0) return;
  throw new AppError(
    'LOG_UNAVAILABLE',
    `\`${file}\` is missing, and there are shards beside it: restore it from a backup; if there is none and no shard ` +
      'was ever removed, make an empty file of this name, and register the exports again that retention waits for',
  );
}

/** The first shard of a log, and its key. */
function createLog(options: StartOptions): { readonly shard: Shard; readonly signer: Ed25519Signer } {
  const signer = newKey(options, options.newOrigin, options.newSeed);
  const first: NewShard = {
    name: shardName(isoWeek(options.now), 0),
    origin: signer.name,
    verifierKey: signer.verifierKey,
    frontier: new Frontier(),
    opening: undefined,
  };
  const shard = Shard.create(options, first);
  adoptKey(options);
  return { shard, signer };
}

/**
 * Compares the shards with each other and with what was removed; makes sealed ones self-contained files.
 * @returns the newest checkpoint that was signed in the shard before the newest one
 */
function checkChain(options: StartOptions, archive: LogArchive): SignedCheckpoint | undefined {
  const shards = listShards(options.folder);
  const [oldest] = shards;
  const { end } = archive;
  if ((oldest?.first ?? 0) !== end) {
    throw new Error(
      `the entries from ${end} to ${oldest?.first ?? 'the end'} are missing: a shard was taken away`,
    );
  }
  let signed: SignedCheckpoint | undefined;
  for (const [at, shard] of shards.entries()) {
    const next = shards[at + 1];
    if (next !== undefined) signed = checkSealed(shardFile(options.folder, shard), next);
  }
  return signed;
}

function checkSealed(file: string, next: ShardName): SignedCheckpoint | undefined {
  const db = new SqliteDatabase(file, { fileMustExist: true, timeout: READERS_WAIT_MS });
  try {
    selfContained(db);
    const { end, sealed } = readSeal(db);
    if (sealed !== next.name || end !== next.first) {
      throw new Error(
        `the shard \`${file}\` ends at entry ${end} and names \`${sealed ?? 'none'}\` as the next one, which is \`${next.name}\``,
      );
    }
    const head = db
      .prepare<[], SignedCheckpoint>("SELECT '' AS origin, size, root, time, note FROM head")
      .get();
    return head?.size === end ? head : undefined;
  } finally {
    db.close();
  }
}

/** Folds in what is left in the write-ahead log, and does without one from then on: nothing writes to the file. */
function selfContained(db: Database): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.pragma('journal_mode = DELETE');
  } catch (error) {
    // Somebody else reads it: it stays as it is until a later start.
    if (!isBusy(error)) throw error;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof SqliteDatabase.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

function readSeal(db: Database): { readonly end: number; readonly sealed: string | undefined } {
  const last = db.prepare<[], number | null>('SELECT max(idx) FROM leaf').pluck().get() ?? -1;
  const sealed = db.prepare<[], string>("SELECT value FROM meta WHERE key = 'sealed'").pluck().get();
  return { end: last + 1, sealed };
}

/** Removes what a crash left of a shard that was being built. */
function removeDrafts(folder: string): void {
  const drafts = readdirSync(folder).filter(name => name.endsWith(DRAFT_SUFFIX));
  for (const name of drafts) removeDatabase(join(folder, name));
}
