/** The outbox in state.db. Invariant: an event is stored in the transaction of its change, never apart. */
import type { Statement } from 'better-sqlite3';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { AgeTable } from './state-age.ts';
import type { StateDatabase } from './state-database.ts';
import { isObject, parseStored } from './stored-json.ts';

/** Table `outbox`. */
export class OutboxTable {
  /** Grows with each event. */
  readonly age: AgeTable;
  readonly #state: StateDatabase;
  readonly #insert: Statement<[string, string]>;
  readonly #oldest: Statement<[number], { event: string }>;
  readonly #delete: Statement<[string]>;
  readonly #naming: Statement<[string], { id: string }>;

  constructor(state: StateDatabase, age: AgeTable) {
    this.#state = state;
    this.age = age;
    this.#insert = state.db.prepare('INSERT INTO outbox (id, event) VALUES (?, ?)');
    this.#oldest = state.db.prepare('SELECT event FROM outbox ORDER BY sequence LIMIT ?');
    this.#naming = state.db.prepare('SELECT id FROM outbox WHERE instr(event, ?) > 0 LIMIT 1');
    this.#delete = state.db.prepare('DELETE FROM outbox WHERE id = ?');
  }

  /** To be called inside the transaction of the change. */
  add(event: EventEntry): void {
    this.#insert.run(event.id, JSON.stringify(event));
    this.age.grow();
  }

  /** Whether an event holds one of the texts. */
  names(texts: readonly string[]): boolean {
    return this.#state.read(() => texts.some(text => this.#naming.get(text) !== undefined));
  }

  pending(limit: number): readonly EventEntry[] {
    return this.#state.read(() =>
      this.#oldest.all(limit).map(({ event }) => parseStored(event, isEvent, 'an event of the outbox')),
    );
  }

  acknowledge(ids: readonly string[]): void {
    if (ids.length === 0) return;
    this.#state.write(() => {
      for (const id of ids) this.#delete.run(id);
    });
  }
}

function isEvent(value: unknown): value is EventEntry {
  return (
    isObject(value) &&
    typeof value['kind'] === 'string' &&
    typeof value['id'] === 'string' &&
    typeof value['time'] === 'number' &&
    typeof value['actor'] === 'string' &&
    typeof value['subject'] === 'string' &&
    isObject(value['details'])
  );
}
