/**
 * The directory: reads from memory, writes through the store. Invariants: a change is visible only after it
 * is durable, and then at once; writes happen one after the other; every change names who made it.
 */
import { type Clock, type IdSource, timestamp } from '../domain/clock.ts';
import type { EntityBody, EntityPatch, EntityRecord } from '../domain/entity.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import { type CommitOptions, CommittedGraph } from './committed-graph.ts';
import {
  checkEntity,
  count,
  MAX_ENTITIES,
  missingParent,
  recordOf,
  refusal,
  writeOf,
} from './entity-checks.ts';
import type { DirectoryGraph, GraphEntity } from './graph.ts';
import { GraphEditor } from './graph-editor.ts';
import { type ImportOptions, type ImportResult, importEntities } from './import.ts';
import { uidOf } from './lineage.ts';
import { collectLines, type Line } from './lines.ts';
import { listEntities, type PageRequest } from './listing.ts';
import { mergePatch } from './merge-patch.ts';
import { Pacer } from './pacing.ts';
import type { EntityParser, EntityWrite } from './ports.ts';
import { checkPreconditions, type Preconditions } from './preconditions.ts';
import { rebuild, recordChunks } from './rebuild.ts';
import { type AllowedTenants, isAllowed, missing, ownerByName } from './tenancy.ts';
import { WriteQueue } from './write-queue.ts';

/** Who reads or writes; a `Credential` is one. */
export interface Caller {
  readonly keyId: string;
  readonly tenants: AllowedTenants;
}

export interface DirectoryOptions extends CommitOptions {
  /** Names the state of an entity in its event: a digest of the JSON. */
  readonly digestOf: (value: JsonObject) => string;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** A schema that was tried on every entity; writes wait until it is adopted or abandoned. */
export type SchemaChange =
  | {
      readonly problems: readonly [];
      /** The same entities under the new schema, at the same revision. */
      readonly graph: DirectoryGraph;
      /** Makes the graph and the parser the current ones. `publish` is not called: the caller swaps both. */
      adopt(): void;
      abandon(): void;
    }
  /** Nothing is held and nothing changed. */
  | { readonly problems: readonly Problem[]; readonly graph: undefined };

/** Most imports that are received at once: each may hold up to MAX_IMPORT_BYTES. */
const MAX_UPLOADS = 4;

/** Types whose entities are persons or act for them: what the log says of these can be forgotten. */
const PRINCIPAL_TYPES: ReadonlySet<string> = new Set(['User', 'Service', 'Agent']);

const NOT_READY = 'no schema is active';

export class DirectoryService {
  readonly #options: DirectoryOptions;
  readonly #queue = new WriteQueue();
  readonly #committed: CommittedGraph;
  /** undefined until the first schema is adopted. */
  #parser: EntityParser | undefined;
  #uploads = 0;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#committed = new CommittedGraph(options, this.#queue);
  }

  /** The current state. */
  get graph(): DirectoryGraph {
    return this.#committed.current;
  }

  /** @throws AppError NOT_FOUND, for entities of other tenants too */
  get(ref: EntityRef, caller: Caller): EntityRecord {
    return recordOf(this.#visible(ref, caller));
  }

  /** The tenant that owns an entity, by the name alone where there is none; undefined: nobody's. */
  ownerOf(ref: EntityRef): string | undefined {
    const entity = this.graph.get(uidOf(ref).key);
    return entity === undefined ? ownerByName(ref) : entity.tenant;
  }

  /** @throws AppError NOT_READY; INVALID_REQUEST for a type that the schema does not have, with those that it has */
  requireType(type: string, pointer = '?type'): void {
    if (this.#parser === undefined) throw new AppError('NOT_READY', NOT_READY);
    const problem = this.#parser.unknownType(type);
    if (problem === undefined) return;
    throw new AppError('INVALID_REQUEST', problem.message, { problems: [{ ...problem, pointer }] });
  }

  /** One page in the order of entity keys. @throws AppError INVALID_REQUEST for a foreign cursor */
  list(
    request: PageRequest,
    caller: Caller,
  ): { readonly items: readonly EntityRecord[]; readonly nextCursor: string | null } {
    const { items, nextCursor } = listEntities(this.graph, request, caller.tenants);
    return { items: items.map(recordOf), nextCursor };
  }

  /** Creates or replaces. @throws AppError ENTITY_INVALID, TENANT_NOT_ALLOWED, PRECONDITION_FAILED */
  put(
    ref: EntityRef,
    body: EntityBody,
    caller: Caller,
    conditions: Preconditions = {},
  ): Promise<{ readonly record: EntityRecord; readonly created: boolean }> {
    return this.#change(async () => {
      const before = this.graph.get(uidOf(ref).key);
      const seen =
        before !== undefined && isAllowed(before.tenant, caller.tenants) ? before.revision : undefined;
      if (isAllowed(ownerByName(ref), caller.tenants)) checkPreconditions(seen, conditions);
      const { record, event } = await this.#write(ref, body, caller, 'put');
      return { result: { record, created: before === undefined }, event };
    });
  }

