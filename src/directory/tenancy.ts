/**
 * Who owns an entity, and who may touch it. Invariant: a caller that is limited to tenants cannot tell a
 * foreign entity from a missing one, and cannot write outside the ids of its own tenants.
 */
import { AppError, type Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE, tenantPrefix } from '../domain/names.ts';
import { EntityUid, type RecordValue } from '../domain/value.ts';

/** Tenants that a caller is limited to; undefined: all. */
export type AllowedTenants = ReadonlySet<string> | undefined;

/** The owner by the name alone: a Tenant owns itself, `acme/x` belongs to `acme`; undefined: nobody's. */
export function ownerByName(ref: EntityRef): string | undefined {
  return ref.type === 'Tenant' ? ref.id : tenantPrefix(ref.id);
}

/** The owner of an entity: its `tenant` attribute, else by its name. */
export function ownerOf(ref: EntityRef, attributes: RecordValue): string | undefined {
  const tenant = attributes.entries.get('tenant');
  if (ref.type !== 'Tenant' && tenant instanceof EntityUid && tenant.type === `${NAMESPACE}::Tenant`) {
    return tenant.id;
  }
  return ownerByName(ref);
}

export function isAllowed(owner: string | undefined, allowed: AllowedTenants): boolean {
  return allowed === undefined || (owner !== undefined && allowed.has(owner));
}

/** The answer for a missing entity, and for a foreign one: word for word the same. */
export function missing(ref: EntityRef): AppError {
  return new AppError('NOT_FOUND', `there is no \`${ref.type}\` \`${ref.id}\``);
}

/**
 * The refusal of a write outside the caller's tenants; undefined when it may write. It depends on what the
 * caller sent alone, so that it tells nothing about what exists.
 */
export function foreignWrite(
  ref: EntityRef,
  owner: string | undefined,
  allowed: AllowedTenants,
): Problem | undefined {
  if (!isAllowed(ownerByName(ref), allowed)) {
    return {
      pointer: '/id',
      message: `the credential may not write \`${ref.type}\` \`${ref.id}\``,
      hint: 'it may write ids that begin with one of its tenants and a slash',
    };
  }
  if (!isAllowed(owner, allowed)) {
    return {
      pointer: '/attributes/tenant',
      message: `the credential may not act for the tenant \`${owner ?? ''}\``,
      hint: 'name one of the tenants of the credential',
    };
  }
  return undefined;
}
