/**
 * The signed roots that a log is held against: its newest checkpoint, those it published, those that others kept.
 * Invariant: only a checkpoint whose signature by the log holds is compared, and none that was compared is lost
 * track of: the largest size that had its root bounds where the first bad entry can be.
 */
import { messageOf } from '../domain/errors.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import type { FindingCode, FindingList } from './log-findings.ts';
import type { LogSource } from './log-source.ts';
import type { NoteVerifier } from './signed-note.ts';
import { sameHash } from './tree-hash.ts';
import type { TreeCheck } from './verify-tree.ts';

export interface RootOptions {
  /** The log's key, from elsewhere than the log. */
  readonly verifier: NoteVerifier;
  /** By default the name of the key. */
  readonly origin?: string;
  /** Checkpoints of the log that others kept, in any order. */
  readonly earlier?: readonly EarlierCheckpoint[];
}

/** A checkpoint from elsewhere. */
export interface EarlierCheckpoint {
  /** What it is called in findings: `the checkpoint kept.checkpoint`. */
  readonly name: string;
  /** A signed note. */
  readonly note: string | Uint8Array;
}

/** One that the log has signed, and where it is from. */
interface NamedCheckpoint extends Checkpoint {
  readonly name: string;
}

export class SignedRoots {
  readonly #source: LogSource;
  readonly #options: RootOptions;
  readonly #findings: FindingList;
  #newest: Checkpoint | undefined;
  #newestDone = false;
  /** Those that others kept and were not compared yet, the smallest first. */
  #earlier: NamedCheckpoint[] = [];
  #published: AsyncIterator<string> | undefined;
  #nextPublished: Checkpoint | undefined;
  #publishedSize = 0;
  #confirmed = 0;
  #compared = 0;

  constructor(source: LogSource, options: RootOptions, findings: FindingList) {
    this.#source = source;
    this.#options = options;
    this.#findings = findings;
  }

  get origin(): string {
    return this.#options.origin ?? this.#options.verifier.name;
  }

  /** The newest checkpoint, when the log has signed it. */
  get newest(): Checkpoint | undefined {
    return this.#newest;
  }

  /** Checkpoints with which the tree was compared. */
  get compared(): number {
    return this.#compared;
  }

  /** Largest size of which the tree had the signed root. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Size at which there is a root to compare with. */
  get nextSize(): number {
    return Math.min(
      this.#pending(this.#newest)?.size ?? Infinity,
      this.#earlier[0]?.size ?? Infinity,
      this.#nextPublished?.size ?? Infinity,
    );
  }

  /** Reads and verifies what there is to compare with. */
  async start(): Promise<void> {
    const note = await this.#source.checkpoint();
    if (note === undefined) this.#findings.add('CHECKPOINT_MISSING', undefined, 'the log has no checkpoint');
    else this.#newest = this.#open(note, 'the newest checkpoint');
    const head = await this.#source.head?.();
    if (head !== undefined && this.#newest !== undefined) this.#checkHead(head, this.#newest);
    this.#earlier = (this.#options.earlier ?? [])
      .flatMap(({ name, note: kept }) => {
        const checkpoint = this.#open(kept, name);
        return checkpoint === undefined ? [] : [{ ...checkpoint, name }];
      })
      .sort((a, b) => a.size - b.size);
    this.#published = this.#source.published?.()[Symbol.asyncIterator]();
    await this.#advance();
  }

  /** Compares the tree with every signed root of its size. */
  async compare(tree: TreeCheck): Promise<void> {
    const newest = this.#pending(this.#newest);
    if (newest?.size === tree.size) {
      this.#newestDone = true;
      this.#judge(tree, newest, 'ROOT_MISMATCH', 'the newest checkpoint');
      await tree.checkPartialTiles();
    }
    while (this.#earlier[0]?.size === tree.size) {
      const [earlier, ...rest] = this.#earlier;
      this.#earlier = rest;
      if (earlier !== undefined) this.#judge(tree, earlier, 'FORK', earlier.name);
    }
    while (this.#nextPublished?.size === tree.size) {
      const holds = this.#judge(tree, this.#nextPublished, 'FORK', 'a checkpoint that it published');
      // all that follow it would contradict the log as well
      if (holds) await this.#advance();
      else await this.#endPublished();
    }
  }

  /** @param end number of entries that the log has: what was signed beyond it is gone */
  async finish(end: number): Promise<void> {
    const published = this.#nextPublished;
    const left = published === undefined ? [] : [{ ...published, name: 'a checkpoint that it published' }];
    for (const { size, name } of [...left, ...this.#earlier]) {
      if (size <= end) continue;
      const message = `the log has ${end} entries, and it signed that it had ${size}: ${name}`;
      this.#findings.add('LOG_SHORTER', end, message);
    }
    await this.#endPublished();
  }

  #pending(newest: Checkpoint | undefined): Checkpoint | undefined {
    return this.#newestDone ? undefined : newest;
  }

  #judge(tree: TreeCheck, { size, root }: Checkpoint, code: FindingCode, what: string): boolean {
    const holds = tree.compare(root);
    if (holds === undefined) return true;
    this.#compared++;
    if (holds) {
      this.#confirmed = Math.max(this.#confirmed, size);
      return true;
    }
    // where entries and tiles differ, those entries are named; else only a range can be
    const index = tree.disputed ? undefined : this.#confirmed;
    const range = `the first difference is at entry ${this.#confirmed} or after it`;
    this.#findings.add(code, index, `the first ${size} entries do not have the root of ${what}: ${range}`);
    return false;
  }

  #checkHead(head: { readonly size: number; readonly root: Uint8Array }, newest: Checkpoint): void {
    if (head.size === newest.size && sameHash(head.root, newest.root)) return;
    const detail =
      head.size === newest.size ? 'their roots differ' : `their sizes are ${head.size} and ${newest.size}`;
    this.#findings.add(
      'HEAD_MISMATCH',
      undefined,
      `the stored head is not that of its checkpoint: ${detail}`,
    );
  }

  #open(note: string | Uint8Array, what: string): Checkpoint | undefined {
    try {
      return openCheckpoint(note, this.#options.verifier, this.origin);
    } catch (error) {
      this.#findings.add('CHECKPOINT_INVALID', undefined, `${what} cannot be relied on: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** The next checkpoint that the log published and that can be compared. */
  async #advance(): Promise<void> {
    this.#nextPublished = undefined;
    while (this.#published !== undefined && this.#nextPublished === undefined) {
      const next = await this.#published.next();
      if (next.done === true) {
        this.#published = undefined;
        return;
      }
      const checkpoint = this.#open(next.value, 'a published checkpoint');
      if (checkpoint === undefined) continue;
      if (checkpoint.size < this.#publishedSize) {
        const message = `a published checkpoint of ${checkpoint.size} entries follows one of ${this.#publishedSize}`;
        this.#findings.add('CHECKPOINT_INVALID', undefined, message);
        continue;
      }
      this.#publishedSize = checkpoint.size;
      this.#nextPublished = checkpoint;
    }
  }

  async #endPublished(): Promise<void> {
    this.#nextPublished = undefined;
    await this.#published?.return?.();
    this.#published = undefined;
  }
}
