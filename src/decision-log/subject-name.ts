/**
 * Names of principals as leaves and the registry know them. Invariant: an entity key and its parts determine each
 * other, since neither a type nor an id holds a quote.
 */
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';

/** Types whose entities are persons or act like them: leaves name these by pseudonym alone. */
export const PRINCIPAL_TYPES = ['User', 'Service', 'Agent'] as const;

/** Whether an entity of this type (without namespace) is named by pseudonym. */
export function isPrincipalType(type: string): boolean {
  return PRINCIPAL_TYPES.some(known => known === type);
}

/** `AI::User::"acme/alice"` */
export function entityKey({ type, id }: EntityRef): string {
  return `${NAMESPACE}::${type}::"${id}"`;
}

/** Type (without namespace) and id of an entity key. @throws Error when the text is no entity key: a bug */
export function entityRef(entity: string): EntityRef {
  return { type: entity.slice(NAMESPACE.length + 2, entity.indexOf('::"')), id: entityId(entity) };
}

/** The id in an entity key. @throws Error when the text is no entity key: a bug */
export function entityId(entity: string): string {
  const start = entity.indexOf('"');
  if (start < 0 || !entity.endsWith('"')) throw new Error('this is no entity key');
  return entity.slice(start + 1, -1);
}
