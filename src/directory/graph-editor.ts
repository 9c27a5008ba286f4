/**
 * The next state of the directory in the making. Writes may come in any order, members before groups too;
 * `settle` then computes ancestors and finds cycles. Invariant: nothing of it is visible before `finish`.
 */
import type { Problem } from '../domain/errors.ts';
import type { EntityUid } from '../domain/value.ts';
import { DirectoryGraph, GraphEntity, type GraphRecord } from './graph.ts';
import { KeyList, Owner } from './key-list.ts';
import type { Lineage, LineagePool } from './lineage.ts';
import type { MapEditor } from './persistent-map.ts';

/** Most ancestors of one entity: bounds the depth of the hierarchy and the memory of its closure. */
export const MAX_ANCESTORS = 512;
/** Most structural problems that one edit reports. */
const MAX_PROBLEMS = 100;
/** Entities handled between two opportunities to pause. */
const STEP = 64;

/** A problem of the hierarchy, with the entity at which it was found. */
export interface GraphProblem extends Problem {
  readonly key: string;
}

/** Collects writes on a copy of a graph. */
export class GraphEditor {
  private readonly entities: MapEditor<GraphEntity>;
  private readonly members: MapEditor<KeyList>;
  private readonly tenants: MapEditor<KeyList>;
  private readonly types: MapEditor<KeyList>;
  private readonly pool: LineagePool;
  private readonly owner = new Owner();
  /** Entities that came, went or changed their parents since the last `settle`. */
  private readonly dirty = new Set<string>();

  /** Starts from `graph`, which stays as it is. */
  constructor({ parts, pool }: DirectoryGraph) {
    this.entities = parts.entities.edit();
    this.members = parts.members.edit();
    this.tenants = parts.tenants.edit();
    this.types = parts.types.edit();
    this.pool = pool;
  }

  get size(): number {
    return this.entities.size;
  }

  get(key: string): GraphEntity | undefined {
    return this.entities.get(key);
  }

  put(record: GraphRecord): void {
    const { key } = record.uid;
    const before = this.entities.get(key);
    const parents = this.pool.parentSet(record.parents);
    if (before?.lineage.parents.key === parents.key) {
      this.entities.set(key, new GraphEntity(record, before.lineage));
    } else {
      if (before !== undefined) this.leaveParents(key, before.lineage.parents.uids);
      for (const uid of parents.uids) this.add(this.members, uid.key, key);
      this.dirty.add(key);
      // Nobody reads the ancestors of the stand-in before `settle`.
      this.entities.set(key, new GraphEntity(record, this.pool.standIn(parents)));
    }
    if (before?.tenant !== record.tenant) {
      if (before?.tenant !== undefined) this.remove(this.tenants, before.tenant, key);
      if (record.tenant !== undefined) this.add(this.tenants, record.tenant, key);
    }
    if (before === undefined) this.add(this.types, record.uid.type, key);
  }

  delete(key: string): void {
    const before = this.entities.get(key);
    if (before === undefined) return;
    this.leaveParents(key, before.lineage.parents.uids);
    if (before.tenant !== undefined) this.remove(this.tenants, before.tenant, key);
    this.remove(this.types, before.uid.type, key);
    this.entities.delete(key);
    this.dirty.add(key);
  }

  /**
   * Brings the ancestors of everything that the writes reach up to date. A generator, so that the caller can
   * pause between steps. @returns cycles and too deep hierarchies; when there are any, the edit must be dropped
   */
  *settle(): Generator<void, readonly GraphProblem[]> {
    const affected = new Set(this.dirty);
    this.dirty.clear();
    let steps = 0;
    // A set visits what is added while it is walked, so this reaches all members, direct or not.
    for (const key of affected) {
      for (const member of this.members.get(key)?.from('') ?? []) {
        affected.add(member);
        if (++steps % STEP === 0) yield;
      }
      if (++steps % STEP === 0) yield;
    }
    const problems: GraphProblem[] = [];
    const resolver = new Resolver(this.entities, this.pool, affected);
    for (const key of affected) {
      const problem = resolver.resolve(key);
      if (problem !== undefined && problems.push(problem) >= MAX_PROBLEMS) return problems;
      if (++steps % STEP === 0) yield;
    }
    return problems;
  }

