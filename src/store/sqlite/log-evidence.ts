/**
 * The log of a data folder as evidence: read for verification, the folder left as it is. Invariants: nothing in the
 * folder is written, created or locked, unless a running service has it open, whose readers this then is one of;
 * everything stored is handed on as it is, however damaged, and everything stored twice is compared.
 */
import type { LogSource, StoredLeaf } from '../../decision-log/log-source.ts';
import { TILE_WIDTH, tileWidth } from '../../decision-log/tiles.ts';
import { HASH_BYTES, packedRoot, sameHash } from '../../decision-log/tree-hash.ts';
import { messageOf } from '../../domain/errors.ts';
import { EvidenceFiles, type EvidenceDatabase } from './log-evidence-files.ts';
import {
  carryOf,
  type Head,
  type LeafRow,
  leavesOf,
  metaOf,
  type State,
  stateOf,
  type TileRow,
} from './log-evidence-rows.ts';
import { MAX_SHARD_ENTRIES } from './log-links.ts';
import type { ShardName } from './log-shard-name.ts';

/** Leaves per batch: some 250 KB of usual ones. */
const BATCH = 256;

/** Most findings that are kept: a file can be wrong in more ways than anybody reads. */
const MAX_FINDINGS = 1_000;

/** Something wrong with the folder beside what the verification of the tree finds. */
export interface EvidenceFinding {
  readonly index: number | undefined;
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export class LogEvidence implements LogSource {
  readonly firstKept: number;
  readonly hasPartialTiles = false;
  /** Filled while the log is read. */
  readonly findings: EvidenceFinding[] = [];
  readonly shards: readonly ShardName[];
  readonly #files: EvidenceFiles;
  readonly #head: Head | undefined;
  /** Entries when the reading began: a running service adds more. */
  readonly #size: number;
  /** Size of the largest checkpoint that was published then. */
  readonly #published: number;
  #preferred: Uint8Array | undefined;
  readonly origin: string;
  readonly verifierKey: string | undefined;

  private constructor(files: EvidenceFiles) {
    this.#files = files;
    this.shards = files.shards;
    this.firstKept = this.#archivedUpTo();
    const states = this.#newestStates();
    const [newest] = states;
    this.origin = newest?.meta.get('origin') ?? '';
    this.verifierKey = newest?.meta.get('verifierKey');
    // a shard that was just opened has no head of its own yet
    this.#head = states.find(({ head }) => head !== undefined)?.head;
    this.#size = newest?.size ?? 0;
    this.#published = newest?.published ?? 0;
    if (newest?.head === undefined && newest?.hasPublished === true) {
      this.#find(
        undefined,
        'CHECKPOINT_MISSING',
        'the newest shard has checkpoints that were published, and no head',
      );
    }
  }

  /**
   * Opens the log of a data folder. Close it afterwards.
   * @param say hears what takes its time
   * @throws AppError LOG_UNAVAILABLE when there is no log, or none that can be read at all
   */
  static async open(folder: string, say: (text: string) => void): Promise<LogEvidence> {
    const files = await EvidenceFiles.open(folder, say);
    try {
      return new LogEvidence(files);
    } catch (error) {
      files.close();
      throw files.unreadable(error);
    }
  }

  /** How the folder is read: beside the service that runs on it, or as a private copy of it. */
  get mode(): 'beside the service' | 'copy' {
    return this.#files.served ? 'beside the service' : 'copy';
  }

  async *leaves(): AsyncGenerator<readonly StoredLeaf[]> {
    const finding = (index: number, code: string, message: string) => this.#find(index, code, message);
    for (const shard of this.shards) {
      this.#read(shard.first, () => this.#checkShard(shard, this.#files.shard(shard)));
      for (let from = Number.MIN_SAFE_INTEGER; ; ) {
        const rows = this.#read(Math.max(from, shard.first), () => this.#page(shard, from)) ?? [];
        const last = rows.at(-1);
        if (last === undefined) break;
        from = last.idx + 1;
        yield rows.filter(({ idx }) => this.#isPlausible(shard, idx)).flatMap(row => leavesOf(row, finding));
        // beyond what numbers can tell apart there is no next page
        if (!Number.isSafeInteger(from)) break;
      }
    }
  }

  async tile(level: number, n: number, width: number): Promise<Uint8Array | undefined> {
    return this.#read(n * TILE_WIDTH ** (level + 1), () => this.#tile(level, n, width));
  }

  #tile(level: number, n: number, width: number): Uint8Array | undefined {
    const stored = this.#storedTile(level, n);
    if (stored !== undefined) {
      const root = stored.data.length === TILE_WIDTH * HASH_BYTES ? packedRoot(stored.data) : undefined;
      if (root === undefined || !sameHash(root, stored.root)) this.#wrongRoot(level, n);
      return stored.data.subarray(0, width * HASH_BYTES);
    }
    if (level > 0) return undefined;
    if (width === TILE_WIDTH) return this.#unfinished(n);
    // only where some of its leaves were removed: the rest is verified from the leaves
    return n * TILE_WIDTH < this.firstKept ? this.#carried(n, width) : undefined;
  }

