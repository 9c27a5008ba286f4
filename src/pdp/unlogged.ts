/**
 * Settlements and extensions that took effect and whose entries could not be written yet. Invariant: memory is bounded;
 * what is forgotten took effect all the same: a repetition of its report is recorded without amounts, and a hold whose
 * extension is forgotten ends earlier after a restart.
 */
import type { DecisionLog } from '../decision-log/ports.ts';
import { AppError } from '../domain/errors.ts';
import type { EventEntry } from '../domain/log-entry.ts';

/** Most that wait: the log refuses decisions too while it refuses these, so no new ones come. */
const MAX_WAITING = 10_000;

/** An entry with what it changed. */
export interface UnloggedChange {
  readonly entry: EventEntry;
  readonly journal: Uint8Array | undefined;
}

export class Unlogged {
  /** By decision, the oldest first. */
  readonly #waiting = new Map<string, UnloggedChange>();

  get(decisionId: string): UnloggedChange | undefined {
    return this.#waiting.get(decisionId);
  }

  add(decisionId: string, settlement: UnloggedChange): void {
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

/**
 * Extensions that wait for the log. Nobody need repeat them, so that they go before whatever is written next: while the
 * log takes nothing no time passes in it, and a hold that lasted when it was extended still does where the entry comes.
 */
export class UnloggedExtensions {
  /** In the order in which they took effect. */
  readonly #waiting = new Set<UnloggedChange>();
  #writing: Promise<void> | undefined;

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  add(extension: UnloggedChange): void {
    this.#waiting.add(extension);
    if (this.#waiting.size <= MAX_WAITING) return;
    for (const oldest of this.#waiting) {
      this.#waiting.delete(oldest);
      return;
    }
  }

  /** Writes each of them once, in their order. Rejects with AppError LOG_UNAVAILABLE or LOG_BACKPRESSURE; the rest waits on. */
  write(log: Pick<DecisionLog, 'append'>): Promise<void> {
    this.#writing ??= this.#writeAll(log).finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(log: Pick<DecisionLog, 'append'>): Promise<void> {
    for (const extension of this.#waiting) {
      try {
        await log.append(extension.entry, extension.journal);
      } catch (error) {
        if (mayBeWritten(error)) throw error;
        // what the log will never take must not keep it from what follows
      }
      this.#waiting.delete(extension);
    }
  }
}

/** Whether an entry that the log refused may be in it later. */
function mayBeWritten(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'LOG_UNAVAILABLE' || error.code === 'LOG_BACKPRESSURE');
}
