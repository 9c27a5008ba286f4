/**
 * The erasure of a principal over both databases. Invariants: with the commit in state.db it has happened: whatever
 * is still to be done is done at the next start at the latest, before anything is answered; when it returns, the
 * files hold no byte of what was erased.
 */
import type { Statement } from 'better-sqlite3';
import type { ErasedTraces, Erasure, MonthKey } from '../../decision-log/ports.ts';
import { entityKey, isPrincipalType } from '../../decision-log/subject-name.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { AnswerTable } from './state-idempotency.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';
import type { SubjectTables } from './state-subjects.ts';

interface Tables {
  readonly state: StateDatabase;
  readonly subjectsFile: StateDatabase;
  readonly subjects: SubjectTables;
  readonly outbox: OutboxTable;
  readonly answers: AnswerTable;
}

/** Table `erasing` and everything that an erasure touches. */
export class ErasureTable {
  readonly #tables: Tables;
  readonly #live: Statement<[string], { name: string }>;
  readonly #begin: Statement<[Uint8Array | null]>;
  readonly #pending: Statement<[], { pseudonym: Buffer | null }>;
  readonly #end: Statement<[]>;
  readonly #history: Statement<[string]>;
  readonly #callerKeys: Statement<[string]>;
  readonly #penalties: Statement<[string]>;
  readonly #entitiesNaming: Statement<[string], { total: number }>;
  readonly #bundlesNaming: Statement<[string], { total: number }>;

  constructor(tables: Tables) {
    const { db } = tables.state;
    this.#tables = tables;
    this.#live = db.prepare('SELECT name FROM entity WHERE name = ?');
    this.#begin = db.prepare('INSERT INTO erasing (pseudonym) VALUES (?)');
    this.#pending = db.prepare('SELECT pseudonym FROM erasing');
    this.#end = db.prepare('DELETE FROM erasing');
    this.#history = db.prepare('DELETE FROM entity_revision WHERE name = ?');
    this.#callerKeys = db.prepare('DELETE FROM caller_key WHERE owner = ?');
    this.#penalties = db.prepare(`DELETE FROM penalty WHERE kind = 'principal' AND subject = ?`);
    this.#entitiesNaming = db.prepare(
      `SELECT count(*) AS total FROM entity JOIN entity_revision USING (name, revision)
        WHERE instr(body, ?) > 0`,
    );
    this.#bundlesNaming = db.prepare('SELECT count(*) AS total FROM bundle WHERE instr(files, ?) > 0');
  }

  /** Finishes what a crash interrupted. */
  finish(): void {
    const { state, subjectsFile, subjects } = this.#tables;
    const pending = state.read(() => this.#pending.all());
    if (pending.length === 0) return;
    for (const { pseudonym } of pending) if (pseudonym !== null) subjects.forget(pseudonym);
    subjectsFile.compact();
    state.write(() => this.#end.run());
    state.compact();
  }

  /** See `SubjectStore.replaceNameKeys`. */
  replaceNameKeys(keys: readonly MonthKey[]): void {
    const { subjectsFile, subjects } = this.#tables;
    subjects.replaceUnregistered(keys);
    subjectsFile.compact();
  }

  erase({ principal, pseudonym, unregistered, stays }: Erasure, event: EventEntry): ErasedTraces {
    const { state, subjects, outbox } = this.#tables;
    const { type, id } = principal;
    if (!isPrincipalType(type)) throw new Error('only principals are erased');
    if (stays !== true) this.#refuseLive(`${type} ${id}`);
    this.#refuseNamed(id);
    subjects.replaceUnregistered(unregistered);
    const traces = state.write(() => {
      this.#begin.run(pseudonym ?? null);
      const removed = stays === true ? { revisions: 0, answers: 0 } : this.#remove(principal);
      outbox.add({ ...event, details: { ...event.details, erased: removed } });
      return { ...removed, namedBy: this.#namedBy(...quoted(id)) };
    });
    // Point of no return: the event will be in the log, so what follows must be done, now or at the next start.
    this.finish();
    return traces;
  }

  /** Everything about a principal that is not in the directory, in the transaction of the caller. */
  #remove(principal: EntityRef): Pick<ErasedTraces, 'revisions' | 'answers'> {
    const { type, id } = principal;
    const name = `${type} ${id}`;
    const revisions = this.#history.run(name).changes;
    this.#callerKeys.run(name);
    this.#penalties.run(entityKey(principal));
    return { revisions, answers: this.#tables.answers.forget(quoted(id)) };
  }

  #refuseLive(name: string): void {
    if (this.#live.get(name) !== undefined) {
      throw new AppError('PRINCIPAL_EXISTS', 'the principal is in the directory: delete it first', {
        problems: [{ message: 'the directory has it', hint: '`"deleteEntity": true` or `--delete-entity`' }],
      });
    }
  }

  #refuseNamed(id: string): void {
    if (this.#tables.outbox.names(quoted(id))) {
      throw new AppError(
        'LOG_UNAVAILABLE',
        'an event about the principal waits for the decision log: try again',
        {
          retryAfterSeconds: 1,
        },
      );
    }
  }

  /** The files of a bundle are texts in JSON, the attributes of an entity are JSON. */
  #namedBy(text: string, nested: string): ErasedTraces['namedBy'] {
    return {
      entities: this.#entitiesNaming.get(text)?.total ?? 0,
      bundles: this.#bundlesNaming.get(nested)?.total ?? 0,
    };
  }
}

/** How an id stands in stored JSON: as a text, and inside a text such as an entity key. */
function quoted(id: string): readonly [string, string] {
  return [`"${id}"`, `\\"${id}\\"`];
}
