/**
 * subjects.db: who stands behind the pseudonyms of the decision log, and the month keys. Invariant: the first
 * pseudonym and key of a name stand until they are erased.
 */
import type { Statement } from 'better-sqlite3';
import type { MonthKey, MonthKeys, SubjectChunk } from '../../decision-log/ports.ts';
import { entityId } from '../../decision-log/subject-name.ts';
import { tenantPrefix } from '../../domain/names.ts';
import { AgeTable } from './state-age.ts';
import type { StateDatabase } from './state-database.ts';

/** Subjects of one chunk. */
const CHUNK_ROWS = 10_000;
const PSEUDONYM_BYTES = 16;
const KEY_BYTES = 32;

interface SubjectRow {
  readonly entity: string;
  readonly pseudonym: Buffer;
  readonly key: Buffer;
}

interface KeyRow {
  readonly kid: string;
  readonly key: Buffer;
}

/** A chunk and the entity to go on after; undefined at the end. */
export interface LoadedSubjects {
  readonly chunk: SubjectChunk;
  readonly next: string | undefined;
}

/** Tables `subject`, `input_key`, `unregistered_key` and `age`. */
export class SubjectTables {
  readonly age: AgeTable;
  readonly #database: StateDatabase;
  readonly #page: Statement<[string, number], SubjectRow>;
  readonly #find: Statement<[string], SubjectRow>;
  readonly #insert: Statement<[string, Uint8Array, string, Uint8Array, number]>;
  readonly #delete: Statement<[Uint8Array]>;
  readonly #due: Statement<[], { due: number }>;
  readonly #repeated: Statement<[]>;
  readonly #input: KeyTable;
  readonly #unregistered: KeyTable;

  constructor(database: StateDatabase) {
    const { db } = database;
    this.#database = database;
    this.age = new AgeTable(database);
    this.#due = db.prepare('SELECT repeated IS NOT log AS due FROM age');
    this.#repeated = db.prepare('UPDATE age SET repeated = log');
    this.#page = db.prepare(
      'SELECT entity, pseudonym, key FROM subject WHERE entity > ? ORDER BY entity LIMIT ?',
    );
    this.#find = db.prepare('SELECT entity, pseudonym, key FROM subject WHERE entity = ?');
    this.#insert = db.prepare(
      `INSERT INTO subject (entity, pseudonym, tenant, key, created) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    );
    this.#delete = db.prepare('DELETE FROM subject WHERE pseudonym = ?');
    this.#input = new KeyTable(database, 'input_key');
    this.#unregistered = new KeyTable(database, 'unregistered_key');
  }

  load(after: string): LoadedSubjects {
    return this.#database.read(() => {
      const rows = this.#page.all(after, CHUNK_ROWS);
      return { chunk: toChunk(rows), next: rows.length === CHUNK_ROWS ? rows.at(-1)?.entity : undefined };
    });
  }

  /** @returns those that were known, as they are kept */
  add({ entities, pseudonyms, keys }: SubjectChunk, at: number): SubjectChunk {
    return this.#database.write(() => {
      const known: SubjectRow[] = [];
      entities.forEach((entity, place) => {
        const pseudonym = pseudonyms.subarray(place * PSEUDONYM_BYTES, (place + 1) * PSEUDONYM_BYTES);
        const key = keys.subarray(place * KEY_BYTES, (place + 1) * KEY_BYTES);
        const tenant = tenantPrefix(entityId(entity)) ?? '';
        if (this.#insert.run(entity, pseudonym, tenant, key, at).changes > 0) return;
        const kept = this.#find.get(entity);
        if (kept !== undefined) known.push(kept);
      });
      if (known.length < entities.length) this.age.grow();
      return toChunk(known);
    });
  }

  monthKeys(): MonthKeys {
    return this.#database.read(() => ({ input: this.#input.all(), unregistered: this.#unregistered.all() }));
  }

  addMonthKeys({ input, unregistered }: MonthKeys, at: number): MonthKeys {
    return this.#database.write(() => {
      this.age.grow();
      return { input: this.#input.add(input, at), unregistered: this.#unregistered.add(unregistered, at) };
    });
  }

  dropMonthKeys(before: string): number {
    return this.#database.write(() => {
      const dropped = this.#input.drop(before) + this.#unregistered.drop(before);
      if (dropped > 0) this.age.grow();
      return dropped;
    });
  }

  replaceUnregistered(keys: readonly MonthKey[]): void {
    this.#database.write(() => {
      this.#unregistered.replace(keys);
      this.age.grow();
    });
  }

  /** Forgetting again changes nothing. */
  forget(pseudonym: Uint8Array): void {
    this.#database.write(() => {
      this.#delete.run(pseudonym);
      this.age.grow();
    });
  }

  /** See `StoreAges.erasuresDue`. */
  erasuresDue(): boolean {
    return this.#database.read(() => this.#due.get()?.due === 1);
  }

  erasuresRepeated(): void {
    this.#database.write(() => this.#repeated.run());
  }
}

/** One table of month keys. Its methods run inside a transaction of the caller. */
class KeyTable {
  readonly #all: Statement<[], KeyRow>;
  readonly #find: Statement<[string], KeyRow>;
  readonly #insert: Statement<[string, Uint8Array, number]>;
  readonly #replace: Statement<[Uint8Array, string]>;
  readonly #drop: Statement<[string]>;

  constructor({ db }: StateDatabase, table: 'input_key' | 'unregistered_key') {
    this.#all = db.prepare(`SELECT kid, key FROM ${table}`);
    this.#find = db.prepare(`SELECT kid, key FROM ${table} WHERE kid = ?`);
    this.#insert = db.prepare(
      `INSERT INTO ${table} (kid, key, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#replace = db.prepare(`UPDATE ${table} SET key = ? WHERE kid = ?`);
    this.#drop = db.prepare(`DELETE FROM ${table} WHERE substr(kid, -7) < ?`);
  }

  all(): readonly MonthKey[] {
    return this.#all.all().map(toKey);
  }

  add(keys: readonly MonthKey[], at: number): readonly MonthKey[] {
    return keys.map(({ kid, key }) => {
      this.#insert.run(kid, key, at);
      const kept = this.#find.get(kid);
      if (kept === undefined) throw new Error('a key that was just kept is not there');
      return toKey(kept);
    });
  }

  replace(keys: readonly MonthKey[]): void {
    for (const { kid, key } of keys) this.#replace.run(key, kid);
  }

  drop(before: string): number {
    return this.#drop.run(before).changes;
  }
}

function toKey({ kid, key }: KeyRow): MonthKey {
  return { kid, key: Uint8Array.from(key) };
}

function toChunk(rows: readonly SubjectRow[]): SubjectChunk {
  const pseudonyms = new Uint8Array(rows.length * PSEUDONYM_BYTES);
  const keys = new Uint8Array(rows.length * KEY_BYTES);
  rows.forEach(({ pseudonym, key }, place) => {
    pseudonyms.set(pseudonym, place * PSEUDONYM_BYTES);
    keys.set(key, place * KEY_BYTES);
  });
  return { entities: rows.map(({ entity }) => entity), pseudonyms, keys };
}
