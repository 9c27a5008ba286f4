/**
 * Queries of access: started, paged and logged. Invariants: nothing is answered before the entry of its query is
 * durable; the pages of a query are of one snapshot; how many queries run or are kept is bounded.
 */
import { Pacer } from '../../directory/pacing.ts';
import { missing } from '../../directory/tenancy.ts';
import { uidOf } from '../../directory/lineage.ts';
import type { Clock, IdSource } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import { tenantPrefix } from '../../domain/names.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { CheckEvaluator } from '../evaluator.ts';
import { qualify } from '../plan.ts';
import type { Snapshot, SnapshotHolder } from '../snapshot.ts';
import type { AccessPage, AccessSide, IncompleteCode } from './access-page.ts';
import { AccessScan } from './access-scan.ts';
import { type AccessFacts, type AccessQuestion, prepareQuestion, type PreparedQuestion } from './question.ts';

/** How long a query is kept for its next page, in milliseconds: time to read a page and ask on. */
const KEPT_MS = 300_000;
/** Most queries that are kept: each may hold a directory and policies of the past in memory. */
const MAX_KEPT = 16;
/** Most pages that are computed at once: they share a thread with the decisions. */
const MAX_RUNNING = 4;
/** Longest time for one page in milliseconds; what is left goes to the next one. */
const MAX_PAGE_MS = 2_000;
/** Longest stretch without a pause in milliseconds: several queries may take turns between two decisions. */
const SLICE_MS = 2;

/** What is asked. */
export interface AccessQuery extends AccessQuestion {
  readonly side: AccessSide;
  /** Whom it is about: a principal or a model. */
  readonly about: EntityRef;
}

export interface AccessOptions {
  readonly snapshots: SnapshotHolder;
  readonly evaluator: CheckEvaluator;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly defaultEnv: string;
  /** Writes an entry into the log. Durable when it resolves; rejects with AppError. */
  readonly record: (event: EventEntry) => Promise<void>;
  /** Seconds that a credential has to wait before it may start a query; undefined: none. */
  readonly waitOf: (keyId: string) => number | undefined;
}

interface KeptQuery {
  readonly keyId: string;
  /** What was asked, to refuse a cursor under another question. */
  readonly asked: string;
  readonly scan: AccessScan;
  readonly facts: AccessFacts;
  readonly operations: readonly string[];
  readonly now: number;
  keptUntil: number;
}

export class AccessQueries {
  readonly #options: AccessOptions;
  /** By id, the one that was used last at the end. */
  readonly #kept = new Map<string, KeptQuery>();
  #running = 0;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /**
   * One page. Rejects with AppError NOT_FOUND, INVALID_REQUEST, TENANT_NOT_ALLOWED, CURSOR_EXPIRED,
   * TOO_MANY_ACCESS_QUERIES, NOT_READY, LOG_UNAVAILABLE or LOG_BACKPRESSURE.
   * @param limit most items
   */
  async page(
    query: AccessQuery,
    asker: Credential,
    { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<AccessPage> {
    if (this.#running >= MAX_RUNNING) throw tooMany('as many queries as can be are running', 1);
    this.#running += 1;
    try {
      const { id, after } =
        cursor === undefined
          ? { id: await this.#start(query, asker), after: undefined }
          : decodeCursor(cursor);
      return await this.#continue(id, after, query, asker, limit);
    } finally {
      this.#running -= 1;
    }
  }

  /** Forgets the states of the past: a principal that is forgotten must not be in one. */
  forget(): void {
    this.#kept.clear();
  }

  /** Logs and keeps a new query; its id. */
  async #start(query: AccessQuery, asker: Credential): Promise<string> {
    const { snapshots, evaluator, clock, ids, defaultEnv, record, waitOf } = this.#options;
    const wait = waitOf(asker.keyId);
    if (wait !== undefined) throw tooMany('the key started too many queries within a minute', wait);
    const snapshot = snapshots.current;
    if (snapshot === undefined) {
      throw new AppError('NOT_READY', 'the directory and the policies are not loaded yet', {
        retryAfterSeconds: 1,
      });
    }
    const about = snapshot.directory.get(uidOf(query.about).key);
    if (about === undefined) throw missing(query.about);
    requireTenants(snapshot, query.facts, asker);
    const now = clock.now();
    const facts = { now, defaultEnv };
    const question = prepareQuestion(snapshot.planner, query, facts);
    const id = ids.next();
    await record({
      kind: 'access.read',
      id,
      time: now,
      actor: asker.keyId,
      ...(about.tenant === undefined ? {} : { tenant: about.tenant }),
      subject: about.uid.key,
      details: {
        side: query.side,
        directory: snapshot.revision.directory,
        ...(query.operations === undefined ? {} : { operations: query.operations }),
      },
    });
    const { side } = query;
    this.#keep(id, {
      keyId: asker.keyId,
      asked: textOf(query),
      scan: new AccessScan({
        snapshot,
        evaluator,
        question,
        facts,
        side,
        about,
        tenants: asker.tenants,
      }),
      facts: query.facts,
      operations: operationsOf(question),
      now,
      keptUntil: 0,
    });
    return id;
  }

  async #continue(
    id: string,
    after: string | undefined,
    query: AccessQuery,
    asker: Credential,
    limit: number,
  ): Promise<AccessPage> {
    const { clock } = this.#options;
    this.#dropOld();
    const kept = this.#kept.get(id);
    // a query of another key is as good as none
    if (kept === undefined || kept.keyId !== asker.keyId) throw expired();
    if (kept.asked !== textOf(query)) throw anotherQuery();
    const { scan, facts, operations, now } = kept;
    const end = clock.monotonic() + MAX_PAGE_MS;
    const steps = scan.part(after, limit, () => clock.monotonic() >= end);
    const { items, conditions, next } = await new Pacer(clock, SLICE_MS).run(steps);
    if (next === undefined) this.#kept.delete(id);
    else this.#keep(id, kept);
    const pages: readonly IncompleteCode[] = next === undefined ? [] : ['page'];
    return {
      standing: scan.standing,
      facts,
      operations,
      revision: scan.revision,
      now,
      items,
      conditions,
      incomplete: [...scan.incomplete, ...pages],
      nextCursor: next === undefined ? null : encodeCursor(id, next),
    };
  }

