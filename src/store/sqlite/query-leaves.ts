/**
 * Leaves as the query thread reads them, whatever files hold them. Invariant: reading never changes the log, and
 * what is read was durable.
 */
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';

/** A leaf on its way into the index. */
export interface LeafRow {
  readonly idx: number;
  readonly json: string;
}

/** A leaf as it is stored. */
export interface StoredLeaf {
  readonly body: Buffer;
  /** RFC 6962 leaf hash, 32 bytes. */
  readonly hash: Buffer;
}

export interface LeafSource {
  /** Name of the log. */
  readonly origin: string;
  /** Leaves that are durable now, those that retention removed included. */
  size(): number;
  /** Index of the first leaf that is kept; at most `size()`. */
  firstKept(): number;
  /** Leaves from an index on, in order; at least one when there is one at `from`, at most `limit`. */
  rows(from: number, limit: number): readonly LeafRow[];
  leaf(index: number): StoredLeaf | undefined;
  close(): void;
}

/** Opens the log of a data folder. @throws Error when there is none */
export function openLeaves(folder: string): LeafSource {
  const log = openLogForReading(folder);
  const size = log.prepare<[], number>('SELECT coalesce(max(idx) + 1, 0) FROM leaf').pluck();
  const rows = log.prepare<[number, number], LeafRow>(
    'SELECT idx, CAST(body AS TEXT) AS json FROM leaf WHERE idx >= ? ORDER BY idx LIMIT ?',
  );
  const leaf = log.prepare<[number], StoredLeaf>('SELECT body, hash FROM leaf WHERE idx = ?');
  const origin = log.prepare<[], string>("SELECT value FROM meta WHERE key = 'origin'").pluck().get() ?? '';
  return {
    origin,
    size: () => size.get() ?? 0,
    firstKept: () => 0,
    rows: (from, limit) => rows.all(from, limit),
    leaf: index => leaf.get(index),
    close: () => void log.close(),
  };
}

/** Opens log.db for reading. @throws Error when there is none */
export function openLogForReading(folder: string): Database {
  const db = new SqliteDatabase(join(folder, 'log.db'), { readonly: true, fileMustExist: true });
  db.pragma('busy_timeout = 5000');
  db.pragma('trusted_schema = OFF');
  db.pragma('mmap_size = 0');
  return db;
}
