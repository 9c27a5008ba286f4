/**
 * The databases of a log, opened so that the data folder stays as it is. SQLite cannot open a database in WAL mode
 * without making files beside it, so unless a service runs on the folder, which has made them, each database is
 * copied first, a small one into memory, a large one into a private folder. Invariant: what is read is what was there.
 */
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { AppError, messageOf } from '../../domain/errors.ts';
import { isFolderLocked } from './folder-lock.ts';
import { listShards, LOG_FOLDER, type ShardName, shardFile, SIDE_FILES } from './log-shard-name.ts';
import { ARCHIVE_FILE } from './log-shards.ts';

export type EvidenceDatabase = Database;

/** Databases that are open, or copied, at once: the shard that is read, a neighbour and the archive. */
const MAX_OPEN = 3;
const MEGABYTE = 1_000_000;
/** Size of a copy from which on it is said that one is made, in bytes. */
const TOLD_BYTES = 100 * MEGABYTE;

/** Largest database that is read into memory instead of copied to a private folder, in bytes. */
const MEMORY_BYTES = 64 * MEGABYTE;

/** Bytes of the header of a database. */
const HEADER_BYTES = 100;

interface Opened {
  readonly db: Database;
  /** Folder of the private copy. */
  readonly copy: string | undefined;
}

export class EvidenceFiles {
  /** Whether a service runs on the folder. */
  readonly served: boolean;
  readonly shards: readonly ShardName[];
  readonly hasArchive: boolean;
  readonly #folder: string;
  readonly #say: (text: string) => void;
  /** By file, the one used last at the end. */
  readonly #opened = new Map<string, Opened>();

  private constructor(folder: string, say: (text: string) => void) {
    this.#folder = folder;
    this.#say = say;
    this.served = isFolderLocked(folder);
    this.shards = listShards(folder);
    this.hasArchive = existsSync(this.#archiveFile);
  }

  /** @throws AppError LOG_UNAVAILABLE when there is no log in the folder */
  static async open(folder: string, say: (text: string) => void): Promise<EvidenceFiles> {
    if (!existsSync(join(folder, LOG_FOLDER))) {
      const former = existsSync(join(folder, 'log.db'));
      throw new AppError(
        'LOG_UNAVAILABLE',
        former
          ? `the log in \`${folder}\` is of a version without a tree: start this version once, it builds the tree`
          : `there is no log in \`${folder}\`: name the data folder of a service, or a copy of it`,
      );
    }
    const files = new EvidenceFiles(folder, say);
    if (files.shards.length > 0 || files.hasArchive) return files;
    throw new AppError('LOG_UNAVAILABLE', `\`${join(folder, LOG_FOLDER)}\` has no shard`);
  }

  shard(name: ShardName): Database {
    return this.#open(shardFile(this.#folder, name));
  }

  archive(): Database {
    return this.#open(this.#archiveFile);
  }

  close(): void {
    for (const file of this.#opened.keys()) this.#close(file);
  }

  /** The failure of a database, with what to do. */
  unreadable(error: unknown): AppError {
    if (error instanceof AppError) return error;
    return new AppError(
      'LOG_UNAVAILABLE',
      `the log in \`${this.#folder}\` cannot be read: ${messageOf(error)}`,
      { cause: error },
    );
  }

  get #archiveFile(): string {
    return join(this.#folder, LOG_FOLDER, ARCHIVE_FILE);
  }

  #open(file: string): Database {
    const known = this.#opened.get(file);
    if (known !== undefined) {
      this.#opened.delete(file);
      this.#opened.set(file, known);
      return known.db;
    }
    for (const other of this.#opened.keys()) {
      if (this.#opened.size < MAX_OPEN) break;
      this.#close(other);
    }
    const opened = this.served ? { db: openReadOnly(file), copy: undefined } : this.#openCopy(file);
    this.#opened.set(file, opened);
    return opened.db;
  }

  /** A database of its own, of what the file holds now. */
  #openCopy(file: string): Opened {
    const bytes = statSync(file).size;
    const hasJournal = ['-wal', '-journal'].some(
      suffix => (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0) > 0,
    );
    // a journal beside it says how long the file should be
    if (!hasJournal) refuseCut(file, bytes);
    const opened = hasJournal || bytes > MEMORY_BYTES ? this.#openOnDisk(file) : openInMemory(file);
    if (!isFolderLocked(this.#folder)) return opened;
    opened.db.close();
    if (opened.copy !== undefined) rmSync(opened.copy, { recursive: true, force: true });
    throw new AppError('LOG_UNAVAILABLE', `a service started on \`${this.#folder}\` meanwhile: verify again`);
  }

  #openOnDisk(file: string): Opened {
    const bytes = [file, ...SIDE_FILES.map(suffix => file + suffix)]
      .map(path => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, size) => sum + size, 0);
    if (bytes >= TOLD_BYTES) {
      this.#say(`copying \`${basename(file)}\` (${Math.round(bytes / MEGABYTE)} MB) to read it`);
    }
    const copy = mkdtempSync(join(tmpdir(), 'duramen-evidence-'));
    try {
      const name = join(copy, basename(file));
      // the shared memory of the WAL is left out: it is made anew from the WAL
      for (const suffix of ['', '-wal', '-journal']) {
        if (existsSync(file + suffix))
          cpSync(file + suffix, name + suffix, { mode: constants.COPYFILE_FICLONE });
      }
      return { db: new SqliteDatabase(name, { fileMustExist: true }), copy };
    } catch (error) {
      rmSync(copy, { recursive: true, force: true });
      throw error;
    }
  }

  #close(file: string): void {
    const opened = this.#opened.get(file);
    if (opened === undefined) return;
    this.#opened.delete(file);
    opened.db.close();
    if (opened.copy !== undefined) rmSync(opened.copy, { recursive: true, force: true });
  }
}

/**
 * SQLite reads what it wants of a file that was cut, and misses nothing as long as it finds that.
 * @throws Error when the file does not have the length that its header says (sqlite.org/fileformat2.html §1.3)
 */
function refuseCut(file: string, bytes: number): void {
  const header = Buffer.alloc(HEADER_BYTES);
  const handle = openSync(file, 'r');
  try {
    readSync(handle, header);
  } finally {
    closeSync(handle);
  }
  const pageBytes = header.readUInt16BE(16);
  // 1 stands for 65,536, which two bytes cannot hold
  const expected = (pageBytes === 1 ? 65_536 : pageBytes) * header.readUInt32BE(28);
  if (bytes !== expected) throw new Error(`\`${basename(file)}\` has ${bytes} bytes instead of ${expected}`);
}

/** The whole database in memory, as one that never had a write-ahead log: nothing of it is left on a disk. */
function openInMemory(file: string): Opened {
  const bytes = readFileSync(file);
  // file format versions (sqlite.org/fileformat2.html, offsets 18 and 19): 2 is WAL, which needs files beside it
  if (bytes[18] === 2) bytes[18] = 1;
  if (bytes[19] === 2) bytes[19] = 1;
  return { db: new SqliteDatabase(bytes), copy: undefined };
}

function openReadOnly(file: string): Database {
  const db = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
  db.pragma('busy_timeout = 5000');
  db.pragma('trusted_schema = OFF');
  db.pragma('mmap_size = 0');
  return db;
}
