/**
 * Writes leaves into the shards of the log; runs in a worker thread. Invariants: when `append` returns, every leaf
 * of the batch is on the disk with the tiles that it filled, with gap-free indexes; when it throws, none of them is,
 * or the failure is marked fatal and the writer refuses everything until the process has restarted. Nothing is
 * signed that is not on the disk, or written by the same transaction.
 */
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { signCheckpoint } from '../../decision-log/checkpoint.ts';
import { Frontier } from '../../decision-log/frontier.ts';
import { hashPrefixed } from '../../decision-log/leaf-hash.ts';
import { type LateValues, LeafCompleter, requireComplete } from '../../decision-log/late-values.ts';
import type { JournalChunk, LogExport, SignedCheckpoint } from '../../decision-log/ports.ts';
import type { Ed25519Signer } from '../../decision-log/signed-note.ts';
import { messageOf } from '../../domain/errors.ts';
import { lockFolder } from './folder-lock.ts';
import { JournalRows } from './journal-rows.ts';
import type { LogArchive } from './log-archive.ts';
import { frameOf, type LeafFrame, leafFrames } from './log-batch.ts';
import { systemCode } from './log-check.ts';
import { checkedFrontier, takeStoredTiles } from './log-frontier.ts';
import { MAX_SHARD_ENTRIES, nextShard, openLeaf, sealLeaf } from './log-links.ts';
import { lastEntryBefore, prunable, prune, type Pruning } from './log-retention.ts';
import { PAGE_BYTES, Shard } from './log-shard.ts';
import { isoWeek } from './log-shard-name.ts';
import { startLog, type StartedLog, type StartOptions } from './log-start.ts';

/** WAL pages after which a checkpoint moves them into the database: about 1 MiB, so that it stalls 2 to 3 ms. */
const CHECKPOINT_PAGES = 128;
/** Pages that a commit writes beside the leaves: the edges of the trees, and one tile in 256 leaves. */
const PAGES_PER_COMMIT = 4;
/** Longest time between two signatures while batches come, in milliseconds: a signature takes about 40 µs. */
const SIGN_MS = 250;

export interface LogWriterOptions extends StartOptions {
  /** As many bytes of a cryptographically secure source as asked for: salts of commitments. */
  readonly random: (size: number) => Uint8Array;
  /** Most leaves of a shard. */
  readonly shardEntries?: number | undefined;
}

/** Leaves that come together, and when, in milliseconds since the epoch. */
export interface Batch {
  readonly shared: SharedArrayBuffer;
  readonly used: number;
  readonly count: number;
  readonly now: number;
}

/** A commit that failed. `fatal`: it is unknown what the disk holds, so nothing may be written until a restart. */
export class CommitError extends Error {
  readonly fatal: boolean;

  constructor(message: string, fatal: boolean, cause: unknown) {
    super(message, { cause });
    this.name = 'CommitError';
    this.fatal = fatal;
  }
}

/** What stands before a journal in a row: its length, 32 bits, little-endian. */
function lengthOf(journal: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(journal.length);
  return length;
}

/** SQLite result codes after which the transaction is known to be rolled back and trying again is safe. */
const TRANSIENT = /^SQLITE_(FULL|BUSY|LOCKED|NOMEM|READONLY|CANTOPEN|INTERRUPT)(_|$)/;
/** The same of the operating system, for files that are made and moved. */
const TRANSIENT_SYSTEM = /^(ENOSPC|EDQUOT|EMFILE|ENFILE|EROFS|EACCES|EPERM)$/;

/** Whether a failed commit may be tried again. A failed write or fsync may not: the kernel can have lost pages. */
export function isTransient(error: unknown): boolean {
  return error instanceof SqliteDatabase.SqliteError
    ? TRANSIENT.test(error.code)
    : TRANSIENT_SYSTEM.test(systemCode(error));
}

/** What to do about a failure that passes; empty where nobody knows. */
function adviceFor(error: unknown): string {
  const code = error instanceof SqliteDatabase.SqliteError ? error.code : systemCode(error);
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)/.test(code)) return ': free some disk space; it goes on by itself then';
  return /^(SQLITE_(READONLY|CANTOPEN)|EROFS|EACCES|EPERM)/.test(code)
    ? ': let the user of duramen write to the data folder; it goes on by itself then'
    : '';
}

export class LogWriter {
  private readonly options: LogWriterOptions;
  private readonly lock: Database;
  private readonly archive: LogArchive;
  private readonly signer: Ed25519Signer;
  private readonly shardEntries: number;
  private readonly journalRows: JournalRows;
  private readonly completer: LeafCompleter;
  private shard: Shard;
  /** The name of the next shard while this one is sealed. */
  private next: Shard['next'];
  private frontier: Frontier;
  private durable: number;
  /** The newest checkpoint that was signed, and one that was given out and is not in the database yet. */
  private head: SignedCheckpoint | undefined;
  private published: SignedCheckpoint | undefined;
  private walPages = 0;
  /** Something was written or signed since the log was opened. */
  private isTouched = false;
  private fatal: string | undefined;

