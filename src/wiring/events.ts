/** Administrative events on their way into the decision log, as the services see it. */
import type { EventRelay } from '../decision-log/event-relay.ts';
import type { DecisionLog } from '../decision-log/ports.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { Logger } from '../telemetry/logger.ts';

export class Events {
  readonly #relay: EventRelay;
  readonly #log: DecisionLog;
  readonly #logger: Logger;

  constructor(relay: EventRelay, log: DecisionLog, logger: Logger) {
    this.#relay = relay;
    this.#log = log;
    this.#logger = logger;
  }

  /**
   * Resolves when the event, which is durable in the store, is in the log or has to wait for it. Never rejects:
   * the change is done, so its caller hears of success; the relay tries again.
   */
  async announce(event: EventEntry): Promise<void> {
    try {
      await this.#relay.flush();
    } catch (error) {
      this.#logger.warn(
        { err: error, kind: event.kind, event: event.id },
        'an event waits for the decision log',
      );
    }
  }

  /** Logs an event that has no change in the store. Durable when it resolves; rejects as `append`. */
  async record(event: EventEntry): Promise<void> {
    await this.#log.append(event);
  }
}
