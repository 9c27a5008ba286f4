/**
 * The log as its readers see it, whatever files hold it: leaves by their index in the whole log, across shards.
 * Invariant: reading never changes the log, and what is read was durable.
 *
 * Use: `LogShards.open(dataFolder)` after the writer has opened the log. Call `size()` before a run of reads: it
 * notices a new shard and shards that retention removed. An index below `firstKept()` has no leaf any more.
 * One thread, or one process beside a running service, has a LogShards of its own.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import { leafTime } from '../../decision-log/leaf-facts.ts';
import { parseLeaf } from '../../decision-log/logged-leaf.ts';
import type { SealedOpening, ShardInfo } from '../../decision-log/ports.ts';
import { AppError } from '../../domain/errors.ts';
import { listShards, LOG_FOLDER, type ShardName, shardFile, SIDE_FILES } from './log-shard-name.ts';

/** Shards that stay open: a year of weeks has 52, and most questions are about the last few. */
const MAX_OPEN_SHARDS = 16;
/** Tiles and checkpoints of removed shards, within the folder of the shards. */
export const ARCHIVE_FILE = 'tiles.db';

/** A leaf as text, for whoever reads many. */
export interface LeafText {
  readonly idx: number;
  readonly json: string;
}

/** A leaf as it is stored. */
export interface StoredLeaf {
  readonly body: Buffer;
  /** RFC 6962 leaf hash, 32 bytes. */
  readonly hash: Buffer;
}

/** A leaf that was searched for. */
export interface MarkedLeaf {
  readonly idx: number;
  readonly body: Buffer;
}

/** The statements of one shard. */
interface Reader {
  readonly db: Database;
  readonly state: Statement<[], { last: number | null; sealed: string | null }>;
  readonly leaf: Statement<[number], StoredLeaf>;
  readonly texts: Statement<[number, number], LeafText>;
  readonly bodies: Statement<[number, number], Buffer>;
  readonly hashes: Statement<[number, number], Buffer>;
  readonly holding: Statement<[number, number, Buffer], MarkedLeaf>;
  readonly opening: Statement<[number], SealedOpening>;
  readonly tile: Statement<[number, number], Buffer>;
  readonly tileRoot: Statement<[number, number], Buffer>;
  readonly carry: Statement<[number], Buffer>;
}

interface ArchiveReader {
  readonly db: Database;
  readonly tile: Statement<[number, number], Buffer>;
  readonly tileRoot: Statement<[number, number], Buffer>;
}

export class LogShards {
  /** Name of the log. */
  readonly origin: string;
  private readonly folder: string;
  private shards: readonly ShardName[] = [];
  /** Open shards by name, the one used last at the end. */
  private readonly readers = new Map<string, Reader>();
  private archive: ArchiveReader | undefined;
  private changedAt = -1n;

  private constructor(folder: string) {
    this.folder = folder;
    this.refresh();
    const origin = this.reader(this.newest).db.prepare<[], string>(
      "SELECT value FROM meta WHERE key = 'origin'",
    );
    this.origin = origin.pluck().get() ?? '';
  }

  /** @param folder data folder @throws Error when there is no log in it */
  static open(folder: string): LogShards {
    return new LogShards(folder);
  }

  /** Leaves that are durable now, those that retention removed included. */
  size(): number {
    if (this.folderTime() !== this.changedAt) this.refresh();
    for (;;) {
      const { newest } = this;
      const { last, sealed } = this.reader(newest).state.get() ?? { last: null, sealed: null };
      // A sealed shard is followed by another one, within moments.
      if (sealed !== null) this.refresh();
      if (newest === this.newest) return last === null ? newest.first : last + 1;
    }
  }

  /** Index of the first leaf that is kept; at most `size()`. */
  firstKept(): number {
    return this.shards[0]?.first ?? 0;
  }

  leaf(index: number): StoredLeaf | undefined {
    return this.at(index)?.leaf.get(index);
  }

  /** Leaves from an index on, in order and without a gap: at least one when there is one at `from`. */
  rows(from: number, limit: number): readonly LeafText[] {
    return this.at(from)?.texts.all(from, limit) ?? [];
  }

