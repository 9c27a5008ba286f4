/**
 * Table `age` of state.db and subjects.db: how often the database was changed, and which log it goes with. Invariant:
 * the number never falls, and grows in the transaction of the change.
 */
import type { Statement } from 'better-sqlite3';
import type { StoreAge } from '../../decision-log/store-ages.ts';
import type { StateDatabase } from './state-database.ts';

interface AgeRow {
  readonly changes: number;
  readonly log: string | null;
}

export class AgeTable {
  readonly #database: StateDatabase;
  readonly #read: Statement<[], AgeRow>;
  readonly #grow: Statement<[]>;
  readonly #adopt: Statement<[string, number]>;

  constructor(database: StateDatabase) {
    const { db } = database;
    this.#database = database;
    this.#read = db.prepare('SELECT changes, log FROM age');
    this.#grow = db.prepare('UPDATE age SET changes = changes + 1');
    this.#adopt = db.prepare('UPDATE age SET log = ?, changes = max(changes, ?) + 1');
  }

  read(): StoreAge {
    const row = this.#database.read(() => this.#read.get());
    if (row === undefined) throw new Error('the database does not know its age');
    return { changes: row.changes, log: row.log ?? undefined };
  }

  /** To be called inside the transaction of the change. */
  grow(): void {
    this.#grow.run();
  }

  adopt(log: string, seen: number): void {
    this.#database.write(() => this.#adopt.run(log, seen));
  }
}
