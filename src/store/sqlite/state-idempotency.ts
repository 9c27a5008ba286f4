/** Answers by Idempotency-Key in state.db. Invariant: the first answer stands for a day, within a fixed number. */
import type { Statement } from 'better-sqlite3';
import { ANSWER_TTL_MS, type StoredAnswer } from '../../identity/ports.ts';
import type { StateDatabase } from './state-database.ts';
import { isStringRecord, parseStored } from './stored-json.ts';

interface AnswerRow {
  readonly request_hash: string;
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** Table `answer`. */
export class AnswerTable {
  readonly #state: StateDatabase;
  readonly #find: Statement<[string, string], AnswerRow>;
  readonly #insert: Statement<[string, string, number, string, number, string, string]>;
  readonly #expire: Statement<[number]>;
  readonly #trim: Statement<[number]>;
  readonly #forget: Statement<[string, string]>;
  readonly #most: number;
  /** Rows in the table: counting them for each save would read them all. */
  #count: number;

  constructor(state: StateDatabase, most: number) {
    const { db } = state;
    this.#state = state;
    this.#most = most;
    this.#find = db.prepare(
      'SELECT request_hash, status, headers, body FROM answer WHERE credential = ? AND key = ?',
    );
    this.#insert = db.prepare(
      `INSERT INTO answer (credential, key, saved_ms, request_hash, status, headers, body)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#expire = db.prepare('DELETE FROM answer WHERE saved_ms <= ?');
    this.#trim = db.prepare(
      `DELETE FROM answer WHERE (credential, key) IN
        (SELECT credential, key FROM answer ORDER BY saved_ms, credential, key LIMIT ?)`,
    );
    this.#forget = db.prepare('DELETE FROM answer WHERE instr(body, ?) > 0 OR instr(headers, ?) > 0');
    const counted = db.prepare<[], { total: number }>('SELECT count(*) AS total FROM answer').get();
    this.#count = counted?.total ?? 0;
  }

  /** Forgets answers that hold one of the texts; to be called inside a transaction. @returns how many */
  forget(texts: readonly string[]): number {
    const forgotten = texts.reduce((sum, text) => sum + this.#forget.run(text, text).changes, 0);
    this.#count -= forgotten;
    return forgotten;
  }

  find(credential: string, key: string): StoredAnswer | undefined {
    return this.#state.read(() => {
      const row = this.#find.get(credential, key);
      if (row === undefined) return undefined;
      const headers = parseStored(row.headers, isStringRecord, 'a stored answer');
      return { requestHash: row.request_hash, status: row.status, headers, body: row.body };
    });
  }

  save(credential: string, key: string, answer: StoredAnswer, now: number): void {
    const { requestHash, status, headers, body } = answer;
    this.#count = this.#state.write(() => {
      const expired = this.#expire.run(now - ANSWER_TTL_MS).changes;
      const added = this.#insert.run(
        credential,
        key,
        now,
        requestHash,
        status,
        JSON.stringify(headers),
        body,
      );
      const total = this.#count - expired + added.changes;
      return total > this.#most ? total - this.#trim.run(total - this.#most).changes : total;
    });
  }
}
