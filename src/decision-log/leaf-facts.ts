/**
 * What a query can ask about a leaf, read from its content. Every backend indexes exactly these facts, so that
 * one query has one answer.
 *
 * `tenant` is the tenant whose data is used; `principal` is written `User::acme/alice`; `model` is the resource
 * when it is a model; `code` and `level` are those of the reason; `policy` are the determining and erroring
 * policies of all checks; `bundle` the digests of all layers.
 */
import { tenantPrefix } from '../domain/ids.ts';
import { isJsonList, isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { LEVELS } from '../domain/reason.ts';
import type { DecisionFilterName } from './ports.ts';

/** `kind` is for events; `visible` names the tenants that may see the entry. */
export type FactField = DecisionFilterName | 'kind' | 'visible';

/** The kind of every event, so that all of them can be listed. */
export const ANY_EVENT = '*';

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
  return text(leaf['id']);
}

/** Milliseconds since the epoch. */
export function leafTime(leaf: JsonObject): number {
  const time = leaf['time'];
  return typeof time === 'number' ? time : 0;
}

export function isEventLeaf(leaf: JsonObject): boolean {
  return leaf['kind'] !== 'decision';
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
  visit('kind', text(leaf['kind']));
  visit('kind', ANY_EVENT);
  visit('visible', text(leaf['tenant']));
}

function visitDecision(leaf: JsonObject, visit: FactVisitor): void {
  const request = object(leaf['request']);
  const reason = object(leaf['reason']);
  const principal = object(request['principal']);
  const resource = object(request['resource']);
  const tenant = text(request['tenant']);
  visit('tenant', tenant);
  visit('principal', `${text(principal['type'])}${TYPE_MARK}${text(principal['id'])}`);
  if (resource['type'] === 'Model') visit('model', text(resource['id']));
  visit('action', text(request['action']));
  visit('decision', text(leaf['decision']));
  visit('code', text(reason['code']));
  visit('level', text(reason['level']));
  visitTexts('policy', reason['policies'], visit);
  visitChecks(object(leaf['levels']), visit);
  const layers = object(object(leaf['revision'])['layers']);
  for (const name of Object.keys(layers)) visit('bundle', text(layers[name]));
  visit('requestId', text(request['requestId']));
  visit('visible', tenant);
  // a pseudonym does not tell its tenant, so an entry says it, unless it is the tenant whose data is used
  visit('visible', text(request['principalTenant']) || ownTenant(principal));
  visit('visible', text(request['resourceTenant']) || ownTenant(resource));
}

function ownTenant(ref: JsonObject): string {
  const id = text(ref['id']);
  return text(ref['type']) === 'Tenant' ? id : (tenantPrefix(id) ?? '');
}

function visitChecks(levels: JsonObject, visit: FactVisitor): void {
  for (const level of LEVELS) {
    for (const entry of checksOf(levels[level])) {
      const check = object(entry);
      visitTexts('policy', check['policies'], visit);
      visitTexts('policy', check['errors'], visit);
    }
  }
}

/** The checks of a level: in format 1 a member of it. */
function checksOf(level: JsonValue | undefined): readonly JsonValue[] {
  return isJsonList(level) ? level : list(object(level)['checks']);
}

function visitTexts(field: FactField, value: JsonValue | undefined, visit: FactVisitor): void {
  for (const element of list(value)) visit(field, text(element));
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return isJsonList(value) ? value : [];
}

const NOTHING: JsonObject = {};

function object(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : NOTHING;
}