  /** The new graph. `settle` must have found no problem; the editor must not be used afterwards. */
  finish(revision: number): DirectoryGraph {
    if (this.dirty.size > 0) throw new Error('a graph was finished before it was settled');
    const parts = {
      entities: this.entities.finish(),
      members: this.members.finish(),
      tenants: this.tenants.finish(),
      types: this.types.finish(),
    };
    return new DirectoryGraph(revision, parts, this.pool);
  }

  private leaveParents(key: string, parents: readonly EntityUid[]): void {
    for (const uid of parents) this.remove(this.members, uid.key, key);
  }

  private add(lists: MapEditor<KeyList>, name: string, key: string): void {
    const list = lists.get(name);
    const next = list === undefined ? KeyList.of(key, this.owner) : list.with(key, this.owner);
    if (next !== list) lists.set(name, next);
  }

  private remove(lists: MapEditor<KeyList>, name: string, key: string): void {
    const list = lists.get(name);
    const next = list?.without(key, this.owner);
    if (next === undefined || next.size === 0) lists.delete(name);
    else if (next !== list) lists.set(name, next);
  }
}

/** Computes lineages from the roots down; each affected entity once. */
class Resolver {
  private readonly entities: MapEditor<GraphEntity>;
  private readonly pool: LineagePool;
  private readonly affected: ReadonlySet<string>;
  private readonly done = new Set<string>();
  /** The entities being resolved, member before group: a second visit is a cycle. */
  private readonly path = new Set<string>();
  private problem: GraphProblem | undefined;

  constructor(entities: MapEditor<GraphEntity>, pool: LineagePool, affected: ReadonlySet<string>) {
    this.entities = entities;
    this.pool = pool;
    this.affected = affected;
  }

  resolve(key: string): GraphProblem | undefined {
    this.problem = undefined;
    this.visit(key);
    this.path.clear();
    return this.problem;
  }

  /** Recursion is bounded by MAX_ANCESTORS. A node on a faulty path counts as done, so it is reported once. */
  private visit(key: string): Lineage | undefined {
    const entity = this.entities.get(key);
    if (entity === undefined || this.done.has(key) || !this.affected.has(key)) return entity?.lineage;
    if (this.path.has(key)) {
      this.report(key, `the parents form a cycle: ${cycleText([...this.path], key)}`);
      return undefined;
    }
    if (this.path.size > MAX_ANCESTORS) {
      this.report(key, `\`${key}\` is more than ${MAX_ANCESTORS} groups deep`);
      return undefined;
    }
    this.path.add(key);
    const { parents } = entity.lineage;
    const sources = parents.uids.map(uid => this.visit(uid.key));
    this.path.delete(key);
    this.done.add(key);
    const lineage = this.pool.lineage(parents, sources);
    if (lineage.ancestors.size > MAX_ANCESTORS) {
      this.report(key, `\`${key}\` has more than ${MAX_ANCESTORS} ancestors`);
    }
    if (lineage !== entity.lineage) this.entities.set(key, new GraphEntity(entity, lineage));
    return lineage;
  }

  private report(key: string, message: string): void {
    this.problem ??= { key, pointer: '/parents', message };
  }
}

/** Most entities that a cycle message names; a longer cycle is cut in the middle. */
const MAX_NAMED = 10;

function cycleText(path: readonly string[], again: string): string {
  const cycle = [...path.slice(path.indexOf(again)), again].map(key => `\`${key}\``);
  if (cycle.length <= MAX_NAMED) return cycle.join(' in ');
  const half = MAX_NAMED / 2;
  return [...cycle.slice(0, half), '…', ...cycle.slice(-half)].join(' in ');
}