  /** The bodies of the leaves `from` to `to`, exclusive; fewer when some are not there. */
  bodies(from: number, to: number): Buffer[] {
    return this.across(from, to, (reader, start, end) => reader.bodies.all(start, end));
  }

  /** The leaf hashes of the leaves `from` to `to`, exclusive; fewer when some are not there. */
  hashes(from: number, to: number): Buffer[] {
    return this.across(from, to, (reader, start, end) => reader.hashes.all(start, end));
  }

  /** The leaves `from` to `to`, exclusive, that hold a text, the newest first. SQLite looks, so it costs a tenth of reading. */
  *holding(text: string, from: number, to: number): Generator<MarkedLeaf> {
    const mark = Buffer.from(text);
    for (let end = to; end > from; ) {
      const first = Math.max(from, this.shards.findLast(shard => shard.first < end)?.first ?? from);
      yield* this.at(first)?.holding.iterate(first, end, mark) ?? [];
      end = first;
    }
  }

  opening(index: number): SealedOpening | undefined {
    return this.at(index)?.opening.get(index);
  }

  /** A full tile. @param lastLeaf the leaf that filled it @throws AppError LOG_UNAVAILABLE when it is missing */
  tile(level: number, n: number, lastLeaf: number): Buffer {
    const stored = (this.at(lastLeaf) ?? this.removed()).tile.get(level, n);
    return stored ?? missing(`tile ${n} of level ${level}`);
  }

  /** The root of a full tile. @param lastLeaf as for `tile` @throws as `tile` */
  tileRoot(level: number, n: number, lastLeaf: number): Buffer {
    const stored = (this.at(lastLeaf) ?? this.removed()).tileRoot.get(level, n);
    return stored ?? missing(`tile ${n} of level ${level}`);
  }

  /** The leaf hashes of the partial tile at the front of what is kept, as far as their leaves were removed. */
  carriedHashes(): Buffer {
    const [oldest] = this.shards;
    return oldest === undefined ? Buffer.alloc(0) : (this.reader(oldest).carry.get(0) ?? Buffer.alloc(0));
  }

  /** Every shard there was, the oldest first. */
  infos(): readonly ShardInfo[] {
    this.size();
    const kept = this.shards.map((shard, at): ShardInfo => {
      const { state, leaf } = this.reader(shard);
      const { last, sealed } = state.get() ?? { last: null, sealed: null };
      const size = last === null ? shard.first : last + 1;
      return {
        name: shard.name,
        first: shard.first,
        entries: size - shard.first,
        sealed: sealed !== null || at < this.shards.length - 1,
        kept: true,
        from: timeOf(leaf.get(shard.first)),
        to: timeOf(leaf.get(size - 1)),
        bytes: shardBytes(this.folder, shard),
      };
    });
    return [...this.removedInfos(), ...kept];
  }

  close(): void {
    for (const { db } of this.readers.values()) db.close();
    this.readers.clear();
    this.archive?.db.close();
    this.archive = undefined;
  }

  private get newest(): ShardName {
    return this.shards.at(-1) ?? missing('every shard');
  }

  /** The reader of the shard with a leaf; undefined when it was removed. */
  private at(index: number): Reader | undefined {
    const holder = (): ShardName | undefined => this.shards.findLast(({ first }) => first <= index);
    let shard = holder();
    try {
      return shard === undefined ? undefined : this.reader(shard);
    } catch (error) {
      // It may have been removed since the folder was read.
      this.refresh();
      shard = holder();
      if (shard !== undefined) throw error;
      return undefined;
    }
  }

  private across<T>(from: number, to: number, read: (reader: Reader, from: number, to: number) => T[]): T[] {
    const found: T[] = [];
    for (const [at, shard] of this.shards.entries()) {
      const start = Math.max(from, shard.first);
      const end = Math.min(to, this.shards[at + 1]?.first ?? to);
      const reader = start < end ? this.at(start) : undefined;
      if (reader !== undefined) found.push(...read(reader, start, end));
    }
    return found;
  }

