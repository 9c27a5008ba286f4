/** Blocks in memory: the reference of the contract. */
import type { EventEntry } from '../../domain/log-entry.ts';
import type { Penalty, PenaltyKind } from '../../limits/guards/penalties.ts';
import type { PenaltyStore } from '../../limits/guards/penalty-store.ts';
import type { MemoryOutbox } from './outbox.ts';

export class MemoryPenaltyStore implements PenaltyStore {
  readonly #outbox: MemoryOutbox;
  readonly #penalties = new Map<string, Penalty>();

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  async load(): Promise<readonly Penalty[]> {
    return [...this.#penalties.values()].toSorted((one, other) => one.since - other.since);
  }

  async save(penalty: Penalty, endedBefore: number, event: EventEntry): Promise<void> {
    this.#outbox.add(event);
    for (const [key, { until }] of this.#penalties) if (until < endedBefore) this.#penalties.delete(key);
    this.#penalties.set(keyOf(penalty.kind, penalty.id), penalty);
  }

  async remove(kind: PenaltyKind, id: string, event: EventEntry): Promise<void> {
    this.#outbox.add(event);
    this.forget(kind, id);
  }

  /** As part of an erasure, which has an event of its own. */
  forget(kind: PenaltyKind, id: string): void {
    this.#penalties.delete(keyOf(kind, id));
  }
}

function keyOf(kind: PenaltyKind, id: string): string {
  return `${kind} ${id}`;
}
