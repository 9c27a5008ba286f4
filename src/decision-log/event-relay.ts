/**
 * Brings administrative events from the outbox into the decision log. Invariants: an event leaves the outbox only
 * after it is durable in the log; after a crash it is appended again under the same id, and readers count it once.
 */
import { AppError } from '../domain/errors.ts';
import type { EventEntry, StoreChanges } from '../domain/log-entry.ts';
import { checkEvent } from './leaf.ts';
import type { DecisionLog, Outbox } from './ports.ts';

/** Events moved at once: a small part of the log's queue, so that a backlog cannot crowd out decisions. */
export const RELAY_CHUNK = 256;
/** Pause before a failed flush is tried again without anybody asking, in milliseconds. */
const RELAY_RETRY_MS = 1_000;

export class EventRelay {
  private readonly outbox: Outbox;
  private readonly changes: () => Promise<StoreChanges | undefined>;
  private readonly log: Pick<DecisionLog, 'append'>;
  private readonly onError: (error: unknown) => void;
  private running: Promise<void> | undefined;
  private following: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /**
   * @param changes what the databases have, for the entries to name
   * @param onError hears of failures in the background; those of `flush` go to its caller
   */
  constructor(
    outbox: Outbox,
    changes: () => Promise<StoreChanges | undefined>,
    log: Pick<DecisionLog, 'append'>,
    onError: (error: unknown) => void,
  ) {
    this.outbox = outbox;
    this.changes = changes;
    this.log = log;
    this.onError = onError;
  }

  /** Re-appends what an earlier process left; a failure is tried again in the background. */
  async start(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      this.onError(error);
    }
  }

  /**
   * Resolves after every event that was in the outbox at the time of the call is durable in the log. Rejects with
   * the log's or the outbox's failure; the events stay in the outbox and are tried again.
   */
  flush(): Promise<void> {
    if (this.running === undefined) {
      this.running = this.drain().finally(() => {
        this.running = undefined;
      });
      return this.running;
    }
    // A drain that is under way may have read the outbox before the caller's event was in it.
    this.following ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.following = undefined;
        return this.flush();
      });
    return this.following;
  }

  /** Waits for what is under way. Events that could not be moved stay in the outbox for the next start. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await Promise.allSettled([this.running, this.following]);
  }

  private async drain(): Promise<void> {
    clearTimeout(this.timer);
    try {
      for (;;) {
        const events = await this.outbox.pending(RELAY_CHUNK);
        if (events.length === 0) return;
        // asked behind the events, so that it covers the change of each
        const stores = await this.changes();
        const named = stores === undefined ? {} : { stores };
        await Promise.all(events.map(event => this.log.append({ ...fitting(event), ...named })));
        // Durable in the log from here. A crash before the next line repeats the events, which is harmless.
        await this.outbox.acknowledge(events.map(({ id }) => id));
      }
    } catch (error) {
      this.retryLater();
      throw error;
    }
  }

  private retryLater(): void {
    if (this.closed) return;
    this.timer = setTimeout(() => {
      this.flush().catch((error: unknown) => this.onError(error));
    }, RELAY_RETRY_MS).unref();
  }
}

/** An event that no leaf can hold would hold up all others for ever: what happened and who did it is kept. */
function fitting(event: EventEntry): EventEntry {
  try {
    checkEvent(event);
    return event;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { ...event, details: { omitted: error.message } };
  }
}
