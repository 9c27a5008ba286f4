/** The outbox in memory: the reference of the contract. */
import type { Outbox } from '../../decision-log/ports.ts';
import type { EventEntry } from '../../domain/log-entry.ts';

/** Events in the order in which they were added. */
export class MemoryOutbox implements Outbox {
  readonly #events = new Map<string, EventEntry>();

  /** Called by the other memory stores together with their change. */
  add(event: EventEntry): void {
    if (this.#events.has(event.id)) throw new Error(`the event \`${event.id}\` is in the outbox already`);
    this.#events.set(event.id, event);
  }

  /** Whether an event names an id. */
  names(id: string): boolean {
    const texts = [`"${id}"`, `\\"${id}\\"`];
    return [...this.#events.values()].some(event => {
      const json = JSON.stringify(event);
      return texts.some(text => json.includes(text));
    });
  }

  pending(limit: number): Promise<readonly EventEntry[]> {
    return Promise.resolve([...this.#events.values()].slice(0, limit));
  }

  acknowledge(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#events.delete(id);
    return Promise.resolve();
  }
}
