/** Blocks in state.db. Invariant: a change and its event are one transaction. */
import type { Statement } from 'better-sqlite3';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import { type Penalty, PENALTY_KINDS, type PenaltyKind } from '../../limits/guards/penalties.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';

/** A row as it crosses to the main thread. */
export interface PenaltyRow extends Omit<Penalty, 'kind'> {
  readonly kind: string;
}

/** Table `penalty`. */
export class PenaltyTable {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #all: Statement<[], PenaltyRow>;
  readonly #put: Statement<[string, string, number, number, number, string]>;
  readonly #prune: Statement<[number]>;
  readonly #delete: Statement<[string, string]>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    this.#state = state;
    this.#outbox = outbox;
    this.#all = state.db.prepare(
      `SELECT kind, subject AS id, since, until, level, "limit" FROM penalty ORDER BY since, kind, subject`,
    );
    this.#put = state.db.prepare(
      `INSERT OR REPLACE INTO penalty (kind, subject, since, until, level, "limit") VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#prune = state.db.prepare('DELETE FROM penalty WHERE until < ?');
    this.#delete = state.db.prepare('DELETE FROM penalty WHERE kind = ? AND subject = ?');
  }

  list(): readonly PenaltyRow[] {
    return this.#state.read(() => this.#all.all());
  }

  save({ kind, id, since, until, level, limit }: Penalty, endedBefore: number, event: EventEntry): void {
    this.#state.write(() => {
      this.#prune.run(endedBefore);
      this.#put.run(kind, id, since, until, level, limit);
      this.#outbox.add(event);
    });
  }

  remove(kind: PenaltyKind, id: string, event: EventEntry): void {
    this.#state.write(() => {
      this.#delete.run(kind, id);
      this.#outbox.add(event);
    });
  }
}

/** The block of a row. @throws AppError STORE_UNAVAILABLE when it is not what was written */
export function parsePenalty({ kind, ...row }: PenaltyRow): Penalty {
  const known = PENALTY_KINDS.find(one => one === kind);
  if (known !== undefined && row.level >= 1 && row.until >= row.since) return { kind: known, ...row };
  throw new AppError(
    'STORE_UNAVAILABLE',
    'a block of the store cannot be read: use the version that wrote it, or restore a backup',
  );
}
