/**
 * Whether the parties of a request exist and may act at all, before any policy is asked. Invariant: an unknown,
 * disabled or suspended party denies every check, whatever the policies say.
 */
import { shortName } from '../cedar/data.ts';
import type { DirectoryEntity } from '../directory/view.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { ReasonCode } from '../domain/reason.ts';
import { orMeant } from '../domain/spelling.ts';
import type { EntityUid } from '../domain/value.ts';
import type { Parties } from './parties.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** Why a request or a check is denied without asking a policy. */
export interface Objection {
  readonly code: ReasonCode;
  readonly message: string;
}

const PRINCIPAL_TYPES = ['User', 'Service', 'Agent'];
const TENANT_TYPE = `${NAMESPACE}::Tenant`;

/** The first objection to the request as a whole: to its principal, its tenants and its agents. */
export function objectToRequest(
  snapshot: Snapshot,
  request: DecisionRequest,
  parties: Parties,
): Objection | undefined {
  const { principal, principalEntity, tenant, tenantEntity } = parties;
  if (principalEntity === undefined) {
    return { code: 'UNKNOWN_PRINCIPAL', message: missingPrincipal(snapshot, principal) };
  }
  if (principalEntity.status === 'disabled') {
    return { code: 'PRINCIPAL_DISABLED', message: `principal \`${nameOf(principal)}\` is disabled` };
  }
  const own = principalEntity.tenant;
  return (
    objectToStanding(tenant, tenantEntity) ??
    (own === undefined || own === tenant ? undefined : objectToTenant(snapshot, own)) ??
    (request.onBehalfOf === undefined ? undefined : objectToTenant(snapshot, request.onBehalfOf)) ??
    (request.via === undefined ? undefined : objectToAgents(snapshot, request.via))
  );
}

/**
 * Why a resource cannot be decided about.
 * @param tenant the data tenant, which `objectToRequest` has already found in good standing.
 */
export function objectToResource(
  snapshot: Snapshot,
  resource: EntityUid,
  entity: DirectoryEntity | undefined,
  tenant: string,
): Objection | undefined {
  if (entity === undefined) {
    return resource.type === TENANT_TYPE
      ? { code: 'UNKNOWN_TENANT', message: `there is no tenant \`${resource.id}\`` }
      : { code: 'UNKNOWN_RESOURCE', message: `there is no resource \`${nameOf(resource)}\`` };
  }
  if (entity.status === 'disabled' && resource.type !== TENANT_TYPE) {
    return { code: 'UNKNOWN_RESOURCE', message: `resource \`${nameOf(resource)}\` is disabled` };
  }
  const owner = entity.tenant;
  return owner === undefined || owner === tenant ? undefined : objectToTenant(snapshot, owner);
}

function objectToTenant(snapshot: Snapshot, id: string): Objection | undefined {
  return objectToStanding(id, snapshot.directory.get(qualify('Tenant', id).key));
}

function objectToStanding(id: string, tenant: DirectoryEntity | undefined): Objection | undefined {
  if (tenant === undefined) return { code: 'UNKNOWN_TENANT', message: `there is no tenant \`${id}\`` };
  if (tenant.status === 'disabled')
    return { code: 'TENANT_SUSPENDED', message: `tenant \`${id}\` is suspended` };
  return undefined;
}

/**
 * Every agent of the delegation must exist and be active, and so must its tenant: one that could not ask for itself
 * must not ride on its caller's rights.
 */
function objectToAgents(
  snapshot: Snapshot,
  via: { readonly agent: string; readonly chain: readonly string[] },
): Objection | undefined {
  for (const id of [via.agent, ...via.chain]) {
    const agent = snapshot.directory.get(qualify('Agent', id).key);
    if (agent === undefined) return { code: 'UNKNOWN_PRINCIPAL', message: `there is no agent \`${id}\`` };
    if (agent.status === 'disabled')
      return { code: 'PRINCIPAL_DISABLED', message: `agent \`${id}\` is disabled` };
    const suspended = agent.tenant === undefined ? undefined : objectToTenant(snapshot, agent.tenant);
    if (suspended !== undefined) return suspended;
  }
  return undefined;
}

function missingPrincipal({ schema }: Snapshot, principal: EntityUid): string {
  if (schema.entityTypes.has(principal.type)) return `there is no principal \`${nameOf(principal)}\``;
  const type = shortName(principal.type);
  return `there is no type \`${type}\`${orMeant(type, PRINCIPAL_TYPES)}`;
}

/** `User acme/alice`: how messages name an entity. */
function nameOf(uid: EntityUid): string {
  return `${shortName(uid.type)} ${uid.id}`;
}
