/**
 * A query in the form that every backend executes: conditions over facts, a range of time, a place to start at.
 * Invariant: a cursor continues only the query that it came from, so a page never mixes two queries.
 */
import { AppError } from '../domain/errors.ts';
import { canonicalJson, type Encodable } from './canonical-json.ts';
import { ANY_EVENT, type FactField, type LeafFacts, meansFact, OUTCOME_STATES } from './leaf-facts.ts';
import { leafHash } from './leaf-hash.ts';
import { DECISION_FILTERS, type DecisionQuery, type EventQuery, type ValueFilter } from './ports.ts';

/** Most items of a page. */
export const MAX_PAGE_ITEMS = 1_000;

/** One of the values, or none of them. */
export interface Condition extends ValueFilter {
  readonly field: FactField;
}

export interface QueryPlan {
  readonly events: boolean;
  /** All must hold. */
  readonly conditions: readonly Condition[];
  /** Inclusive, milliseconds. */
  readonly from: number | undefined;
  /** Exclusive, milliseconds. */
  readonly to: number | undefined;
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  /** Index of the last entry that the earlier page looked at. */
  readonly after: number | undefined;
  /** Names the query in its cursors. */
  readonly fingerprint: string;
}

/** @throws AppError INVALID_REQUEST when the cursor is not one of this query, or the limit is out of range */
export function planDecisions(query: DecisionQuery): QueryPlan {
  const asked = DECISION_FILTERS.flatMap((field): Condition[] => {
    const filter = query.filters[field];
    if (filter === undefined) return [];
    return [field === 'outcome' ? outcomeCondition(filter) : { field, ...filter }];
  });
  const planned = plan(query, false, asked);
  const { pseudonyms = [] } = query;
  if (pseudonyms.length === 0) return planned;
  // After the fingerprint: names that come and go with months and erasures do not invalidate a cursor.
  const conditions = planned.conditions.map(condition =>
    condition.field === 'principal'
      ? { ...condition, values: [...condition.values, ...pseudonyms] }
      : condition,
  );
  return { ...planned, conditions };
}

/** No leaf says that its outcome is missing: it is the want of the other states. */
function outcomeCondition({ values, negated }: ValueFilter): Condition {
  const wanted = OUTCOME_STATES.filter(state => values.includes(state) !== negated);
  const isWanted = new Set<string>(wanted);
  return isWanted.has('missing')
    ? { field: 'outcome', values: OUTCOME_STATES.filter(state => !isWanted.has(state)), negated: true }
    : { field: 'outcome', values: wanted, negated: false };
}

/** @throws AppError as `planDecisions` */
export function planEvents(query: EventQuery): QueryPlan {
  const kind = query.kind ?? { values: [ANY_EVENT], negated: false };
  const conditions: Condition[] = [{ field: 'kind', ...kind }];
  if (kind.negated) conditions.push({ field: 'kind', values: [ANY_EVENT], negated: false });
  return plan(query, true, conditions);
}

/** Whether a leaf is an answer, its place and the cursor aside. */
export function matches(facts: LeafFacts, query: QueryPlan): boolean {
  if (facts.isEvent !== query.events) return false;
  if (query.from !== undefined && facts.time < query.from) return false;
  if (query.to !== undefined && facts.time >= query.to) return false;
  return query.conditions.every(({ field, values, negated }) => {
    const known = facts.values.get(field) ?? [];
    const hit = values.some(wanted => known.some(fact => meansFact(field, wanted, fact)));
    return hit !== negated;
  });
}

/** The cursor behind the entry at `index`. */
export function cursorAfter(index: number, query: QueryPlan): string {
  return Buffer.from(`${CURSOR_VERSION}.${index}.${query.fingerprint}`).toString('base64url');
}

const CURSOR_VERSION = '1';

function plan(query: DecisionQuery | EventQuery, events: boolean, own: readonly Condition[]): QueryPlan {
  const { from, to, order, limit, tenants, cursor } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_ITEMS) {
    throw invalid('limit', `\`${limit}\` is not a whole number from 1 to ${MAX_PAGE_ITEMS}`);
  }
  const visible: Condition[] =
    tenants === undefined ? [] : [{ field: 'visible', values: tenants, negated: false }];
  const conditions = [...own, ...visible];
  const fingerprint = fingerprintOf({
    events,
    conditions: conditions.map(({ field, values, negated }) => ({ field, values, negated })),
    from,
    to,
    order,
  });
  const after = cursor === undefined ? undefined : readCursor(cursor, fingerprint);
  return { events, conditions, from, to, order, limit, after, fingerprint };
}

/** Half of a SHA-256, so that no two queries share it. */
function fingerprintOf(parts: Encodable): string {
  const digest = leafHash(new TextEncoder().encode(canonicalJson(parts)));
  return Buffer.from(digest.subarray(0, 16)).toString('hex');
}

function readCursor(cursor: string, fingerprint: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const parts = /^1\.(0|[1-9][0-9]{0,15})\.([0-9a-f]{32})$/.exec(text);
  // The decoder skips what is not base64url; only the one spelling that was handed out is taken back.
  if (parts === null || Buffer.from(text).toString('base64url') !== cursor)
    throw invalid('cursor', 'it is not a cursor of this service');
  if (parts[2] !== fingerprint) throw invalid('cursor', 'it belongs to another query');
  return Number(parts[1]);
}

function invalid(parameter: string, message: string): AppError {
  return new AppError('INVALID_REQUEST', `the parameter \`${parameter}\` is not valid: ${message}`, {
    problems: [
      {
        pointer: `?${parameter}`,
        message,
        ...(parameter === 'cursor'
          ? { hint: 'take `nextCursor` of the same query with the same parameters, or leave `cursor` out' }
          : {}),
      },
    ],
  });
}
