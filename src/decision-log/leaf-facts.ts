/**
 * What a query can ask about a leaf, read from its content. Every backend indexes exactly these facts, so that
 * one query has one answer.
 *
 * `tenant` is the tenant whose data is used; `principal` is written `User::acme/alice`; `model` is the resource
 * when it is a model; `code` and `level` are those of the reason; `policy` are the determining and erroring
 * policies of all checks; `bundle` the digests of all layers.
 */
import { tenantPrefix } from '../domain/ids.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
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

/** Reads the facts of a leaf. Absent or foreign parts yield no facts. */
export function leafFacts(leaf: JsonObject): LeafFacts {
  const kind = text(leaf['kind']);
  const isEvent = kind !== 'decision';
  const time = leaf['time'];
  return {
    id: text(leaf['id']),
    time: typeof time === 'number' ? time : 0,
    isEvent,
    values: isEvent ? eventValues(leaf, kind) : decisionValues(leaf),
  };
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

function eventValues(leaf: JsonObject, kind: string): Map<FactField, readonly string[]> {
  return new Map<FactField, readonly string[]>([
    ['kind', [kind, ANY_EVENT]],
    ['visible', distinct([text(leaf['tenant'])])],
  ]);
}

function decisionValues(leaf: JsonObject): Map<FactField, readonly string[]> {
  const request = object(leaf['request']);
  const reason = object(leaf['reason']);
  const principal = object(request['principal']);
  const resource = object(request['resource']);
  const tenant = text(request['tenant']);
  const resourceId = text(resource['id']);
  return new Map<FactField, readonly string[]>([
    ['tenant', distinct([tenant])],
    ['principal', distinct([`${text(principal['type'])}${TYPE_MARK}${text(principal['id'])}`])],
    ['model', distinct(text(resource['type']) === 'Model' ? [resourceId] : [])],
    ['action', distinct([text(request['action'])])],
    ['decision', distinct([text(leaf['decision'])])],
    ['code', distinct([text(reason['code'])])],
    ['level', distinct([text(reason['level'])])],
    ['policy', distinct([...texts(reason['policies']), ...checkPolicies(object(leaf['levels']))])],
    ['bundle', distinct(Object.values(object(object(leaf['revision'])['layers'])).map(text))],
    ['requestId', distinct([text(request['requestId'])])],
    [
      'visible',
      distinct([
        tenant,
        text(request['principalTenant']) || ownTenant(principal),
        text(request['resourceTenant']) || ownTenant(resource),
      ]),
    ],
  ]);
}

function ownTenant(ref: JsonObject): string {
  const id = text(ref['id']);
  return text(ref['type']) === 'Tenant' ? id : (tenantPrefix(id) ?? '');
}

function checkPolicies(levels: JsonObject): string[] {
  return Object.values(levels).flatMap(level =>
    list(object(level)['checks']).flatMap(check => [
      ...texts(object(check)['policies']),
      ...texts(object(check)['errors']),
    ]),
  );
}

function distinct(values: readonly string[]): readonly string[] {
  return [...new Set(values)].filter(value => value !== '');
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: JsonValue | undefined): string[] {
  return list(value).map(text);
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return isList(value) ? value : [];
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

const NOTHING: JsonObject = {};

function object(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !isList(value) ? value : NOTHING;
}