  private reader(shard: ShardName): Reader {
    const known = this.readers.get(shard.name);
    if (known !== undefined) {
      if (this.readers.size > 1) {
        this.readers.delete(shard.name);
        this.readers.set(shard.name, known);
      }
      return known;
    }
    for (const [name, { db }] of this.readers) {
      if (this.readers.size < MAX_OPEN_SHARDS) break;
      this.readers.delete(name);
      db.close();
    }
    const reader = prepareReader(openForReading(shardFile(this.folder, shard)));
    this.readers.set(shard.name, reader);
    return reader;
  }

  private refresh(): void {
    // Taken before the folder is read: what comes meanwhile is seen the next time.
    this.changedAt = this.folderTime();
    const shards = listShards(this.folder);
    this.shards = shards.map(found => this.shards.find(({ name }) => name === found.name) ?? found);
    for (const [name, { db }] of this.readers) {
      if (shards.some(shard => shard.name === name)) continue;
      this.readers.delete(name);
      db.close();
    }
  }

  private folderTime(): bigint {
    return statSync(join(this.folder, LOG_FOLDER), { bigint: true }).mtimeNs;
  }

  private removed(): ArchiveReader {
    if (this.archive === undefined) {
      const db = openForReading(join(this.folder, LOG_FOLDER, ARCHIVE_FILE));
      this.archive = { db, ...prepareTiles(db) };
    }
    return this.archive;
  }

  private removedInfos(): ShardInfo[] {
    if (this.firstKept() === 0) return [];
    const rows = this.removed().db.prepare<[number], Omit<ShardInfo, 'sealed' | 'kept'>>(
      `SELECT name, first, entries, opened AS "from", sealed AS "to", bytes
       FROM shard WHERE first < ? ORDER BY first`,
    );
    return rows.all(this.firstKept()).map(row => ({ ...row, sealed: true, kept: false }));
  }
}

/** Bytes that a shard takes on the disk, what SQLite keeps beside it included. */
export function shardBytes(folder: string, shard: Pick<ShardName, 'name'>): number {
  const file = shardFile(folder, shard);
  return ['', ...SIDE_FILES]
    .map(suffix => file + suffix)
    .filter(path => existsSync(path))
    .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Milliseconds of a leaf; 0 without one. */
export function timeOf(leaf: Pick<StoredLeaf, 'body'> | undefined): number {
  return leaf === undefined ? 0 : leafTime(parseLeaf(leaf.body.toString('utf8')));
}

/** A connection that cannot write. @throws Error when the file is not there */
function openForReading(file: string): Database {
  const db = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
  db.pragma('busy_timeout = 5000');
  db.pragma('trusted_schema = OFF');
  db.pragma('mmap_size = 0');
  return db;
}

function prepareReader(db: Database): Reader {
  return {
    db,
    state: db.prepare(
      "SELECT max(idx) AS last, (SELECT value FROM meta WHERE key = 'sealed') AS sealed FROM leaf",
    ),
    leaf: db.prepare('SELECT body, hash FROM leaf WHERE idx = ?'),
    texts: db.prepare('SELECT idx, CAST(body AS TEXT) AS json FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?'),
    bodies: db
      .prepare<[number, number], Buffer>('SELECT body FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
      .pluck(),
    hashes: db
      .prepare<[number, number], Buffer>('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
      .pluck(),
    holding: db.prepare(
      'SELECT idx, body FROM leaf WHERE idx >= ? AND idx < ? AND instr(body, ?) > 0 ORDER BY idx DESC',
    ),
    opening: db.prepare('SELECT subject, sealed FROM leaf WHERE idx = ? AND sealed IS NOT NULL'),
    carry: db.prepare<[number], Buffer>('SELECT data FROM carry WHERE level = ?').pluck(),
    ...prepareTiles(db),
  };
}

function prepareTiles(db: Database): Pick<ArchiveReader, 'tile' | 'tileRoot'> {
  return {
    tile: db.prepare<[number, number], Buffer>('SELECT data FROM tile WHERE level = ? AND n = ?').pluck(),
    tileRoot: db.prepare<[number, number], Buffer>('SELECT root FROM tile WHERE level = ? AND n = ?').pluck(),
  };
}

function missing(what: string): never {
  throw new AppError('LOG_UNAVAILABLE', `${what} of the decision log is missing: restore it from a backup`);
}
