/**
 * The entities that a policy of bounded level can read. Invariant: every entity within `MAX_LEVEL` steps of
 * the request is there if it exists, so evaluation over the slice equals evaluation over the directory.
 */
import { type Entity, EntityUid, RecordValue, SetValue, type Value } from '../domain/value.ts';
import { isActionType, MAX_LEVEL } from './harden.ts';
import type { EvaluationRequest } from './types.ts';

/**
 * Principal, resource and the entities in the context are one step away; those that they refer to, also in
 * sets, records and tags, one more; and so on. Ancestors are part of each entity and need none of their own.
 * Actions are left out: the schema defines them.
 */
export function collectEntities(request: EvaluationRequest): readonly Entity[] {
  const found = new Map<string, Entity>();
  const seen = new Set<string>();
  let frontier: EntityUid[] = [request.principal, request.resource];
  collectReferences(request.context, frontier);
  for (let level = 1; level <= MAX_LEVEL && frontier.length > 0; level++) {
    const next: EntityUid[] = [];
    for (const uid of frontier) {
      if (seen.has(uid.key)) continue;
      seen.add(uid.key);
      const entity = request.entities.get(uid.key);
      if (entity === undefined || isActionType(uid.type)) continue;
      found.set(uid.key, entity);
      collectReferences(entity.attributes, next);
      collectReferences(entity.tags, next);
    }
    frontier = next;
  }
  return [...found.values()];
}

function collectReferences(value: Value, references: EntityUid[]): void {
  if (typeof value !== 'object') return;
  if (value instanceof EntityUid) references.push(value);
  else if (value instanceof SetValue)
    for (const element of value.elements) collectReferences(element, references);
  else if (value instanceof RecordValue)
    for (const member of value.entries.values()) collectReferences(member, references);
}
