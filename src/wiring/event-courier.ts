/**
 * Carries administrative events from the outbox into the decision log. Invariants: an event leaves the outbox
 * only after it is durable in the log (at least once, under its own id); a change is never undone or refused
 * because its event has to wait.
 */
import type { DecisionLog, Outbox } from '../decision-log/ports.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Events read from the outbox at once. */
const BATCH = 100;
/** Pause before the next attempt when the log does not take events, in milliseconds. */
const RETRY_MS = 1000;

export class EventCourier {
  readonly #outbox: Outbox;
  readonly #log: DecisionLog;
  readonly #logger: Logger;
  /** One delivery at a time, so that events keep their order. */
  #turn: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(outbox: Outbox, log: DecisionLog, logger: Logger) {
    this.#outbox = outbox;
    this.#log = log;
    this.#logger = logger;
  }

  /** Resolves when everything that was pending is in the log or has to wait. Never rejects. */
  deliver(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#deliverAll());
    return this.#turn;
  }

  /** Brings an event that the store holds into the log, after those that wait already. Never rejects. */
  announce(_event: EventEntry): Promise<void> {
    return this.deliver();
  }

  /** Logs an event that has no change in the store. Durable when it resolves; rejects as `append`. */
  async record(event: EventEntry): Promise<void> {
    await this.#log.append(event);
  }

  /** Delivers what it can, then stops trying. */
  async close(): Promise<void> {
    await this.deliver();
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  async #deliverAll(): Promise<void> {
    try {
      for (;;) {
        const events = await this.#outbox.pending(BATCH);
        if (events.length === 0) return;
        await Promise.all(events.map(event => this.#log.append(event)));
        // durable in the log from here on; a crash before the next line delivers them once more, under the same ids
        await this.#outbox.acknowledge(events.map(({ id }) => id));
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'administrative events wait for the decision log');
      this.#scheduleRetry();
    }
  }

  #scheduleRetry(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.deliver(), RETRY_MS).unref();
  }
}
