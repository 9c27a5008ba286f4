/** API keys in state.db. Invariant: a key is created once and revoked once; only its keyed hash is stored. */
import type { Statement } from 'better-sqlite3';
import { callerRulesSchema } from '../../domain/caller-rules.ts';
import { type ApiKey, roleSchema } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';
import { isObject, isStringArray, parseStored } from './stored-json.ts';

type StoredKey = Omit<ApiKey, 'revokedAt'>;

/** Table `api_key`. */
export class KeyTable {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #all: Statement<[], { record: string; revoked_at: string | null }>;
  readonly #insert: Statement<[string, string, string | null]>;
  readonly #revoke: Statement<[string, string]>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    this.#state = state;
    this.#outbox = outbox;
    this.#all = state.db.prepare('SELECT record, revoked_at FROM api_key ORDER BY sequence');
    this.#insert = state.db.prepare(
      'INSERT INTO api_key (id, record, revoked_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING',
    );
    this.#revoke = state.db.prepare('UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL');
  }

  list(): readonly ApiKey[] {
    return this.#state.read(() =>
      this.#all.all().map(row => {
        const key = parseStored(row.record, isStoredKey, 'an API key');
        return row.revoked_at === null ? key : { ...key, revokedAt: row.revoked_at };
      }),
    );
  }

  create(key: ApiKey, event: EventEntry): void {
    const { revokedAt, ...record } = key;
    this.#state.write(() => {
      const { changes } = this.#insert.run(key.id, JSON.stringify(record), revokedAt ?? null);
      if (changes === 0) throw new AppError('ALREADY_EXISTS', `there is a key \`${key.id}\` already`);
      this.#outbox.add(event);
    });
  }

  revoke(id: string, at: string, event: EventEntry): boolean {
    return this.#state.write(() => {
      const { changes } = this.#revoke.run(at, id);
      if (changes > 0) this.#outbox.add(event);
      return changes > 0;
    });
  }
}

function isStoredKey(value: unknown): value is StoredKey {
  return (
    isObject(value) &&
    typeof value['id'] === 'string' &&
    typeof value['hash'] === 'string' &&
    isStringArray(value['roles']) &&
    value['roles'].every(role => roleSchema.safeParse(role).success) &&
    // A damaged tenant limit must not read as "every tenant".
    (value['tenants'] === undefined || isStringArray(value['tenants'])) &&
    typeof value['mayAssert'] === 'boolean' &&
    // nor damaged rules as none
    (value['callers'] === undefined || callerRulesSchema.safeParse(value['callers']).success) &&
    (value['expiresAt'] === undefined || typeof value['expiresAt'] === 'string') &&
    (value['breakGlass'] === undefined || value['breakGlass'] === true)
  );
}
