/**
 * Whether the parties of a request exist and may act at all, before any policy is asked. Invariant: an unknown,
 * disabled or suspended party denies every check, whatever the policies say.
 */
import type { DirectoryEntity } from '../directory/view.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { NAMESPACE, tenantPrefix } from '../domain/ids.ts';
import type { ReasonCode } from '../domain/reason.ts';
import type { EntityUid } from '../domain/value.ts';
import { ownerOf } from './check.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** Why a request or a check is denied without asking a policy. */
export interface Objection {
  readonly code: ReasonCode;
  readonly message: string;
}

/** Who asks, with whose data. */
export interface Parties {
  readonly principal: EntityUid;
  readonly principalEntity: DirectoryEntity | undefined;
  /** The tenant whose data is used; empty when neither the request, the directory nor the id tells. */
  readonly tenant: string;
}

/** Resolves principal and tenant. `tenant` defaults to the principal's own (api.md, POST /decide). */
export function resolveParties(snapshot: Snapshot, request: DecisionRequest): Parties {
  const principal = qualify(request.principal.type, request.principal.id);
  const principalEntity = snapshot.directory.get(principal.key);
  const own = principalEntity === undefined ? undefined : ownerOf(principalEntity);
  return {
    principal,
    principalEntity,
    tenant: request.tenant ?? own ?? tenantPrefix(request.principal.id) ?? '',
  };
}

/** The first objection to the request as a whole. */
export function objectToRequest(
  snapshot: Snapshot,
  request: DecisionRequest,
  parties: Parties,
): Objection | undefined {
  const { principalEntity } = parties;
  if (principalEntity === undefined) {
    return { code: 'UNKNOWN_PRINCIPAL', message: `there is no principal \`${wire(parties.principal)}\`` };
  }
  if (principalEntity.status === 'disabled') {
    return { code: 'PRINCIPAL_DISABLED', message: `principal \`${wire(parties.principal)}\` is disabled` };
  }
  const own = ownerOf(principalEntity);
  return (
    objectToTenant(snapshot, parties.tenant) ??
    (own === undefined || own === parties.tenant ? undefined : objectToTenant(snapshot, own)) ??
    (request.onBehalfOf === undefined ? undefined : objectToTenant(snapshot, request.onBehalfOf)) ??
    objectToAgents(snapshot, request)
  );
}

/** Why a resource cannot be decided about. */
export function objectToResource(
  snapshot: Snapshot,
  resource: EntityUid,
  entity: DirectoryEntity | undefined,
): Objection | undefined {
  if (entity === undefined) {
    return resource.type === TENANT_TYPE
      ? { code: 'UNKNOWN_TENANT', message: `there is no tenant \`${resource.id}\`` }
      : { code: 'UNKNOWN_RESOURCE', message: `there is no resource \`${wire(resource)}\`` };
  }
  if (resource.type === TENANT_TYPE) return objectToTenant(snapshot, resource.id);
  if (entity.status === 'disabled') {
    return { code: 'UNKNOWN_RESOURCE', message: `resource \`${wire(resource)}\` is disabled` };
  }
  const owner = ownerOf(entity);
  return owner === undefined ? undefined : objectToTenant(snapshot, owner);
}

const TENANT_TYPE = `${NAMESPACE}::Tenant`;

function objectToTenant(snapshot: Snapshot, id: string): Objection | undefined {
  const tenant = snapshot.directory.get(qualify('Tenant', id).key);
  if (tenant === undefined) return { code: 'UNKNOWN_TENANT', message: `there is no tenant \`${id}\`` };
  if (tenant.status === 'disabled')
    return { code: 'TENANT_SUSPENDED', message: `tenant \`${id}\` is suspended` };
  return undefined;
}

/** Every agent of the delegation must exist and be active: a disabled one must not ride on its caller's rights. */
function objectToAgents(snapshot: Snapshot, request: DecisionRequest): Objection | undefined {
  if (request.via === undefined) return undefined;
  for (const id of [request.via.agent, ...request.via.chain]) {
    const agent = snapshot.directory.get(qualify('Agent', id).key);
    if (agent === undefined) return { code: 'UNKNOWN_PRINCIPAL', message: `there is no agent \`${id}\`` };
    if (agent.status === 'disabled')
      return { code: 'PRINCIPAL_DISABLED', message: `agent \`${id}\` is disabled` };
  }
  return undefined;
}

/** `User acme/alice`: how messages name an entity. */
function wire(uid: EntityUid): string {
  return `${uid.type.slice(NAMESPACE.length + 2)} ${uid.id}`;
}
