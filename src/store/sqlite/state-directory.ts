/**
 * The directory's tables. Invariants: a revision is whole or absent; every earlier state of an entity is kept.
 * Staged writes live in memory until they are committed, so that no transaction stays open between calls.
 */
import type { Statement } from 'better-sqlite3';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';

/** Entities of one chunk. */
const CHUNK_ROWS = 2_000;

/** Writes as they cross the thread: names, and bodies at the same places; null deletes. */
export interface StagedChunk {
  readonly names: readonly string[];
  readonly bodies: readonly (string | null)[];
}

/** Entities as one JSON text, `[[name, revision, at, body], …]`, parsed once by the receiver. */
export interface LoadedChunk {
  readonly json: string;
  /** Name to go on after; undefined at the end. */
  readonly next: string | undefined;
}

interface EntityRow {
  readonly name: string;
  readonly revision: number;
  readonly at: string;
  readonly body: string;
}

/** Tables `directory_revision`, `entity_revision` and `entity`. */
export class DirectoryTables {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #revision: Statement<[], { revision: number }>;
  readonly #insertRevision: Statement<[number, string, string]>;
  readonly #insertState: Statement<[string, number, string | null]>;
  readonly #setLive: Statement<[string, number]>;
  readonly #setGone: Statement<[string]>;
  readonly #live: Statement<[string, number], EntityRow>;
  readonly #liveAt: Statement<[number, string, number], EntityRow>;
  readonly #stateAt: Statement<[string, number], EntityRow | (Omit<EntityRow, 'body'> & { body: null })>;
  #staged: { readonly id: number; readonly chunks: StagedChunk[] } | undefined;
  #lastId = 0;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    const { db } = state;
    this.#state = state;
    this.#outbox = outbox;
    this.#revision = db.prepare('SELECT coalesce(max(revision), 0) AS revision FROM directory_revision');
    this.#insertRevision = db.prepare(
      'INSERT INTO directory_revision (revision, at, event_id) VALUES (?, ?, ?)',
    );
    this.#insertState = db.prepare('INSERT INTO entity_revision (name, revision, body) VALUES (?, ?, ?)');
    this.#setLive = db.prepare(
      'INSERT INTO entity (name, revision) VALUES (?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision',
    );
    this.#setGone = db.prepare('DELETE FROM entity WHERE name = ?');
    this.#live = db.prepare(
      `SELECT name, revision, at, body
         FROM entity JOIN entity_revision USING (name, revision) JOIN directory_revision USING (revision)
        WHERE entity.name > ? ORDER BY entity.name LIMIT ?`,
    );
    // SQLite takes the bare columns of an aggregate with max() from the row that has the maximum.
    this.#liveAt = db.prepare(
      `SELECT name, revision, at, body
         FROM (SELECT name, max(revision) AS revision, body FROM entity_revision
                WHERE revision <= ? AND name > ? GROUP BY name)
         JOIN directory_revision USING (revision)
        WHERE body IS NOT NULL ORDER BY name LIMIT ?`,
    );
    this.#stateAt = db.prepare(
      `SELECT name, revision, at, body FROM entity_revision JOIN directory_revision USING (revision)
        WHERE name = ? AND revision <= ? ORDER BY revision DESC LIMIT 1`,
    );
  }

  revision(): number {
    return this.#state.read(() => this.#revision.get()?.revision ?? 0);
  }

  /** Starts staging. An earlier transaction that was not committed is forgotten: its owner is gone. */
  begin(): number {
    this.#lastId += 1;
    this.#staged = { id: this.#lastId, chunks: [] };
    return this.#lastId;
  }

  stage(id: number, chunk: StagedChunk): void {
    this.#open(id).push(chunk);
  }

  rollback(id: number): void {
    if (this.#staged?.id === id) this.#staged = undefined;
  }

  /** @returns the new revision */
  commit(id: number, at: string, event: EventEntry): number {
    const chunks = this.#open(id);
    this.#staged = undefined;
    return this.#state.write(() => {
      const revision = this.revision() + 1;
      this.#insertRevision.run(revision, at, event.id);
      for (const { names, bodies } of lastOfEach(chunks)) this.#apply(names, bodies, revision);
      this.#outbox.add(event);
      return revision;
    });
  }

  load(after: string): LoadedChunk {
    return this.#state.read(() => toChunk(this.#live.all(after, CHUNK_ROWS)));
  }

  loadAt(revision: number, after: string): LoadedChunk {
    return this.#state.read(() => toChunk(this.#liveAt.all(revision, after, CHUNK_ROWS)));
  }

  /** A chunk with the one entity, or none. */
  at(name: string, revision: number): LoadedChunk {
    return this.#state.read(() => {
      const row = this.#stateAt.get(name, revision);
      return toChunk(row === undefined || row.body === null ? [] : [row]);
    });
  }

  #apply(names: readonly string[], bodies: readonly (string | null)[], revision: number): void {
    names.forEach((name, at) => {
      const body = bodies[at] ?? null;
      this.#insertState.run(name, revision, body);
      if (body === null) this.#setGone.run(name);
      else this.#setLive.run(name, revision);
    });
  }

  #open(id: number): StagedChunk[] {
    if (this.#staged?.id !== id) {
      throw new AppError(
        'STORE_UNAVAILABLE',
        'the transaction was lost when the store restarted: try again',
        {
          retryAfterSeconds: 1,
        },
      );
    }
    return this.#staged.chunks;
  }
}

/** A later write of the same entity replaces an earlier one; chunks without repetition pass as they are. */
function lastOfEach(chunks: readonly StagedChunk[]): readonly StagedChunk[] {
  const names = new Set(chunks.flatMap(chunk => chunk.names));
  const total = chunks.reduce((sum, chunk) => sum + chunk.names.length, 0);
  if (names.size === total) return chunks;
  const last = new Map<string, string | null>();
  for (const chunk of chunks) chunk.names.forEach((name, at) => last.set(name, chunk.bodies[at] ?? null));
  return [{ names: [...last.keys()], bodies: [...last.values()] }];
}

function toChunk(rows: readonly EntityRow[]): LoadedChunk {
  const texts = rows.map(
    ({ name, revision, at, body }) => `[${JSON.stringify(name)},${revision},${JSON.stringify(at)},${body}]`,
  );
  return {
    json: `[${texts.join(',')}]`,
    next: rows.length === CHUNK_ROWS ? rows.at(-1)?.name : undefined,
  };
}
