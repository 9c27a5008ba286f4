/**
 * Entries that wait for the disk, as batches. Invariants: entries leave in the order in which they came; one
 * batch is in flight at most; the queue never holds more than its limits; each waiter is answered exactly once.
 */
import type { WrittenLeaf } from '../../decision-log/leaf.ts';
import type { LogPosition } from '../../decision-log/ports.ts';
import { LeafBatch, MAX_FRAME_BYTES } from './log-batch.ts';

/** Most entries that wait: at 10,000 decisions per second, 0.8 s; whoever waits longer has given up. */
export const MAX_QUEUED_ENTRIES = 8_192;
/** Most bytes of leaves and of what opens them that wait. */
export const MAX_QUEUED_BYTES = 33_554_432;
/** Batches kept for reuse, so that steady traffic allocates none. */
const SPARE_BATCHES = 4;

type Resolve = (position: LogPosition) => void;
type Reject = (error: Error) => void;

/** A batch and who waits for it. */
interface Waiting {
  readonly leaves: LeafBatch;
  readonly resolves: Resolve[];
  readonly rejects: Reject[];
  /** The journals of its entries, of those that have one. */
  readonly journals: Uint8Array[];
  /** Monotonic milliseconds at which its first entry came. */
  since: number;
}

export class LogQueue {
  private readonly monotonic: () => number;
  private readonly waiting: Waiting[] = [];
  private readonly spare: Waiting[] = [];
  private flying: Waiting | undefined;
  private entryCount = 0;
  private byteCount = 0;

  /** @param monotonic milliseconds of a monotonic clock */
  constructor(monotonic: () => number) {
    this.monotonic = monotonic;
  }

  /** Entries not yet answered. */
  get entries(): number {
    return this.entryCount;
  }

  /** Bytes of their leaves and of what opens them. */
  get bytes(): number {
    return this.byteCount;
  }

  get saturated(): boolean {
    return this.entryCount >= MAX_QUEUED_ENTRIES || this.byteCount + MAX_FRAME_BYTES > MAX_QUEUED_BYTES;
  }

  get inFlight(): boolean {
    return this.flying !== undefined;
  }

  /** Monotonic milliseconds at which the oldest unanswered entry came. */
  get oldest(): number | undefined {
    return (this.flying ?? this.waiting[0])?.since;
  }

  /** @throws AppError INVALID_REQUEST when the leaf is too long; then nothing waits */
  add(leaf: WrittenLeaf, journal: Uint8Array | undefined, resolve: Resolve, reject: Reject): void {
    let last = this.waiting.at(-1);
    const before = last?.leaves.used ?? 0;
    if (last === undefined || !last.leaves.add(leaf.text, leaf.late, journal)) {
      last = this.open(leaf, journal);
      this.byteCount += last.leaves.used;
    } else {
      this.byteCount += last.leaves.used - before;
    }
    last.resolves.push(resolve);
    last.rejects.push(reject);
    if (journal !== undefined) last.journals.push(journal);
    this.entryCount++;
  }

  /** Takes the oldest batch into flight; undefined when one is in flight already, or none waits. */
  depart(): LeafBatch | undefined {
    if (this.flying !== undefined) return undefined;
    this.flying = this.waiting.shift();
    return this.flying?.leaves;
  }

  /**
   * The batch in flight is durable from index `first` on. @returns its number of entries and bytes
   * @param tellJournal hears of each journal in it
   */
  land(
    origin: string,
    first: number,
    tellJournal: (journal: Uint8Array) => void,
  ): { readonly entries: number; readonly bytes: number } {
    const batch = this.release();
    if (batch === undefined) return { entries: 0, bytes: 0 };
    const { resolves, leaves } = batch;
    for (const journal of batch.journals) tellJournal(journal);
    const landed = { entries: resolves.length, bytes: leaves.used };
    const size = first + resolves.length;
    for (let at = 0; at < resolves.length; at++) resolves[at]?.({ origin, index: first + at, size });
    this.recycle(batch);
    return landed;
  }

  /** The batch in flight failed. @returns its number of entries */
  crash(error: Error): number {
    const batch = this.release();
    return batch === undefined ? 0 : this.rejectAll(batch, error);
  }

  /** Rejects everything. @returns the number of entries */
  abandon(error: Error): number {
    let count = this.crash(error);
    for (const batch of this.waiting.splice(0)) {
      this.forget(batch);
      count += this.rejectAll(batch, error);
    }
    return count;
  }

  private open(leaf: WrittenLeaf, journal: Uint8Array | undefined): Waiting {
    const batch = this.spare.pop() ?? {
      leaves: new LeafBatch(),
      resolves: [],
      rejects: [],
      journals: [],
      since: 0,
    };
    try {
      batch.leaves.add(leaf.text, leaf.late, journal);
    } catch (error) {
      this.recycle(batch);
      throw error;
    }
    batch.since = this.monotonic();
    this.waiting.push(batch);
    return batch;
  }

  private release(): Waiting | undefined {
    const batch = this.flying;
    this.flying = undefined;
    if (batch !== undefined) this.forget(batch);
    return batch;
  }

  private forget({ resolves, leaves }: Waiting): void {
    this.entryCount -= resolves.length;
    this.byteCount -= leaves.used;
  }

  private rejectAll(batch: Waiting, error: Error): number {
    const count = batch.rejects.length;
    for (const reject of batch.rejects) reject(error);
    this.recycle(batch);
    return count;
  }

  private recycle(batch: Waiting): void {
    batch.leaves.clear();
    batch.resolves.length = 0;
    batch.rejects.length = 0;
    batch.journals.length = 0;
    if (this.spare.length < SPARE_BATCHES) this.spare.push(batch);
  }
}
