/**
 * Reads the journals that lie beside the leaves of the log. Invariants: what is read was durable with its leaves;
 * reading changes nothing. One that runs in a thread of its own opens the shards for itself.
 */
import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import type { JournalChunk } from '../../decision-log/ports.ts';
import { listShards, type ShardName, shardFile } from './log-shard-name.ts';

/** Bytes of journals from which on a chunk is full: a message between threads that takes about a millisecond. */
const CHUNK_BYTES = 1_048_576;

interface Row {
  readonly idx: number;
  readonly body: Buffer;
}

/** A shard and its statement; undefined when it has no journals: a version without limits wrote it. */
interface OpenShard {
  readonly shard: ShardName;
  readonly db: Database;
  readonly rows: Statement<[number], Row> | undefined;
}

export class JournalRows {
  private readonly folder: string;
  private readonly chunkBytes: number;
  private opened: OpenShard | undefined;

  /** @param folder data folder with a log */
  constructor(folder: string, chunkBytes = CHUNK_BYTES) {
    this.folder = folder;
    this.chunkBytes = chunkBytes;
  }

  /** The next journals of batches whose first leaf has at least this index; undefined: there are no more. */
  chunk(from: number): JournalChunk | undefined {
    const shards = listShards(this.folder);
    const first = Math.max(
      0,
      shards.findLastIndex(shard => shard.first <= from),
    );
    for (const shard of shards.slice(first)) {
      const chunk = this.read(this.open(shard), from);
      if (chunk !== undefined) return chunk;
    }
    this.close();
    return undefined;
  }

  close(): void {
    this.opened?.db.close();
    this.opened = undefined;
  }

  private read({ rows }: OpenShard, from: number): JournalChunk | undefined {
    const bodies: Buffer[] = [];
    let bytes = 0;
    let next = from;
    for (const { idx, body } of rows?.iterate(from) ?? []) {
      bodies.push(body);
      bytes += body.length;
      next = idx + 1;
      if (bytes >= this.chunkBytes) break;
    }
    return bodies.length === 0 ? undefined : { body: Buffer.concat(bodies), next };
  }

  private open(shard: ShardName): OpenShard {
    if (this.opened?.shard.name === shard.name) return this.opened;
    this.close();
    const db = new SqliteDatabase(shardFile(this.folder, shard), { readonly: true, fileMustExist: true });
    db.pragma('busy_timeout = 5000');
    db.pragma('trusted_schema = OFF');
    const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'journal'").get();
    const rows =
      has === undefined
        ? undefined
        : db.prepare<[number], Row>('SELECT idx, body FROM journal WHERE idx >= ? ORDER BY idx');
    this.opened = { shard, db, rows };
    return this.opened;
  }
}
