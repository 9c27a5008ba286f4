/**
 * What a query can ask about a leaf, read from its content. Every backend indexes exactly these facts, so that
 * one query has one answer.
 *
 * `tenant` is the tenant whose data is used; `principal` is written `User::acme/alice`; `model` is the resource
 * when it is a model; `code` and `level` are those of the reason; `policy` are the determining and erroring
 * policies of all checks; `bundle` the digests of all layers; `outcome` is `none` where no call follows the decision, and
 * `reported` from the entry on that says how the call ended; a decision without either misses its outcome.
 */
import { LEVELS, tenantPrefix } from '../domain/names.ts';
import { isJsonList, type JsonObject, type JsonValue, listOf, objectOf, textOf } from '../domain/json.ts';
import type { DecisionFilterName } from './ports.ts';

/** `kind` is for events; `visible` names the tenants that may see the entry. */
export type FactField = DecisionFilterName | 'kind' | 'visible';

/** The kind of every event, so that all of them can be listed. */
export const ANY_EVENT = '*';

/** States of `outcome`; the first one is the absence of the others. */
export const OUTCOME_STATES = ['missing', 'reported', 'none'] as const;

export interface LeafFacts {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly isEvent: boolean;
  /** Distinct values by field. */
  readonly values: ReadonlyMap<FactField, readonly string[]>;
}

/** Separates type and id of a principal; no type contains it. */
const TYPE_MARK = '::';

/** Takes one fact; the same one can come more than once. */
export type FactVisitor = (field: FactField, value: string) => void;

/** Reads the facts of a leaf. Absent or foreign parts yield no facts. */
export function leafFacts(leaf: JsonObject): LeafFacts {
  const values = new Map<FactField, string[]>();
  visitFacts(leaf, (field, value) => {
    const known = values.get(field);
    if (known === undefined) values.set(field, [value]);
    else if (!known.includes(value)) known.push(value);
  });
  return { id: leafId(leaf), time: leafTime(leaf), isEvent: isEventLeaf(leaf), values };
}

/** The parts of `leafFacts` for who has thousands of leaves to read: nothing is allocated but principals. */
export function visitFacts(leaf: JsonObject, visit: FactVisitor): void {
  const tell: FactVisitor = (field, value) => {
    if (value !== '') visit(field, value);
  };
  if (isEventLeaf(leaf)) visitEvent(leaf, tell);
  else visitDecision(leaf, tell);
}

export function leafId(leaf: JsonObject): string {
  return textOf(leaf['id']);
}

/** Milliseconds since the epoch. */
export function leafTime(leaf: JsonObject): number {
  const time = leaf['time'];
  return typeof time === 'number' ? time : 0;
}

export function isEventLeaf(leaf: JsonObject): boolean {
  return leaf['kind'] !== 'decision';
}

/** The decision that an entry reports the outcome of; undefined for every other entry. */
export function reportedDecision(leaf: JsonObject): string | undefined {
  return leaf['kind'] === 'decision.outcome' ? textOf(leaf['subject']) : undefined;
}

/** The id in a principal as it is indexed: `acme/alice` of `User::acme/alice`. */
export function principalId(principal: string): string {
  const mark = principal.indexOf(TYPE_MARK);
  return mark < 0 ? principal : principal.slice(mark + TYPE_MARK.length);
}

/** Whether a filter value means this fact. A principal may be named with its type or by its id alone. */
export function meansFact(field: FactField, wanted: string, fact: string): boolean {
  return wanted === fact || (field === 'principal' && wanted === principalId(fact));
}

function visitEvent(leaf: JsonObject, visit: FactVisitor): void {
  visit('kind', textOf(leaf['kind']));
  visit('kind', ANY_EVENT);
  visit('visible', textOf(leaf['tenant']));
}

function visitDecision(leaf: JsonObject, visit: FactVisitor): void {
  const request = objectOf(leaf['request']);
  const reason = objectOf(leaf['reason']);
  const principal = objectOf(request['principal']);
  const resource = objectOf(request['resource']);
  const tenant = textOf(request['tenant']);
  visit('tenant', tenant);
  visit('principal', `${textOf(principal['type'])}${TYPE_MARK}${textOf(principal['id'])}`);
  if (resource['type'] === 'Model') visit('model', textOf(resource['id']));
  visit('action', textOf(request['action']));
  visit('decision', textOf(leaf['decision']));
  if (leaf['decision'] !== 'allow' || request['consume'] === false) visit('outcome', 'none');
  visit('code', textOf(reason['code']));
  visit('level', textOf(reason['level']));
  visitTexts('policy', reason['policies'], visit);
  visitChecks(objectOf(leaf['levels']), visit);
  const layers = objectOf(objectOf(leaf['revision'])['layers']);
  for (const name of Object.keys(layers)) visit('bundle', textOf(layers[name]));
  visit('requestId', textOf(request['requestId']));
  visit('visible', tenant);
  // a pseudonym does not tell its tenant, so an entry says it, unless it is the tenant whose data is used
  visit('visible', textOf(request['principalTenant']) || ownTenant(principal));
  visit('visible', textOf(request['resourceTenant']) || ownTenant(resource));
}

function ownTenant(ref: JsonObject): string {
  const id = textOf(ref['id']);
  return textOf(ref['type']) === 'Tenant' ? id : (tenantPrefix(id) ?? '');
}

function visitChecks(levels: JsonObject, visit: FactVisitor): void {
  for (const level of LEVELS) {
    for (const entry of checksOf(levels[level])) {
      const check = objectOf(entry);
      visitTexts('policy', check['policies'], visit);
      visitTexts('policy', check['errors'], visit);
    }
  }
}

/** The checks of a level: in format 1 a member of it. */
function checksOf(level: JsonValue | undefined): readonly JsonValue[] {
  return isJsonList(level) ? level : listOf(objectOf(level)['checks']);
}

function visitTexts(field: FactField, value: JsonValue | undefined, visit: FactVisitor): void {
  for (const element of listOf(value)) visit(field, textOf(element));
}
