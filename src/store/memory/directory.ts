/** The directory's store in memory: the reference of the contract. Keeps every state of every entity. */
import type { DirectoryStore, DirectoryTransaction, EntityWrite } from '../../directory/ports.ts';
import type { EntityBody, EntityRecord } from '../../domain/entity.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { MemoryOutbox } from './outbox.ts';

/** Entities of one chunk. */
const CHUNK_RECORDS = 2_000;

interface State {
  readonly revision: number;
  readonly updatedAt: string;
  readonly body: EntityBody | null;
}

export class MemoryDirectoryStore implements DirectoryStore {
  readonly #outbox: MemoryOutbox;
  /** By type and id; states in ascending order of revision. */
  readonly #entities = new Map<string, { readonly ref: EntityRef; readonly states: State[] }>();
  #revision = 0;

  constructor(outbox: MemoryOutbox) {
    this.#outbox = outbox;
  }

  revision(): Promise<number> {
    return Promise.resolve(this.#revision);
  }

  load(): AsyncIterable<readonly EntityRecord[]> {
    return this.loadAt(this.#revision);
  }

  begin(): Promise<DirectoryTransaction> {
    const staged = new Map<string, EntityWrite>();
    return Promise.resolve({
      write(chunk) {
        for (const write of chunk) staged.set(nameOf(write.ref), write);
        return Promise.resolve();
      },
      commit: async (at, event) => this.#commit([...staged.values()], at, event),
      rollback() {
        staged.clear();
        return Promise.resolve();
      },
    });
  }

  at(ref: EntityRef, revision: number): Promise<EntityRecord | undefined> {
    return Promise.resolve(this.#recordAt(nameOf(ref), revision));
  }

  async *loadAt(revision: number): AsyncIterableIterator<readonly EntityRecord[]> {
    const records = [...this.#entities.keys()]
      .map(name => this.#recordAt(name, revision))
      .filter(record => record !== undefined);
    for (let at = 0; at < records.length; at += CHUNK_RECORDS) yield records.slice(at, at + CHUNK_RECORDS);
  }

  isLive(ref: EntityRef): boolean {
    return this.#recordAt(nameOf(ref), this.#revision) !== undefined;
  }

  /** Forgets every state of an entity. @returns how many */
  forget(ref: EntityRef): number {
    const states = this.#entities.get(nameOf(ref))?.states.length ?? 0;
    this.#entities.delete(nameOf(ref));
    return states;
  }

  /** Live entities whose state holds a text. */
  naming(text: string): number {
    return [...this.#entities.values()].filter(({ states }) => {
      const body = states.at(-1)?.body ?? null;
      return body !== null && JSON.stringify(body).includes(text);
    }).length;
  }

  #commit(writes: readonly EntityWrite[], updatedAt: string, event: EventEntry): number {
    this.#outbox.add(event);
    this.#revision += 1;
    for (const { ref, body } of writes) {
      const name = nameOf(ref);
      const entity = this.#entities.get(name) ?? { ref, states: [] };
      entity.states.push({ revision: this.#revision, updatedAt, body });
      this.#entities.set(name, entity);
    }
    return this.#revision;
  }

  #recordAt(name: string, at: number): EntityRecord | undefined {
    const entity = this.#entities.get(name);
    const state = entity?.states.findLast(({ revision }) => revision <= at);
    if (entity === undefined || state === undefined || state.body === null) return undefined;
    const { revision, updatedAt, body } = state;
    return { ref: entity.ref, ...body, revision, updatedAt };
  }
}

function nameOf({ type, id }: EntityRef): string {
  return `${type} ${id}`;
}