  /** The exact bytes of an entry; undefined when it is not there. */
  entry(index: number): Uint8Array | undefined {
    const shard = this.shards.findLast(({ first }) => first <= index);
    if (shard === undefined) return undefined;
    return this.#read(index, () =>
      this.#files
        .shard(shard)
        .prepare<[number], Buffer>('SELECT body FROM leaf WHERE idx = ?')
        .pluck()
        .get(index),
    );
  }

  /** The note of the stored head. */
  get storedCheckpoint(): string | undefined {
    return this.#head?.note;
  }

  /**
   * Verifies by a checkpoint that was given out and, as happens between two batches, is not in the database yet.
   * @param note signed by the log, for more entries than the stored head
   */
  preferCheckpoint(note: Uint8Array): void {
    this.#preferred = note;
    const [, size = '', root = ''] = this.#head?.note.split('\n') ?? [];
    const head = this.#head;
    if (head === undefined || (size === String(head.size) && root === head.root.toString('base64'))) return;
    this.#find(
      undefined,
      'HEAD_MISMATCH',
      'the size and root that are stored as head are not those of its note',
    );
  }

  async checkpoint(): Promise<string | Uint8Array | undefined> {
    return this.#preferred ?? this.#head?.note;
  }

  async head(): Promise<{ readonly size: number; readonly root: Uint8Array } | undefined> {
    return this.#preferred === undefined ? this.#head : undefined;
  }

  async *published(): AsyncGenerator<string> {
    const list = 'SELECT size, note FROM checkpoint WHERE size <= ? ORDER BY size';
    if (this.firstKept > 0) yield* this.#notes(() => this.#files.archive(), list);
    for (const shard of this.shards) yield* this.#notes(() => this.#files.shard(shard), list);
  }

  close(): void {
    this.#files.close();
  }

  /** An index that no shard of this name can hold is not looked for: the way there would be endless. */
  #isPlausible(shard: ShardName, index: number): boolean {
    if (index >= 0 && index < shard.first + MAX_SHARD_ENTRIES) return true;
    this.#find(
      undefined,
      'ENTRY_MISPLACED',
      `shard \`${shard.name}\` holds an entry with the index ${index}`,
    );
    return false;
  }

  #page(shard: ShardName, from: number): readonly LeafRow[] {
    return this.#files
      .shard(shard)
      .prepare<[number, number, number], LeafRow>(
        'SELECT idx, body, hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?',
      )
      .all(from, this.#size, BATCH);
  }

  /** What SQLite cannot read is damaged: that is a finding, and the rest is read on. */
  #read<T>(index: number | undefined, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.#find(index, 'SHARD_DAMAGED', `a file of the log is damaged: ${messageOf(error)}`);
      return undefined;
    }
  }

  *#notes(open: () => EvidenceDatabase, list: string): Generator<string> {
    const rows = this.#read(undefined, () =>
      open().prepare<[number], { size: number; note: string }>(list).all(this.#published),
    );
    for (const { size, note } of rows ?? []) {
      if (note.split('\n', 2)[1] !== String(size)) {
        this.#find(
          undefined,
          'HEAD_MISMATCH',
          `the checkpoint that is stored for ${size} entries is not of that size`,
        );
      }
      yield note;
    }
  }

  /** The states of the newest shards, down to one that has a head. */
  #newestStates(): readonly State[] {
    const states: State[] = [];
    for (const shard of this.shards.toReversed()) {
      const state = this.#read(shard.first, () => stateOf(this.#files.shard(shard), shard));
      if (state !== undefined) states.push(state);
      if (state?.head !== undefined) break;
    }
    return states;
  }

  /** Entries that the archive says were removed: its shards follow each other from the first entry on. */
  #archivedUpTo(): number {
    const first = this.#files.shards[0]?.first ?? 0;
    if (first === 0 || !this.#files.hasArchive) return 0;
    const rows = this.#read(0, () =>
      this.#files
        .archive()
        .prepare<[], { first: number; entries: number }>('SELECT first, entries FROM shard ORDER BY first')
        .all(),
    );
    let end = 0;
    for (const row of rows ?? []) if (row.first === end) end = row.first + row.entries;
    // a shard that was copied and is still there is read where it is
    return Math.min(end, first);
  }

  #storedTile(level: number, n: number): TileRow | undefined {
    const lastLeaf = (n + 1) * TILE_WIDTH ** (level + 1) - 1;
    const shard = this.shards.findLast(({ first }) => first <= lastLeaf);
    const db = shard === undefined || lastLeaf < this.firstKept ? this.#archive() : this.#files.shard(shard);
    return db
      ?.prepare<[number, number], TileRow>('SELECT root, data FROM tile WHERE level = ? AND n = ?')
      .get(level, n);
  }

  #archive(): EvidenceDatabase | undefined {
    return this.#files.hasArchive ? this.#files.archive() : undefined;
  }

  /**
   * A full tile that is not stored. When entries of it are gone as well, the hashes up to the first of them, so that
   * this one is named and not the tile.
   */
  #unfinished(n: number): Uint8Array | undefined {
    const first = n * TILE_WIDTH;
    if (first < this.firstKept) return undefined;
    const hashes = this.#leafHashes(first, first + TILE_WIDTH);
    return hashes.length === TILE_WIDTH * HASH_BYTES ? undefined : hashes;
  }

  /** The last tile of level 0, of which the first leaves are gone and have left their hashes. */
  #carried(n: number, width: number): Uint8Array | undefined {
    const [oldest] = this.shards;
    if (oldest === undefined) return undefined;
    const db = this.#files.shard(oldest);
    const hashes = db
      .prepare<[number, number], Buffer>('SELECT hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx')
      .pluck()
      .all(n * TILE_WIDTH, n * TILE_WIDTH + width);
    return Buffer.concat([carryOf(db, 0) ?? Buffer.alloc(0), ...hashes]).subarray(0, width * HASH_BYTES);
  }

  /** What a shard says of itself, and what it carried over from the one before. */
  #checkShard(shard: ShardName, db: EvidenceDatabase): void {
    const meta = metaOf(db);
    const before = shard.first === 0 ? undefined : `shard \`${shard.name}\``;
    if (meta.get('origin') !== this.origin || meta.get('verifierKey') !== this.verifierKey) {
      this.#find(
        shard.first,
        'SHARD_FOREIGN',
        `shard \`${shard.name}\` is of another log, or of another key`,
      );
    }
    const lowest = db.prepare<[], number | null>('SELECT min(idx) FROM leaf').pluck().get() ?? shard.first;
    if (lowest < shard.first) {
      this.#find(
        lowest,
        'ENTRY_REPEATED',
        `shard \`${shard.name}\` holds entry ${lowest}, which is before it`,
      );
    }
    if (before === undefined) return;
    for (let level = 0; TILE_WIDTH ** level <= shard.first; level++) this.#checkCarry(shard, db, level);
  }

  #checkCarry(shard: ShardName, db: EvidenceDatabase, level: number): void {
    const n = Math.floor(shard.first / TILE_WIDTH ** (level + 1));
    const width = tileWidth(shard.first, level, n);
    const carried = carryOf(db, level) ?? Buffer.alloc(0);
    const expected = this.#hashesElsewhere(level, n, width);
    if (expected === undefined || sameHash(carried, expected)) return;
    if (carried.length !== width * HASH_BYTES) {
      this.#find(shard.first, 'TILE_CHANGED', `shard \`${shard.name}\` did not carry over what is before it`);
      return;
    }
    if (expected.length !== carried.length) return;
    let at = 0;
    while (at < carried.length && carried[at] === expected[at]) at++;
    const index = (n * TILE_WIDTH + Math.floor(at / HASH_BYTES)) * TILE_WIDTH ** level;
    this.#find(
      index,
      'TILE_CHANGED',
      `what shard \`${shard.name}\` carried over of tile ${n} of level ${level} differs from the tile at entry ${index}`,
    );
  }

  /** As below; undefined as well when another file cannot be read, which is found where that file is read for itself. */
  #hashesElsewhere(level: number, n: number, width: number): Uint8Array | undefined {
    try {
      return this.#storedHashes(level, n, width);
    } catch {
      return undefined;
    }
  }

  /** Hashes of a tile from where they are stored otherwise; undefined when nothing else holds them. */
  #storedHashes(level: number, n: number, width: number): Uint8Array | undefined {
    const whole = this.#storedTile(level, n)?.data;
    if (whole !== undefined) return whole.subarray(0, width * HASH_BYTES);
    const first = n * TILE_WIDTH;
    if (level === 0) {
      return first < this.firstKept ? undefined : this.#leafHashes(first, first + width);
    }
    const roots: Buffer[] = [];
    for (let at = first; at < first + width; at++) {
      const root = this.#storedTile(level - 1, at)?.root;
      if (root === undefined) return undefined;
      roots.push(root);
    }
    return Buffer.concat(roots);
  }

  /** The hashes stored with entries, up to the first that is missing. */
  #leafHashes(from: number, to: number): Uint8Array {
    const hashes: Buffer[] = [];
    for (const [at, shard] of this.shards.entries()) {
      const end = this.shards[at + 1]?.first ?? to;
      if (shard.first >= to || end <= from) continue;
      const rows = this.#files
        .shard(shard)
        .prepare<[number, number], { idx: number; hash: Buffer }>(
          'SELECT idx, hash FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx',
        )
        .all(from, to);
      for (const { idx, hash } of rows) {
        if (idx !== from + hashes.length) return Buffer.concat(hashes);
        hashes.push(hash);
      }
    }
    return Buffer.concat(hashes);
  }

  /** No entry is named: whether the tile or its root was changed, the entries tell. */
  #wrongRoot(level: number, n: number): void {
    const span = TILE_WIDTH ** (level + 1);
    const message =
      `tile ${n} of level ${level}, of the entries ${n * span} to ${(n + 1) * span - 1}, does not have the root that ` +
      'is stored with it';
    this.#find(undefined, 'TILE_CHANGED', message);
  }

  #find(index: number | undefined, code: string, message: string): void {
    if (this.findings.length >= MAX_FINDINGS) return;
    this.findings.push({ index, code, severity: 'error', message });
  }
}
