/** A directory over a store in memory with the shipped schema, and a store that fails on command. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { type Caller, DirectoryService } from '../../src/directory/service.ts';
import type { DirectoryGraph } from '../../src/directory/graph.ts';
import type { DirectoryStore, EntityParser } from '../../src/directory/ports.ts';
import {
  type EntityBody,
  entityBodySchema,
  type EntityLine,
  entityLineSchema,
} from '../../src/domain/entity.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EntityRef } from '../../src/domain/ids.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { entityParser } from '../../src/pdp/directory-schema.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { ref } from './graph-edits.ts';
import { objectDigest } from '../../src/wiring/object-digest.ts';

export const NOW = 1_767_323_045_678;
export const ADMIN: Caller = { keyId: 'admin-key', tenants: undefined };
export const ACME: Caller = { keyId: 'acme-key', tenants: new Set(['acme']) };

/** A parser for the shipped schema, changed by `edit`. */
export function shippedParser(edit: (text: string) => string = text => text): EntityParser {
  const file = join(import.meta.dirname, '../../schema/model-serving.cedarschema');
  const result = parseSchema(edit(readFileSync(file, 'utf8')), new CedarWasm());
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return entityParser(result.schema);
}

export interface TestDirectory {
  readonly service: DirectoryService;
  readonly state: MemoryState;
  readonly published: DirectoryGraph[];
  readonly announced: EventEntry[];
}

export interface TestOptions {
  readonly store?: (state: MemoryState) => DirectoryStore;
  readonly announce?: (event: EventEntry) => Promise<void>;
}

/** An empty directory; without a parser no schema is active. */
export async function openDirectory(
  parser?: EntityParser,
  options: TestOptions = {},
): Promise<TestDirectory> {
  const state = new MemoryState();
  const published: DirectoryGraph[] = [];
  const announced: EventEntry[] = [];
  let ids = 0;
  let ticks = 0;
  const service = new DirectoryService({
    digestOf: objectDigest,
    store: options.store?.(state) ?? state.directory,
    // Time passes with every look at the clock, so that long work pauses often.
    clock: { now: () => NOW, monotonic: () => (ticks += 1) },
    ids: { next: () => `event-${(ids += 1)}` },
    publish: graph => published.push(graph),
    announce:
      options.announce ??
      (async event => {
        announced.push(event);
      }),
  });
  if (parser !== undefined) await adopt(service, parser);
  return { service, state, published, announced };
}

export async function adopt(service: DirectoryService, parser: EntityParser): Promise<void> {
  const change = await service.prepareSchema(parser);
  if (change.graph === undefined) throw new Error(change.problems.map(({ message }) => message).join('; '));
  change.adopt();
}

const USER = { actsFor: [], org: 'acme/eu', tier: 'pro', clearance: 1 };

/** A body as the edge would parse it. */
export function body(input: {
  attributes?: EntityBody['attributes'];
  parents?: readonly string[];
  tags?: EntityBody['tags'];
  status?: string;
}): EntityBody {
  return entityBodySchema.parse({ ...input, parents: input.parents?.map(ref) });
}

/** A valid user. */
export function user(
  input: { attributes?: EntityBody['attributes']; parents?: readonly string[]; status?: string } = {},
): EntityBody {
  return body({ ...input, attributes: { ...USER, ...input.attributes } });
}

/** A valid tenant. */
export const tenant = (): EntityBody => body({ attributes: { plan: 'team' } });

/** One line of NDJSON. */
export function line(target: EntityRef, state: EntityBody): string {
  return `${JSON.stringify({ ...target, ...state })}\n`;
}

/** How tests parse lines; the edge brings its own stricter JSON parser. */
export function parseLine(bytes: Buffer): EntityLine {
  const invalid = (message: string): AppError =>
    new AppError('INVALID_REQUEST', 'the body is not valid', {
      problems: [{ pointer: '/x', line: 1, column: 7, message }],
    });
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw invalid('not JSON');
  }
  const parsed = entityLineSchema.safeParse(json);
  if (!parsed.success) throw invalid('not an entity');
  return parsed.data;
}

/** Faults of a store, by name; twins differ in whether the change is on the disk. */
export type Fault = 'begin' | 'write' | 'commit not persisted' | 'commit persisted' | 'revision' | 'silence';

/** A store that fails where told. `silence`: a commit persists, then nothing can be asked. */
export class FaultyStore implements DirectoryStore {
  readonly #inner: DirectoryStore;
  fault: Fault | undefined;

  constructor(inner: DirectoryStore) {
    this.#inner = inner;
  }

  async revision(): Promise<number> {
    this.#failAt('revision');
    return this.#inner.revision();
  }

  load(): ReturnType<DirectoryStore['load']> {
    return this.#inner.load();
  }

  async begin(): ReturnType<DirectoryStore['begin']> {
    this.#failAt('begin');
    const tx = await this.#inner.begin();
    return {
      write: async chunk => {
        this.#failAt('write');
        await tx.write(chunk);
      },
      commit: async (at, event) => {
        this.#failAt('commit not persisted');
        const revision = await tx.commit(at, event);
        this.#failAt('commit persisted');
        if (this.fault === 'silence') {
          this.fault = 'revision';
          throw down();
        }
        return revision;
      },
      rollback: () => tx.rollback(),
    };
  }

  at(target: EntityRef, revision: number): ReturnType<DirectoryStore['at']> {
    return this.#inner.at(target, revision);
  }

  loadAt(revision: number): ReturnType<DirectoryStore['loadAt']> {
    return this.#inner.loadAt(revision);
  }

  #failAt(fault: Fault): void {
    if (this.fault === fault) throw down();
  }
}

function down(): AppError {
  return new AppError('STORE_UNAVAILABLE', 'the store is down');
}
