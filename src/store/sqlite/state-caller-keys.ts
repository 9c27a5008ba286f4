/**
 * API keys of callers in state.db. Invariants: a change of keys and its events are one transaction; uses never touch
 * what a key may do; loading is a matter of chunks, so that no message between the threads is large.
 */
import type { Statement } from 'better-sqlite3';
import { type CallerKey, type CallerKeyUse, OWNER_TYPES } from '../../domain/caller-key.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { CallerKeyChange, StoredCallerKey } from '../../identity/caller-keys/ports.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';
import { isObject, isStringArray, parseStored } from './stored-json.ts';

/** Keys in one chunk; about 2 MB as text. */
const CHUNK_KEYS = 4_096;

/** Rows as JSON text `[[record, minute, network], …]`, and where the next chunk begins; undefined: nowhere. */
export interface LoadedCallerKeys {
  readonly json: string;
  readonly next: number | undefined;
}

interface Row {
  readonly sequence: number;
  readonly record: string;
  readonly minute: number | null;
  readonly network: string | null;
}

/** Tables `caller_key` and `caller_key_use`. */
export class CallerKeyTables {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #chunk: Statement<[number, number], Row>;
  readonly #insert: Statement<[string, string, string]>;
  readonly #replace: Statement<[string, string, string]>;
  readonly #use: Statement<[string, number, string | null, string]>;
  readonly #remove: Statement<[string]>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    this.#state = state;
    this.#outbox = outbox;
    this.#chunk = state.db.prepare(
      `SELECT sequence, record, minute, network FROM caller_key LEFT JOIN caller_key_use USING (id)
        WHERE sequence > ? ORDER BY sequence LIMIT ?`,
    );
    this.#insert = state.db.prepare(
      'INSERT INTO caller_key (id, owner, record) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING',
    );
    this.#replace = state.db.prepare('UPDATE caller_key SET record = ? WHERE id = ? AND owner = ?');
    this.#use = state.db.prepare(
      `INSERT INTO caller_key_use (id, minute, network)
        SELECT ?, ?, ? FROM caller_key WHERE id = ?
        ON CONFLICT (id) DO UPDATE SET minute = excluded.minute, network = excluded.network
          WHERE excluded.minute >= caller_key_use.minute`,
    );
    this.#remove = state.db.prepare('DELETE FROM caller_key WHERE id = ?');
  }

  /** @param after `next` of the chunk before; 0 for the first */
  load(after: number): LoadedCallerKeys {
    const rows = this.#state.read(() => this.#chunk.all(after, CHUNK_KEYS));
    // the records are JSON already: they are not parsed on this thread
    const parts = rows.map(
      ({ record, minute, network }) => `[${record},${minute ?? 'null'},${JSON.stringify(network)}]`,
    );
    return {
      json: `[${parts.join(',')}]`,
      next: rows.length < CHUNK_KEYS ? undefined : rows.at(-1)?.sequence,
    };
  }

  commit({ created, changed }: CallerKeyChange, events: readonly EventEntry[]): void {
    this.#state.write(() => {
      for (const key of created) {
        const { changes } = this.#insert.run(key.id, ownerOf(key), JSON.stringify(key));
        if (changes === 0) throw new AppError('ALREADY_EXISTS', `there is a key \`${key.id}\` already`);
      }
      for (const key of changed) {
        const { changes } = this.#replace.run(JSON.stringify(key), key.id, ownerOf(key));
        if (changes === 0) throw new AppError('NOT_FOUND', `there is no key \`${key.id}\``);
      }
      for (const event of events) this.#outbox.add(event);
    });
  }

  recordUses(uses: readonly CallerKeyUse[]): void {
    this.#state.write(() => {
      for (const { id, minute, network } of uses) this.#use.run(id, minute, network ?? null, id);
    });
  }

  remove(ids: readonly string[]): void {
    this.#state.write(() => {
      for (const id of ids) this.#remove.run(id);
    });
  }
}

/** The keys of a chunk. @throws AppError STORE_UNAVAILABLE when it is not what was written */
export function parseCallerKeys({ json }: LoadedCallerKeys): readonly StoredCallerKey[] {
  return parseStored(json, isRows, 'a key of a caller').map(([key, minute, network]) =>
    minute === null
      ? { key }
      : { key, lastUse: { id: key.id, minute, ...(network === null ? {} : { network }) } },
  );
}

function ownerOf({ owner }: CallerKey): string {
  return `${owner.type} ${owner.id}`;
}

type StoredRow = readonly [CallerKey, number | null, string | null];

function isRows(value: unknown): value is readonly StoredRow[] {
  return Array.isArray(value) && value.every(isRow);
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isRow(value: unknown): value is StoredRow {
  if (!isArray(value) || value.length !== 3) return false;
  const [key, minute, network] = value;
  return (
    isKey(key) &&
    (minute === null || typeof minute === 'number') &&
    (network === null || typeof network === 'string')
  );
}

/**
 * A damaged key must not read as a wider one: whatever limits it is looked at in full. By hand, because a schema would
 * cost more than all the rest of loading.
 */
function isKey(value: unknown): value is CallerKey {
  return (
    isObject(value) &&
    TEXTS.every(name => typeof value[name] === 'string') &&
    OPTIONAL_TEXTS.every(name => value[name] === undefined || typeof value[name] === 'string') &&
    Number.isSafeInteger(value['pepper']) &&
    isTime(value['expiresAt']) &&
    (value['notBefore'] === undefined || isTime(value['notBefore'])) &&
    isOwner(value['owner']) &&
    isStringArray(value['networks']) &&
    isStringArray(value['oauthScopes']) &&
    isArray(value['scopes']) &&
    value['scopes'].every(isScope) &&
    (value['revoked'] === undefined || isObject(value['revoked']))
  );
}

const TEXTS = ['id', 'hash', 'description', 'createdAt', 'createdBy'] as const;
const OPTIONAL_TEXTS = ['tenant', 'replaces', 'supersededBy', 'supersededAt', 'leakedAt'] as const;
const SCOPE_MEMBERS: ReadonlySet<string> = new Set(['actions', 'models', 'modelGroups', 'tenants']);

function isOwner(value: unknown): boolean {
  return (
    isObject(value) && typeof value['id'] === 'string' && OWNER_TYPES.some(type => type === value['type'])
  );
}

/** A member that this version does not know would limit the key: it must not be passed over. */
function isScope(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.entries(value).every(([name, names]) => SCOPE_MEMBERS.has(name) && isStringArray(names)) &&
    Object.keys(value).length > 0
  );
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
