/** Blocks that outlive the process; every backend passes test/conformance/penalty-store.ts. */
import type { EventEntry } from '../../domain/log-entry.ts';
import type { Penalty, PenaltyKind } from './penalties.ts';

export interface PenaltyStore {
  /**
   * Every block that is kept, in the order in which they began. Rejects with AppError STORE_UNAVAILABLE when one cannot
   * be read: no block is ever passed over.
   */
  load(): Promise<readonly Penalty[]>;
  /**
   * Keeps a block in place of an earlier one of its subject, and forgets those that ended before an instant. Durable
   * with its event when it resolves.
   * @param endedBefore milliseconds since the epoch
   */
  save(penalty: Penalty, endedBefore: number, event: EventEntry): Promise<void>;
  /** Forgets the block of a subject. Durable with its event when it resolves; the event is added in any case. */
  remove(kind: PenaltyKind, id: string, event: EventEntry): Promise<void>;
}
