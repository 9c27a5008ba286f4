/**
 * Events that somebody outside can cause at will, counted so that a flood can fill neither disk nor memory.
 * Invariants: the counts of all entries add up to the number of occurrences; per minute there are at most two entries
 * for each of MAX_TRACKED subjects, the first occurrence and a summary of the rest, and two for all others together.
 */
import type { Clock, IdSource } from '../domain/clock.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { DecisionLog } from './ports.ts';

/** Subjects that are told apart within a minute: at most some 150 kB of entries a minute. */
export const MAX_TRACKED = 256;
/** What stands for the subjects beyond. */
export const OTHERS = 'others';
/** Minutes whose summaries wait because the log refuses entries; beyond, the oldest two are added up. */
const MAX_PENDING_SUMMARIES = 4 * MAX_TRACKED;
const MINUTE_MS = 60_000;

/** What one entry counts. */
export interface MinuteCount {
  readonly count: number;
  /** Start of the minute, in milliseconds since the epoch. */
  readonly minute: number;
  /** False: the first occurrence; true: those that followed. */
  readonly summary: boolean;
}

export interface MinuteCountOptions<Subject> {
  readonly log: Pick<DecisionLog, 'append'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  /**
   * The entry of a subject, or of all others (undefined), at `time` in milliseconds. Called for the first occurrence
   * in a minute and for the summary.
   */
  readonly describe: (
    subject: Subject | undefined,
    counted: MinuteCount,
    time: number,
  ) => Omit<EventEntry, 'id' | 'time'>;
}

interface Bucket<Subject> {
  /** Undefined: all others. */
  readonly subject: Subject | undefined;
  readonly minute: number;
  /** Occurrences that no durable entry has counted yet, the one being appended excepted. */
  count: number;
}

export class MinuteCounts<Subject> {
  private readonly options: MinuteCountOptions<Subject>;
  private buckets = new Map<string, Bucket<Subject>>();
  private minute = Number.NEGATIVE_INFINITY;
  private readonly summaries: Bucket<Subject>[] = [];
  private readonly appending = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: MinuteCountOptions<Subject>) {
    this.options = options;
  }

  /** Writes summaries at the end of each minute from now on. */
  start(): void {
    this.schedule();
  }

  /**
   * Counts an occurrence; returns at once and never throws, so that a refusal costs its sender nothing to wait for.
   * @param key tells subjects apart; OTHERS is none
   */
  record(key: string, subject: Subject): void {
    if (this.closed) return;
    this.turn();
    const known = this.bucketOf(key, subject);
    if (known.fresh) this.appendFirst(known.bucket);
    else known.bucket.count++;
  }

  /** Writes the summaries of minutes that are over. Resolves when they are durable or put back. */
  async flush(): Promise<void> {
    this.turn();
    await this.drain();
  }

  /** Writes every summary, that of the running minute too. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    // Wait for first entries: one that fails is counted in the summary.
    await Promise.all(this.appending);
    this.endMinute();
    await this.drain();
  }

  private bucketOf(key: string, subject: Subject): { bucket: Bucket<Subject>; fresh: boolean } {
    const known = this.buckets.get(key);
    if (known !== undefined) return { bucket: known, fresh: false };
    const others = this.buckets.size >= MAX_TRACKED;
    const place = others ? OTHERS : key;
    const shared = this.buckets.get(place);
    if (shared !== undefined) return { bucket: shared, fresh: false };
    const bucket = { subject: others ? undefined : subject, minute: this.minute, count: 0 };
    this.buckets.set(place, bucket);
    return { bucket, fresh: true };
  }

  private appendFirst(bucket: Bucket<Subject>): void {
    this.track(
      this.append(bucket, 1, false).catch(() => {
        // The log refused it: it is counted in the summary instead, which is tried until it is taken.
        bucket.count++;
        if (bucket.minute !== this.minute) this.keep(bucket);
      }),
    );
  }

  /** Begins a new minute when the clock has. A clock that steps back stays in its minute. */
  private turn(): void {
    const minute = Math.floor(this.options.clock.now() / MINUTE_MS) * MINUTE_MS;
    if (minute <= this.minute) return;
    this.endMinute();
    this.minute = minute;
    this.track(this.drain());
  }

  private endMinute(): void {
    for (const bucket of this.buckets.values()) this.keep(bucket);
    this.buckets = new Map();
  }

  private keep(bucket: Bucket<Subject>): void {
    if (bucket.count === 0 || this.summaries.includes(bucket)) return;
    this.summaries.push(bucket);
    if (this.summaries.length <= MAX_PENDING_SUMMARIES) return;
    const [first, second] = this.summaries.splice(0, 2);
    const count = (first?.count ?? 0) + (second?.count ?? 0);
    this.summaries.unshift({ subject: undefined, minute: first?.minute ?? this.minute, count });
  }

  private async drain(): Promise<void> {
    await Promise.all(
      this.summaries.splice(0).map(async bucket => {
        const { count } = bucket;
        bucket.count = 0;
        try {
          await this.append(bucket, count, true);
        } catch {
          bucket.count += count;
          this.keep(bucket);
        }
      }),
    );
  }

  private async append({ subject, minute }: Bucket<Subject>, count: number, summary: boolean): Promise<void> {
    const { log, clock, ids, describe } = this.options;
    const time = clock.now();
    await log.append({ ...describe(subject, { count, minute, summary }, time), id: ids.next(), time });
  }

  private track(work: Promise<void>): void {
    this.appending.add(work);
    void work.finally(() => this.appending.delete(work));
  }

  private schedule(): void {
    const now = this.options.clock.now();
    const rest = MINUTE_MS - (now % MINUTE_MS);
    this.timer = setTimeout(() => {
      this.turn();
      this.schedule();
    }, rest).unref();
  }
}
