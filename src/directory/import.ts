/**
 * NDJSON into the directory: checked line by line, staged in the store, applied to a fork of the graph.
 * Invariants: all or nothing; every problem carries its line; decisions wait milliseconds at most.
 */
import type { Clock } from '../domain/clock.ts';
import type { EntityLine } from '../domain/entity.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { checkEntity, count, MAX_ENTITIES, missingParent, writeOf } from './entity-checks.ts';
import type { DirectoryGraph } from './graph.ts';
import { GraphEditor } from './graph-editor.ts';
import { uidOf } from './lineage.ts';
import { type Line, MAX_LINE_BYTES } from './lines.ts';
import { Pacer } from './pacing.ts';
import type { DirectoryTransaction, EntityParser, EntityWrite } from './ports.ts';
import type { AllowedTenants } from './tenancy.ts';

/** Most problems that one import reports; after so many it stops reading. */
const MAX_IMPORT_PROBLEMS = 100;
/** Entities handed to the store at once. */
const CHUNK = 1_000;

/** How far an import is. */
export interface ImportProgress {
  readonly phase: 'reading' | 'checking' | 'linking' | 'storing';
  /** Lines or entities done in this phase. */
  readonly done: number;
}

export interface ImportOptions {
  /** Parses one line. @throws AppError with problems, which are reported with the number of the line */
  readonly parseLine: (bytes: Buffer) => EntityLine;
  /** Called after each 1,000 entities and at the start of each phase. */
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface ImportResult {
  readonly created: number;
  readonly replaced: number;
  readonly revision: number;
}

interface ImportContext extends ImportOptions {
  readonly parser: EntityParser;
  readonly clock: Clock;
  readonly at: string;
  readonly tenants: AllowedTenants;
}

interface Imported {
  readonly graph: DirectoryGraph;
  readonly created: number;
  readonly replaced: number;
  /** The tenant of all entities, when there is exactly one. */
  readonly tenant: string | undefined;
}

/** Checks everything and stages it; the caller commits the transaction and publishes the graph, or neither. */
export async function importEntities(
  lines: readonly Line[],
  before: DirectoryGraph,
  tx: DirectoryTransaction,
  context: ImportContext,
): Promise<Imported> {
  const run = new ImportRun(before, tx, context);
  await run.add(lines);
  return run.finish();
}

class ImportRun {
  readonly #before: DirectoryGraph;
  readonly #editor: GraphEditor;
  readonly #tx: DirectoryTransaction;
  readonly #context: ImportContext;
  readonly #pacer: Pacer;
  readonly #problems: Problem[] = [];
  readonly #lineOf = new Map<string, number>();
  readonly #requiredParents = new Map<string, { ref: EntityRef; pointer: string; line: number }>();
  readonly #tenants = new Set<string | undefined>();
  #chunk: EntityWrite[] = [];
  #created = 0;

  constructor(before: DirectoryGraph, tx: DirectoryTransaction, context: ImportContext) {
    this.#before = before;
    this.#editor = new GraphEditor(before);
    this.#tx = tx;
    this.#context = context;
    this.#pacer = new Pacer(context.clock);
  }

  async add(lines: readonly Line[]): Promise<void> {
    for (const line of lines) {
      this.#add(line);
      if (this.#problems.length >= MAX_IMPORT_PROBLEMS) return;
      if (this.#chunk.length >= CHUNK) await this.#stage();
      if (this.#pacer.due) await this.#pacer.pause();
    }
  }

  async finish(): Promise<Imported> {
    const entities = this.#lineOf.size;
    await this.#stage();
    if (this.#editor.size > MAX_ENTITIES) {
      this.#problems.push({ message: `the directory would hold more than ${MAX_ENTITIES} entities` });
    }
    for (const [key, { ref, pointer, line }] of this.#requiredParents) {
      if (this.#editor.get(key) === undefined) this.#problems.push({ line, ...missingParent(ref, pointer) });
    }
    this.#refuse();
    this.#context.onProgress?.({ phase: 'linking', done: entities });
    for (const { key, ...problem } of await this.#pacer.run(this.#editor.settle())) {
      const line = this.#lineOf.get(key);
      this.#problems.push({ ...(line === undefined ? {} : { line }), ...problem });
    }
    this.#refuse();
    this.#context.onProgress?.({ phase: 'storing', done: entities });
    const [tenant] = this.#tenants;
    return {
      graph: this.#editor.finish(this.#before.revision + 1),
      created: this.#created,
      replaced: entities - this.#created,
      tenant: this.#tenants.size === 1 ? tenant : undefined,
    };
  }

  #add({ number: line, bytes }: Line): void {
    if (bytes === undefined) {
      this.#problems.push({ line, message: `the line is longer than ${MAX_LINE_BYTES} bytes` });
      return;
    }
    let parsed: EntityLine;
    try {
      parsed = this.#context.parseLine(bytes);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#report(line, error.problems.length > 0 ? error.problems : [{ message: error.message }]);
      return;
    }
    const { type, id, ...body } = parsed;
    this.#put(line, { type, id }, body);
  }

  #put(line: number, ref: EntityRef, body: Omit<EntityLine, 'type' | 'id'>): void {
    const { key } = uidOf(ref);
    const earlier = this.#lineOf.get(key);
    if (earlier !== undefined) {
      this.#report(line, [{ message: `\`${ref.type}\` \`${ref.id}\` was named in line ${earlier} already` }]);
      return;
    }
    this.#lineOf.set(key, line);
    const { parser, tenants, at } = this.#context;
    const stamp = { revision: this.#before.revision + 1, updatedAt: at };
    const check = checkEntity(parser, this.#editor, ref, body, tenants, stamp);
    if (!check.ok) {
      this.#report(line, check.problems);
      return;
    }
    const { record, body: completed, requiredParents } = check.checked;
    for (const parent of requiredParents) {
      const parentKey = uidOf(parent.ref).key;
      if (!this.#requiredParents.has(parentKey)) this.#requiredParents.set(parentKey, { ...parent, line });
    }
    if (this.#before.get(key) === undefined) this.#created += 1;
    this.#tenants.add(record.tenant);
    this.#editor.put(record);
    const entity = this.#editor.get(key);
    if (entity !== undefined) this.#chunk.push(writeOf(entity, completed));
  }

  /** Problems of one line; the column stays as the place within it. */
  #report(line: number, problems: readonly Problem[]): void {
    const room = MAX_IMPORT_PROBLEMS - this.#problems.length;
    this.#problems.push(...problems.slice(0, room).map(problem => ({ ...problem, line })));
  }

  async #stage(): Promise<void> {
    const writes = this.#chunk;
    this.#chunk = [];
    // Once something is wrong nothing will be committed: only further problems are looked for.
    if (this.#problems.length > 0 || writes.length === 0) return;
    await this.#tx.write(writes);
    this.#context.onProgress?.({ phase: 'checking', done: this.#lineOf.size });
  }

  #refuse(): void {
    if (this.#problems.length === 0) return;
    const problems = this.#problems.slice(0, MAX_IMPORT_PROBLEMS);
    const many = problems.length >= MAX_IMPORT_PROBLEMS ? 'at least ' : '';
    throw new AppError(
      'ENTITY_INVALID',
      `the import has ${many}${count(problems.length, 'problem')} and changed nothing`,
      { problems },
    );
  }
}
