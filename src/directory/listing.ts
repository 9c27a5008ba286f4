/**
 * Pages of the directory, in the order of entity keys, from the narrowest index that the filters name.
 * Invariant: following the cursors visits every matching entity that is there throughout exactly once.
 */
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { DirectoryGraph, GraphEntity } from './graph.ts';
import { uidOf } from './lineage.ts';

/** Largest page. */
const MAX_PAGE = 1_000;
/** Most keys looked at for one page, so that a filter that matches little cannot block the event loop. */
const MAX_SCANNED = 20_000;

export interface EntityFilter {
  /** Short type names; absent: all. */
  readonly types?: readonly string[];
  readonly tenant?: string;
  /** Direct parent. */
  readonly parent?: EntityRef;
  /** Start of the id. */
  readonly prefix?: string;
}

export interface PageRequest extends EntityFilter {
  /** 1–1000. */
  readonly limit: number;
  readonly cursor?: string;
}

/** @param allowed tenants whose entities may be seen; undefined: all */
export function listEntities(
  graph: DirectoryGraph,
  request: PageRequest,
  allowed: ReadonlySet<string> | undefined,
): { readonly items: readonly GraphEntity[]; readonly nextCursor: string | null } {
  const after = request.cursor === undefined ? undefined : decodeCursor(request.cursor);
  const limit = Math.min(Math.max(request.limit, 1), MAX_PAGE);
  const items: GraphEntity[] = [];
  let scanned = 0;
  for (const key of candidates(graph, request, allowed, after)) {
    const entity = graph.get(key);
    if (entity !== undefined && matches(entity, request, allowed)) items.push(entity);
    scanned += 1;
    if (items.length > limit) {
      items.pop();
      return { items, nextCursor: encodeCursor(items.at(-1)?.uid.key ?? key) };
    }
    if (scanned >= MAX_SCANNED) return { items, nextCursor: encodeCursor(key) };
  }
  return { items, nextCursor: null };
}

/**
 * How many entities name a parent directly, whether or not there is an entity of its name.
 * @param allowed tenants whose entities may be seen; undefined: all. Of a list longer than `MAX_SCANNED` they see a part.
 */
export function countMembers(
  graph: DirectoryGraph,
  parent: EntityRef,
  allowed: ReadonlySet<string> | undefined,
): number {
  const list = graph.parts.members.get(uidOf(parent).key);
  if (list === undefined || allowed === undefined) return list?.size ?? 0;
  let members = 0;
  let scanned = 0;
  for (const key of list.from('')) {
    const entity = graph.get(key);
    if (entity !== undefined && matches(entity, {}, allowed)) members += 1;
    scanned += 1;
    if (scanned >= MAX_SCANNED) break;
  }
  return members;
}

function matches(
  entity: GraphEntity,
  filter: EntityFilter,
  allowed: ReadonlySet<string> | undefined,
): boolean {
  if (filter.tenant !== undefined && entity.tenant !== filter.tenant) return false;
  return allowed === undefined || (entity.tenant !== undefined && allowed.has(entity.tenant));
}

/** Keys after `after` in ascending order: a superset of the matches by tenant, exact in the other filters. */
function* candidates(
  graph: DirectoryGraph,
  filter: EntityFilter,
  allowed: ReadonlySet<string> | undefined,
  after: string | undefined,
): IterableIterator<string> {
  const { types, members, tenants } = graph.parts;
  const wanted = filter.types && [...new Set(filter.types)].map(name => `${NAMESPACE}::${name}`);
  const names = wanted ?? [...types.entries()].map(([name]) => name);
  // With the quote, so that `AI::Tool` stands before `AI::ToolGroup` exactly as their keys do.
  const starts = names.map(name => ({ name, start: `${name}::"${filter.prefix ?? ''}` }));
  for (const { name, start } of starts.sort((a, b) => (a.start < b.start ? -1 : 1))) {
    const lists = listsFor(name);
    // A cursor is a key, which was answered already: the smallest string after it is the key and one more.
    const lower = after !== undefined && after >= start ? `${after}\u0000` : start;
    yield* merge(
      lists.map(list => list?.from(lower)),
      start,
    );
  }

  function listsFor(type: string) {
    if (filter.parent !== undefined) return [members.get(uidOf(filter.parent).key)];
    if (filter.tenant !== undefined) return [tenants.get(filter.tenant)];
    if (allowed !== undefined) return [...allowed].map(tenant => tenants.get(tenant));
    return [types.get(type)];
  }
}

/** Merges sorted sources as long as their keys begin with `start`. An entity is in one source only. */
function* merge(
  sources: readonly (IterableIterator<string> | undefined)[],
  start: string,
): IterableIterator<string> {
  const heads = sources
    .filter(source => source !== undefined)
    .map(source => ({ source, key: nextKey(source, start) }));
  for (;;) {
    let first: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.key !== undefined && (first?.key === undefined || head.key < first.key)) first = head;
    }
    if (first?.key === undefined) return;
    yield first.key;
    first.key = nextKey(first.source, start);
  }
}

function nextKey(source: IterableIterator<string>, start: string): string | undefined {
  const next = source.next();
  return next.done !== true && next.value.startsWith(start) ? next.value : undefined;
}

function encodeCursor(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}

function decodeCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!/^[A-Za-z0-9_:]+::"[\x21-\x7e]+"$/.test(key) || encodeCursor(key) !== cursor) {
    throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
      problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
    });
  }
  return key;
}