  /** Changes parts. @throws AppError as `put`, and NOT_FOUND */
  patch(
    ref: EntityRef,
    patch: EntityPatch,
    caller: Caller,
    conditions: Preconditions = {},
  ): Promise<EntityRecord> {
    return this.#change(async () => {
      const before = this.#visible(ref, caller);
      checkPreconditions(before.revision, conditions);
      const { attributes, tags, parents, status } = recordOf(before);
      const body = {
        attributes: mergePatch(attributes, patch.attributes ?? {}),
        tags: mergePatch(tags, patch.tags ?? {}),
        parents: patch.parents ?? parents,
        status: patch.status ?? status,
      };
      const { record, event } = await this.#write(ref, body, caller, 'patch');
      return { result: record, event };
    });
  }

  /**
   * Removes an entity; its earlier states are kept. Entities that name it as a parent keep naming it and are
   * no longer in what it was in. @returns the new directory revision. @throws AppError NOT_FOUND, …
   */
  delete(ref: EntityRef, caller: Caller, conditions: Preconditions = {}): Promise<number> {
    return this.#change(async () => {
      const before = this.#visible(ref, caller);
      if (!isAllowed(ownerByName(ref), caller.tenants)) throw missing(ref);
      checkPreconditions(before.revision, conditions);
      const editor = new GraphEditor(this.graph);
      editor.delete(before.uid.key);
      const event = this.#event('entity.delete', before.uid.key, caller, before.tenant, {
        before: before.revision,
        after: this.graph.revision + 1,
        ...this.#digests(before, undefined),
      });
      const graph = await this.#settle(editor, ref);
      await this.#commitWrites([{ ref, body: null }], graph, event);
      return { result: graph.revision, event };
    });
  }

  /**
   * Runs `work` while no entity of this name exists, and none can be made.
   * @throws AppError PRINCIPAL_EXISTS when there is one, and what `work` throws
   */
  whileAbsent<T>(ref: EntityRef, work: () => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      await this.#committed.confirm();
      if (this.graph.get(uidOf(ref).key) === undefined) return work();
      throw new AppError('PRINCIPAL_EXISTS', 'the principal is in the directory: delete it first', {
        problems: [{ message: 'the directory has it', hint: '`"deleteEntity": true` or `--delete-entity`' }],
      });
    });
  }

  /**
   * Adds or replaces many entities as one revision, or changes nothing.
   * @throws AppError ENTITY_INVALID listing up to 100 problems with their lines, PAYLOAD_TOO_LARGE
   */
  async import(
    source: AsyncIterable<Uint8Array | string>,
    caller: Caller,
    options: ImportOptions,
  ): Promise<ImportResult> {
    const lines = await this.#collect(source, options);
    return this.#change(async parser => {
      const { store, clock } = this.#options;
      const tx = await store.begin();
      try {
        const at = timestamp(clock.now());
        const imported = await importEntities(lines, this.graph, tx, {
          ...options,
          parser,
          clock,
          at,
          tenants: caller.tenants,
        });
        const { tenant, created, replaced, graph } = imported;
        const details = { created, replaced, before: this.graph.revision, after: graph.revision };
        const event = this.#event('entity.import', 'directory', caller, tenant, details);
        await this.#committed.commit(tx, graph, event);
        return { result: { created, replaced, revision: graph.revision }, event };
      } catch (error) {
        await tx.rollback().catch(() => undefined);
        throw error;
      }
    });
  }

  /**
   * Tries a schema on every entity, pausing so that decisions go on, and holds all writes until the caller
   * adopts or abandons it: first make the schema durable, then adopt. The first call also loads the store.
   */
  async prepareSchema(parser: EntityParser): Promise<SchemaChange> {
    const release = await this.#queue.acquire();
    try {
      await this.#committed.confirm();
      const { store, clock } = this.#options;
      const first = this.#parser === undefined;
      const revision = first ? await store.revision() : this.graph.revision;
      const records = first ? store.load() : recordChunks(this.graph);
      const rebuilt = await rebuild(records, revision, parser, clock);
      if (rebuilt.graph === undefined) {
        release();
        return rebuilt;
      }
      const { graph } = rebuilt;
      const adopt = (): void => {
        this.#parser = parser;
        this.#committed.adopt(graph);
        release();
      };
      return { problems: [], graph, adopt, abandon: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Waits for accepted writes and refuses new ones. */
  async close(): Promise<void> {
    await this.#queue.close();
    this.#committed.close();
  }

  /** Runs a change in its turn; its event goes to the log afterwards, outside the turn. */
  async #change<T>(change: (parser: EntityParser) => Promise<{ result: T; event: EventEntry }>): Promise<T> {
    const { result, event } = await this.#queue.run(async () => {
      await this.#committed.confirm();
      if (this.#parser === undefined) throw new AppError('NOT_READY', NOT_READY);
      return change(this.#parser);
    });
    await this.#options.announce(event);
    return result;
  }

  async #write(
    ref: EntityRef,
    body: EntityBody,
    caller: Caller,
    operation: 'put' | 'patch',
  ): Promise<{ record: EntityRecord; event: EventEntry }> {
    const { key } = uidOf(ref);
    const graph = this.graph;
    const before = graph.get(key);
    if (this.#parser === undefined) throw new AppError('NOT_READY', NOT_READY);
    const stamp = { revision: graph.revision + 1, updatedAt: timestamp(this.#options.clock.now()) };
    const check = checkEntity(this.#parser, graph, ref, body, caller.tenants, stamp);
    if (!check.ok) throw refusal(ref, check);
    const problems = check.checked.requiredParents
      .filter(parent => graph.get(uidOf(parent.ref).key) === undefined && uidOf(parent.ref).key !== key)
      .map(parent => missingParent(parent.ref, parent.pointer));
    if (before === undefined && graph.size >= MAX_ENTITIES) {
      problems.push({ message: `the directory holds ${MAX_ENTITIES} entities, which is the most` });
    }
    if (problems.length > 0) throw refusal(ref, { ok: false, problems, foreign: false });
    const editor = new GraphEditor(graph);
    editor.put(check.checked.record);
    const next = await this.#settle(editor, ref);
    const entity = next.get(key);
    if (entity === undefined) throw new Error('an entity that was put is not in the graph');
    const event = this.#event('entity.put', key, caller, entity.tenant, {
      operation,
      before: before?.revision ?? null,
      after: next.revision,
      status: entity.status,
      ...this.#digests(before, entity),
    });
    await this.#commitWrites([writeOf(entity, check.checked.body)], next, event);
    return { record: recordOf(entity), event };
  }

  /**
   * Digests of an entity before and after. Principals have none: the log keeps entries for longer than it may be known
   * what they say of a person, and whoever guesses an entity could confirm it by its digest.
   */
  #digests(before: GraphEntity | undefined, after: GraphEntity | undefined): JsonObject {
    const types = [before, after].flatMap(entity =>
      entity === undefined ? [] : [recordOf(entity).ref.type],
    );
    if (types.some(type => PRINCIPAL_TYPES.has(type))) return {};
    const digest = (entity: GraphEntity | undefined): string | null =>
      entity === undefined ? null : this.#options.digestOf(stateOf(recordOf(entity)));
    return { digests: { before: digest(before), after: digest(after) } };
  }

  async #collect(
    source: AsyncIterable<Uint8Array | string>,
    { onProgress }: ImportOptions,
  ): Promise<readonly Line[]> {
    if (this.#uploads >= MAX_UPLOADS) {
      throw new AppError('STORE_UNAVAILABLE', `${MAX_UPLOADS} imports are being received`, {
        retryAfterSeconds: 5,
      });
    }
    this.#uploads += 1;
    try {
      return await collectLines(source, done => onProgress?.({ phase: 'reading', done }));
    } finally {
      this.#uploads -= 1;
    }
  }

  async #settle(editor: GraphEditor, ref: EntityRef): Promise<DirectoryGraph> {
    const problems = await new Pacer(this.#options.clock).run(editor.settle());
    if (problems.length > 0) {
      const listed = problems.map(({ key: _key, ...problem }) => problem);
      throw new AppError(
        'ENTITY_INVALID',
        `\`${ref.type}\` \`${ref.id}\` has ${count(listed.length, 'problem')}`,
        { problems: listed },
      );
    }
    return editor.finish(this.graph.revision + 1);
  }

  async #commitWrites(
    writes: readonly EntityWrite[],
    graph: DirectoryGraph,
    event: EventEntry,
  ): Promise<void> {
    const tx = await this.#options.store.begin();
    try {
      await tx.write(writes);
    } catch (error) {
      await tx.rollback().catch(() => undefined);
      throw error;
    }
    await this.#committed.commit(tx, graph, event);
  }

  #visible(ref: EntityRef, caller: Caller): GraphEntity {
    const entity = this.graph.get(uidOf(ref).key);
    if (entity === undefined || !isAllowed(entity.tenant, caller.tenants)) throw missing(ref);
    return entity;
  }

  #event(
    kind: EventEntry['kind'],
    subject: string,
    caller: Caller,
    tenant: string | undefined,
    details: EventEntry['details'],
  ): EventEntry {
    const { clock, ids } = this.#options;
    return {
      kind,
      id: ids.next(),
      time: clock.now(),
      actor: caller.keyId,
      ...(tenant === undefined ? {} : { tenant }),
      subject,
      details,
    };
  }
}

/** What an entity is, as `GET` answers it, without when it became so. */
function stateOf({ ref, attributes, parents, tags, status }: EntityRecord): JsonObject {
  return { type: ref.type, id: ref.id, attributes, parents, tags, status };
}
