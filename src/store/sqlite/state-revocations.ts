/** Revoked tokens of issuers in state.db. Invariant: a revocation and its event are one transaction. */
import type { Statement } from 'better-sqlite3';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { Revocation } from '../../identity/ports.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';

/** Table `revocation`. */
export class RevocationTable {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #all: Statement<[], Revocation>;
  readonly #insert: Statement<[string, string, string, string, string, string, string, string]>;
  readonly #forget: Statement<[string]>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    this.#state = state;
    this.#outbox = outbox;
    // the columns are typed and checked by the table itself
    this.#all = state.db.prepare(
      'SELECT id, kind, issuer, value, at, actor AS "by", reason, forget_at AS "forgetAt" FROM revocation ORDER BY sequence',
    );
    this.#insert = state.db.prepare(
      `INSERT INTO revocation (id, kind, issuer, value, at, actor, reason, forget_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    );
    this.#forget = state.db.prepare('DELETE FROM revocation WHERE forget_at <= ?');
  }

  list(): readonly Revocation[] {
    return this.#state.read(() => this.#all.all());
  }

  add({ id, kind, issuer, value, at, by, reason, forgetAt }: Revocation, event: EventEntry): void {
    this.#state.write(() => {
      this.#forget.run(at);
      const { changes } = this.#insert.run(id, kind, issuer, value, at, by, reason, forgetAt);
      if (changes === 0) throw new AppError('ALREADY_EXISTS', `there is a revocation \`${id}\` already`);
      this.#outbox.add(event);
    });
  }
}
