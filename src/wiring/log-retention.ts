/**
 * Lets go of old entries of the decision log, once an hour. Invariants: what will be removed is in the log before the
 * first file goes; what limits counted with it is in their snapshot before that; a clock that jumped removes nothing
 * until the log itself has entries of several hours of the day before: one that is wrong for minutes after each start of the
 * host leaves none; an export that the log names and nobody removed holds back what it has not taken, also when it was lost.
 */
import type { LogExports, LogReader } from '../decision-log/ports.ts';
import type { Timers } from '../decision-log/timers.ts';
import { type Clock, type IdSource, timestamp } from '../domain/clock.ts';
import type { LogClient } from '../store/sqlite/log-client.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Events } from './events.ts';
import { lostExports } from './lost-exports.ts';

/** Pause between two looks, in milliseconds. */
const LOOK_MS = 3_600_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** How long a time must have been in the log before it is believed, and how long before that is looked at, in milliseconds. */
const SETTLE_MS = DAY_MS;
/** Entries of that day, each an hour or more from the next, that make a time believed. */
const WITNESSES = 6;

/** What removes entries. */
export type LogRetention = Pick<LogClient, 'prunable' | 'prune' | 'lastEntryBefore'>;

export interface RetentionOptions {
  readonly retention: LogRetention;
  readonly exports: Pick<LogExports, 'list'>;
  readonly reader: Pick<LogReader, 'events'>;
  /** Keeps what limits counted without the log. @returns whether that holds for all entries so far */
  readonly keepCounts: () => Promise<boolean>;
  readonly retentionDays: number;
  readonly events: Pick<Events, 'record'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class RetentionKeeper {
  readonly #options: RetentionOptions;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Looks now, and every hour from then on. Resolves after the first look, which rejects nothing. */
  start(): Promise<void> {
    return this.#look().finally(() => {
      if (!this.#closed) this.#cancel = this.#options.timers.after(LOOK_MS, () => void this.start());
    });
  }

  /** Looks no more. A removal that has begun is not waited for: cut short, the next start goes on with it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.#prune();
    } catch (error) {
      if (this.#closed) return;
      logger.error(
        { err: error },
        'old entries of the decision log could not be removed: tried again in an hour',
      );
    }
  }

  /** Whether the log has entries of enough hours of the day before an instant. */
  async #isBelieved(settled: number): Promise<boolean> {
    let before = settled;
    for (let found = 0; found < WITNESSES; found++) {
      const seen = await this.#options.retention.lastEntryBefore(before);
      if (seen === undefined || settled - seen > SETTLE_MS) return false;
      before = seen - HOUR_MS;
    }
    return true;
  }

  async #prune(): Promise<void> {
    const { retention, retentionDays, keepCounts, clock, logger } = this.#options;
    const now = clock.now();
    const before = now - retentionDays * DAY_MS;
    const { removed, firstKept, heldBackBy } = await retention.prunable(before);
    if (heldBackBy !== undefined) {
      logger.warn(
        { export: heldBackBy, firstKept },
        'old entries of the decision log are kept because an export has not taken them',
      );
    }
    if (removed.length === 0) return;
    const lost = await lostExports(this.#options);
    if (lost.length > 0) {
      logger.warn(
        { exports: lost, firstKept },
        'old entries of the decision log are kept: it names exports that `log/tiles.db` does not have, so an older one was put back: register them again, and then delete those that nobody makes any more',
      );
      return;
    }
    if (!(await this.#isBelieved(now - SETTLE_MS))) {
      logger.warn(
        { clock: timestamp(now), firstKept },
        `old entries of the decision log are kept: it has entries of fewer than ${WITNESSES} hours of the day before the last 24 hours, so the clock may have jumped: check the clock; removal goes on when the log has covered that day`,
      );
      return;
    }
    if (!(await keepCounts()))
      throw new Error('no snapshot of limits could be written, which must outlive them');
    await this.#announce(
      removed.map(({ name }) => name),
      firstKept,
    );
    const done = await retention.prune(before);
    logger.info(
      { shards: done.removed.map(({ name }) => name), firstKept: done.firstKept },
      'old entries of the decision log were removed',
    );
  }

  async #announce(shards: readonly string[], firstKept: number): Promise<void> {
    const { retentionDays, exports, events, clock, ids } = this.#options;
    // those that were registered in what goes are not forgotten with it
    const named = (await exports.list()).map(({ name }) => name);
    await events.record({
      kind: 'log.prune',
      id: ids.next(),
      time: clock.now(),
      actor: 'system',
      subject: 'log',
      details: { shards, firstKept, retentionDays, exports: named },
    });
  }
}