  #keep(id: string, query: KeptQuery): void {
    query.keptUntil = this.#options.clock.monotonic() + KEPT_MS;
    this.#kept.delete(id);
    this.#kept.set(id, query);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
  }

  #dropOld(): void {
    const now = this.#options.clock.monotonic();
    for (const [id, { keptUntil }] of this.#kept) if (keptUntil < now) this.#kept.delete(id);
  }
}

/** A key that is limited to tenants asks about no data of others. */
function requireTenants(snapshot: Snapshot, facts: AccessFacts, { tenants }: Credential): void {
  if (tenants === undefined) return;
  const ownerOf = (id: string) =>
    snapshot.directory.get(qualify('DataPartition', id).key)?.tenant ?? tenantPrefix(id);
  const named = [
    ...(facts.tenant === undefined ? [] : [facts.tenant]),
    ...(facts.partitions ?? []).map(({ id }) => ownerOf(id)),
  ];
  if (named.every(tenant => tenant !== undefined && tenants.has(tenant))) return;
  throw new AppError('TENANT_NOT_ALLOWED', 'this key may not ask about data of other tenants');
}

function operationsOf({ groups }: PreparedQuestion): readonly string[] {
  return groups.flatMap(({ operations }) => operations.map(([id]) => id));
}

/** A query as a text that differs when the query does. */
function textOf({ side, about, operations, facts }: AccessQuery): string {
  return JSON.stringify([side, about, operations ?? null, facts]);
}

function encodeCursor(id: string, after: string): string {
  return Buffer.from(`${id} ${after}`, 'utf8').toString('base64url');
}

/** @throws AppError INVALID_REQUEST */
function decodeCursor(cursor: string): { readonly id: string; readonly after: string } {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const [, id, after] = /^([0-9a-f-]{1,64}) ([A-Za-z0-9_:]+::"[\x21-\x7e]+")$/.exec(text) ?? [];
  if (id !== undefined && after !== undefined && encodeCursor(id, after) === cursor) return { id, after };
  throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
    problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
  });
}

function expired(): AppError {
  return new AppError('CURSOR_EXPIRED', 'the query of this cursor is over: start again without a cursor');
}

function anotherQuery(): AppError {
  const message = 'the cursor is of another query';
  return new AppError('INVALID_REQUEST', message, {
    problems: [{ pointer: '?cursor', message, hint: 'repeat the parameters of the first page' }],
  });
}

function tooMany(detail: string, retryAfterSeconds: number): AppError {
  return new AppError('TOO_MANY_ACCESS_QUERIES', detail, { retryAfterSeconds });
}
