/**
 * A store that loses its memory after every step, and goes on with what the journals tell, by way of a snapshot.
 * Whatever a test finds different in it, a crash would have changed.
 */
import type {
  Admission,
  AdmissionRequest,
  Extension,
  LimitStore,
  Settlement,
  SettlementResult,
} from '../../../src/limits/ports.ts';
import { LimitRebuild } from '../../../src/limits/counters/limit-rebuild.ts';
import { writeState } from '../../../src/limits/counters/limit-snapshot.ts';
import { LimitTable, type LimitTableOptions } from '../../../src/limits/counters/limit-table.ts';

/** Journals as the log keeps them: each behind its length. */
export function journalRow(journals: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    journals.flatMap(journal => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(journal.length);
      return [length, journal];
    }),
  );
}

/** What the log knows as a table. @param split how many of the journals a snapshot stands for */
export function rebuiltTable(
  journals: readonly Uint8Array[],
  options: LimitTableOptions = {},
  split = 0,
): LimitTable {
  const before = new LimitRebuild();
  before.readJournals(journalRow(journals.slice(0, split)));
  const after = new LimitRebuild();
  after.readSnapshot(writeState(before.finish(), 64));
  after.readJournals(journalRow(journals.slice(split)));
  return new LimitTable(options, after.finish());
}

export class RestoredTable implements LimitStore {
  readonly journals: Uint8Array[] = [];
  readonly #options: LimitTableOptions;
  #table: LimitTable;

  constructor(options: LimitTableOptions = {}) {
    this.#options = options;
    this.#table = rebuiltTable([], options);
  }

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
    if (answer.journal === undefined) return answer;
    this.journals.push(answer.journal);
    this.#table = rebuiltTable(this.journals, this.#options, Math.floor(this.journals.length / 2));
    return answer;
  }
}
