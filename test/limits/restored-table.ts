/**
 * A store that loses its memory after every step, and goes on with what the journals tell. Whatever a test finds
 * different in it, a crash would have changed.
 */
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  Settlement,
  SettlementResult,
} from '../../src/limits/ports.ts';
import { type LimitTable, replayedTable } from '../../src/limits/limit-table.ts';

export class RestoredTable implements LimitStore {
  readonly journals: Uint8Array[] = [];
  #table: LimitTable = replayedTable([]);

  admit(request: AdmissionRequest): Admission {
    return this.#restored(this.#table.admit(request));
  }

  settle(settlement: Settlement): SettlementResult {
    return this.#restored(this.#table.settle(settlement));
  }

  extend(decisionId: string, now: number, holdMs: number): Extension {
    return this.#restored(this.#table.extend(decisionId, now, holdMs));
  }

  reset(key: string, now: number): Uint8Array | undefined {
    return this.#restored({ journal: this.#table.reset(key, now) }).journal;
  }

  close(): Promise<void> {
    return this.#table.close();
  }

  #restored<T extends { readonly journal: Uint8Array | undefined }>(answer: T): T {
    if (answer.journal !== undefined) this.journals.push(answer.journal);
    this.#table = replayedTable(this.journals);
    return answer;
  }
}
