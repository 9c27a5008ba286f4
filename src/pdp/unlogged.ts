/**
 * Settlements that took effect and whose entries could not be written yet. Invariant: memory is bounded; what is
 * forgotten is settled all the same, and a repetition of its report is recorded without amounts.
 */
import type { EventEntry } from '../domain/log-entry.ts';

/** Most that wait: the log refuses decisions too while it refuses these, so no new ones come. */
const MAX_WAITING = 10_000;

export interface UnloggedSettlement {
  readonly entry: EventEntry;
  readonly journal: Uint8Array | undefined;
}

export class Unlogged {
  /** By decision, the oldest first. */
  readonly #waiting = new Map<string, UnloggedSettlement>();

  get(decisionId: string): UnloggedSettlement | undefined {
    return this.#waiting.get(decisionId);
  }

  add(decisionId: string, settlement: UnloggedSettlement): void {
    this.#waiting.set(decisionId, settlement);
    if (this.#waiting.size <= MAX_WAITING) return;
    for (const oldest of this.#waiting.keys()) {
      this.#waiting.delete(oldest);
      return;
    }
  }

  remove(decisionId: string): void {
    this.#waiting.delete(decisionId);
  }
}
