/**
 * Failed authentications as log entries, coalesced so that a flood can fill neither disk nor memory. Invariants:
 * the counts of all entries add up to the number of failures; per minute there are at most two entries for each of
 * MAX_TRACKED pairs of source and cause, and two for everybody else together.
 *
 * Entry: kind `auth.failed`, actor `anonymous`, subject a name of the source (an address may be a person's), details
 * `{"cause", "count", "minute": start of the minute in ms, "summary": false for the first failure, true for the rest}`.
 */
import type { Clock, IdSource } from '../domain/clock.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { DecisionLog } from './ports.ts';

/** Pairs of source and cause that are told apart within a minute: at most some 150 kB of entries a minute. */
export const MAX_TRACKED = 256;
/** Subject and cause of the failures beyond. */
export const OTHERS = 'others';
/** Minutes whose summaries wait because the log refuses entries; beyond, the oldest two are added up. */
const MAX_PENDING_SUMMARIES = 4 * MAX_TRACKED;
/** Longest cause, in characters. */
const MAX_CAUSE = 64;
const MINUTE_MS = 60_000;

export interface AuthFailure {
  /** Address of the client, as the listener or a trusted proxy says. */
  readonly address: string;
  /** What was wrong, from a closed set of words: never the credential. */
  readonly cause: string;
}

interface Bucket {
  readonly source: string;
  readonly cause: string;
  readonly minute: number;
  /** Failures that no durable entry has counted yet, the one being appended excepted. */
  count: number;
}

export interface AuthFailureOptions {
  readonly log: Pick<DecisionLog, 'append'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  /**
   * What a leaf calls a source, at `time` in milliseconds; called for the first failure of a source and cause in a
   * minute and for their summary.
   */
  readonly nameOf: (source: string, cause: string, time: number) => string;
}

export class AuthFailureRecorder {
  private readonly options: AuthFailureOptions;
  private buckets = new Map<string, Bucket>();
  private minute = Number.NEGATIVE_INFINITY;
  private readonly summaries: Bucket[] = [];
  private readonly appending = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: AuthFailureOptions) {
    this.options = options;
  }

  /** Writes summaries at the end of each minute from now on. */
  start(): void {
    this.schedule();
  }

  /** Counts a failure; returns at once and never throws, so that a refusal costs its sender nothing to wait for. */
  record({ address, cause }: AuthFailure): void {
    if (this.closed) return;
    this.turn();
    const known = this.bucketOf(sourceOf(address), cause.slice(0, MAX_CAUSE));
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

  private bucketOf(source: string, cause: string): { bucket: Bucket; fresh: boolean } {
    const key = `${source} ${cause}`;
    const known = this.buckets.get(key);
    if (known !== undefined) return { bucket: known, fresh: false };
    const others = this.buckets.size >= MAX_TRACKED;
    const place = others ? OTHERS : key;
    const shared = this.buckets.get(place);
    if (shared !== undefined) return { bucket: shared, fresh: false };
    const bucket: Bucket = others
      ? { source: OTHERS, cause: OTHERS, minute: this.minute, count: 0 }
      : { source, cause, minute: this.minute, count: 0 };
    this.buckets.set(place, bucket);
    return { bucket, fresh: true };
  }

  private appendFirst(bucket: Bucket): void {
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

  private keep(bucket: Bucket): void {
    if (bucket.count === 0 || this.summaries.includes(bucket)) return;
    this.summaries.push(bucket);
    if (this.summaries.length <= MAX_PENDING_SUMMARIES) return;
    const [first, second] = this.summaries.splice(0, 2);
    const count = (first?.count ?? 0) + (second?.count ?? 0);
    this.summaries.unshift({ source: OTHERS, cause: OTHERS, minute: first?.minute ?? this.minute, count });
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

  private async append(bucket: Bucket, count: number, summary: boolean): Promise<void> {
    const { source, cause, minute } = bucket;
    const { log, clock, ids, nameOf } = this.options;
    const time = clock.now();
    const entry: EventEntry = {
      kind: 'auth.failed',
      id: ids.next(),
      time,
      actor: 'anonymous',
      subject: source === OTHERS ? OTHERS : nameOf(source, cause, time),
      details: { cause, count, minute, summary },
    };
    await log.append(entry);
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

/** Longest address that is taken as it is. */
const MAX_ADDRESS = 64;

/**
 * What counts as one source: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address of it
 * has them all. Anything else is one source by its first characters.
 */
export function sourceOf(address: string): string {
  const bare = address
    .toLowerCase()
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '');
  if (!bare.includes(':')) return bare.slice(0, MAX_ADDRESS) || 'unknown';
  const [head = '', tail] = bare.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array.from({ length: gap }, () => '0'), ...back];
  const network = groups.slice(0, 4).map(group => group.replace(/^0+(?=.)/, ''));
  return `${network.join(':').slice(0, MAX_ADDRESS)}::/64`;
}