  private constructor(options: LogWriterOptions, lock: Database, started: StartedLog) {
    this.options = options;
    this.completer = new LeafCompleter(options.random);
    this.lock = lock;
    this.archive = started.archive;
    this.signer = started.signer;
    this.shardEntries = options.shardEntries ?? MAX_SHARD_ENTRIES;
    this.journalRows = new JournalRows(options.folder);
    this.shard = started.shard;
    this.next = started.shard.next;
    this.frontier = started.frontier;
    this.durable = started.frontier.size;
    this.head = started.head;
  }

  /**
   * Opens the log of a data folder, or makes it.
   * @throws AppError LOG_UNAVAILABLE or STORE_UNAVAILABLE with what to do, when the folder is in use or not
   * writable, or the log is damaged, newer, or without its key
   */
  static open(options: LogWriterOptions): LogWriter {
    const lock = lockFolder(options.folder);
    try {
      return new LogWriter(options, lock, startLog(options));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  get origin(): string {
    return this.shard.origin;
  }

  /** The verifier key of the log. */
  get verifierKey(): string {
    return this.signer.verifierKey;
  }

  /** Names of migrations of a newer version that this version can live with. */
  get newerMigrations(): readonly string[] {
    return this.shard.newerMigrations;
  }

  /** Leaves that are durable. */
  get size(): number {
    return this.durable;
  }

  /** Makes a batch durable. @returns the index of its first leaf. @throws CommitError */
  append({ shared, used, count, now }: Batch): number {
    this.refuseAfterFatal();
    this.isTouched = true;
    try {
      this.makeRoom(count, now);
      const first = this.durable;
      this.write(leafFrames(shared, used), now, this.signatureIsDue(now));
      this.walPages += Math.ceil(used / PAGE_BYTES) + PAGES_PER_COMMIT;
      return first;
    } catch (error) {
      throw this.failed(error);
    }
  }

  /**
   * A checkpoint over everything that is durable. It is written down with the next commit; lost by a crash before
   * that, it still holds, for what it is about is on the disk.
   * @throws CommitError when it is unknown what is durable
   */
  sign(now: number): SignedCheckpoint {
    this.refuseAfterFatal();
    this.isTouched = true;
    if (this.head?.size !== this.durable) this.head = this.signed(now);
    this.published = this.head;
    return this.head;
  }

  /** Whether enough has gathered in the WAL for a checkpoint. */
  get checkpointDue(): boolean {
    return this.walPages >= CHECKPOINT_PAGES;
  }

  /**
   * Moves the WAL into the database. A reader can hold some of it back; the next checkpoint takes that along.
   * The entries are durable with or without it.
   */
  checkpoint(): void {
    try {
      this.shard.db.pragma('wal_checkpoint(PASSIVE)');
      this.walPages = 0;
    } catch (error) {
      if (!isTransient(error)) throw this.failed(error);
      this.walPages = CHECKPOINT_PAGES / 2;
    }
  }

  /** Bytes of the write-ahead log. */
  get walBytes(): number {
    return this.shard.walBytes;
  }

  /** Writes and flushes something that is not an entry, to learn whether writing works. @throws CommitError */
  probe(at: string): void {
    this.refuseAfterFatal();
    try {
      if (this.next === undefined) this.shard.setMeta('probe', at);
      else this.archive.probe();
    } catch (error) {
      throw this.failed(error);
    }
  }

  /** What `prune` would remove. */
  prunable(before: number): Pruning {
    return prunable(this.options.folder, this.archive, before);
  }

  /** See `lastEntryBefore`. */
  lastEntryBefore(time: number): number | undefined {
    return lastEntryBefore(this.options.folder, time);
  }

  /** Removes what is older than an instant, step by step; see `prune`. */
  prune(before: number): AsyncGenerator<undefined, Pruning> {
    return prune(this.options.folder, this.archive, before);
  }

  /** See `LogJournals.chunk`. */
  journals(from: number): JournalChunk | undefined {
    return this.journalRows.chunk(from);
  }

  exports(): readonly LogExport[] {
    return this.archive.exports();
  }

  /** @throws AppError INVALID_REQUEST */
  saveExport(name: string, acknowledged: number, time: number): LogExport {
    return this.archive.saveExport(name, acknowledged, this.durable, time);
  }

  removeExport(name: string): boolean {
    return this.archive.removeExport(name);
  }

  /** Signs what is not signed yet, and lets go of the files. */
  close(now: number): void {
    try {
      if (this.fatal !== undefined) return;
      const isWritten = this.head?.size === this.durable && this.published === undefined;
      // A log that was only opened may have been refused by its anchors: what is wrong with it must not be signed.
      if (this.isTouched && this.next === undefined && !isWritten) this.write([], now, true);
      this.shard.db.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      this.journalRows.close();
      this.shard.close();
      this.archive.close();
      this.lock.close();
    }
  }

  /** One transaction: leaves, what opens them, their journals, the tiles that they fill, and what was signed. */
  private write(frames: Iterable<LeafFrame>, now: number, sign: boolean, also?: () => void): void {
    const { shard, frontier } = this;
    const first = frontier.size;
    const journals: Uint8Array[] = [];
    shard.begin.run();
    for (const { prefixed, late, journal } of frames) {
      if (journal !== undefined) journals.push(lengthOf(journal), journal);
      const sealed = this.complete(prefixed, late);
      const hash = hashPrefixed(prefixed);
      const leaf = prefixed.subarray(1);
      if (sealed === undefined) shard.insertLeaf.run(frontier.size, leaf, hash);
      else shard.insertOpenable.run(frontier.size, leaf, hash, late?.subject?.pseudonym ?? '', sealed);
      frontier.append(hash);
    }
    if (journals.length > 0) shard.insertJournal.run(first, Buffer.concat(journals));
    shard.addTiles(takeStoredTiles(frontier));
    const head = sign ? this.signed(now) : this.published;
    if (head !== undefined) shard.setHead(head);
    if (this.published !== undefined) shard.publish(this.published);
    also?.();
    // The point of no return: with COMMIT the batch is in the WAL and the WAL is flushed. A crash before it leaves
    // nothing of the batch, and a signature that nobody has seen; a crash after it, before the answer, leaves
    // entries that nobody waits for.
    shard.commit();
    this.durable = frontier.size;
    this.head = head ?? this.head;
    this.published = undefined;
  }

  /** Fills the blanks of a leaf. @returns what opens its personal values; undefined when nothing does */
  private complete(prefixed: Buffer, late: LateValues | undefined): Uint8Array | undefined {
    if (late !== undefined) return this.completer.complete(prefixed, late);
    requireComplete(prefixed);
    return undefined;
  }

  /** Ends the shard when its week is over or the batch would not fit, and makes sure that there is an open one. */
  private makeRoom(count: number, now: number): void {
    const { name } = this.shard;
    const entries = this.durable - name.first;
    const isFull = entries > 1 && entries + count + 1 > this.shardEntries;
    const isOver = entries > 0 && isoWeek(now) > name.week;
    if (this.next === undefined && (isFull || isOver)) {
      const { origin, durable: size } = this;
      const next = nextShard(name, size, now);
      // Nothing is added to the shard any more. A crash from here on leaves a log whose newest shard is sealed; the
      // next batch goes on below, in this process or in another.
      this.write([frameOf(sealLeaf({ origin, size }, name, next, now))], now, true, () =>
        this.shard.setMeta('sealed', next.name),
      );
      this.next = next;
    }
    if (this.next !== undefined) this.openNext(this.next, now);
  }

  private openNext(name: NonNullable<Shard['next']>, now: number): void {
    const { origin, durable: size, frontier, verifierKey } = this;
    const text = openLeaf({ origin, size, root: frontier.root() }, this.shard.name, name, now);
    const shard = Shard.create(this.options, {
      name,
      origin,
      verifierKey,
      frontier: new Frontier(size, frontier.partialTiles()),
      opening: frameOf(text),
    });
    try {
      this.frontier = checkedFrontier(shard.db, name.first, shard.size, this.head);
    } catch (error) {
      shard.close();
      throw error;
    }
    const sealed = this.shard;
    this.shard = shard;
    this.next = undefined;
    this.durable = this.frontier.size;
    this.walPages = 0;
    try {
      // What readers hold back of it stays beside the shard until a start finds no reader.
      sealed.db.pragma('wal_checkpoint(PASSIVE)');
    } finally {
      sealed.close();
    }
  }

  private signed(now: number): SignedCheckpoint {
    const { origin, frontier } = this;
    const checkpoint = { origin, size: frontier.size, root: frontier.root() };
    return { ...checkpoint, time: now, note: signCheckpoint(checkpoint, [this.signer]) };
  }

  private signatureIsDue(now: number): boolean {
    return this.head === undefined || Math.abs(now - this.head.time) >= SIGN_MS;
  }

  private refuseAfterFatal(): void {
    if (this.fatal !== undefined) throw new CommitError(this.fatal, true, undefined);
  }

  private failed(error: unknown): CommitError {
    let fatal = !isTransient(error);
    try {
      const { shard } = this;
      if (shard.db.inTransaction) shard.db.exec('ROLLBACK');
      fatal ||= shard.readSize() !== this.durable;
      // The leaves of the batch are in the tree in memory, and not on the disk.
      if (!fatal) this.frontier = checkedFrontier(shard.db, shard.name.first, this.durable, shard.head());
    } catch {
      fatal = true;
    }
    const message = `the decision log cannot be written: ${messageOf(error)}${fatal ? '' : adviceFor(error)}`;
    if (fatal) this.fatal = `${message}: what the disk holds is unknown, restart duramen`;
    return new CommitError(this.fatal ?? message, fatal, error);
  }
}
