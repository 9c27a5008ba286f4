/**
 * Whom a request names, looked up once: the principal, the tenant and each resource. Invariant: within one
 * decision an entity is read from the directory at most once per name, and always from the same snapshot.
 */
import type { DirectoryEntity } from '../directory/view.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { tenantPrefix } from '../domain/names.ts';
import type { Entity, EntitySource, EntityUid } from '../domain/value.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** Who asks, with whose data. */
export interface Parties {
  readonly principal: EntityUid;
  readonly principalEntity: DirectoryEntity | undefined;
  /** The model, partition, tool or sink that the request names first. */
  readonly resource: EntityUid;
  readonly resourceEntity: DirectoryEntity | undefined;
  /** The tenant whose data is used; empty when neither the request, the directory nor the id tells. */
  readonly tenant: string;
  /** The same as an entity. */
  readonly tenantUid: EntityUid;
  readonly tenantEntity: DirectoryEntity | undefined;
}

/** The tenant whose data a request uses, for who needs to know nothing else of its parties. */
export function tenantOf(snapshot: Snapshot, request: DecisionRequest): string {
  const { tenant, principal } = request;
  return tenant ?? ownTenant(request, snapshot.directory.get(qualify(principal.type, principal.id).key));
}

function ownTenant({ principal }: DecisionRequest, entity: DirectoryEntity | undefined): string {
  return entity?.tenant ?? tenantPrefix(principal.id) ?? '';
}

/** Resolves principal and tenant. `tenant` defaults to the principal's own (api.md, POST /decide). */
export function resolveParties(snapshot: Snapshot, request: DecisionRequest): Parties {
  const named = qualify(request.principal.type, request.principal.id);
  const principalEntity = snapshot.directory.get(named.key);
  const tenant = request.tenant ?? ownTenant(request, principalEntity);
  const resource = qualify(request.resource.type, request.resource.id);
  const resourceEntity = snapshot.directory.get(resource.key);
  const tenantUid = qualify('Tenant', tenant);
  const tenantEntity = snapshot.directory.get(tenantUid.key);
  // the directory's own uids: equal, and their keys are hashed already
  return {
    principal: principalEntity?.uid ?? named,
    principalEntity,
    resource: resourceEntity?.uid ?? resource,
    resourceEntity,
    tenant,
    tenantUid: tenantEntity?.uid ?? tenantUid,
    tenantEntity,
  };
}

/**
 * The snapshot's entities as one check reads them: principal and resource, which nearly every policy reads, are
 * at hand; all others come from the snapshot.
 */
export class CheckEntities implements EntitySource {
  readonly #snapshot: EntitySource;
  readonly #principal: Entity;
  readonly #resource: Entity;

  constructor(snapshot: EntitySource, principal: Entity, resource: Entity) {
    this.#snapshot = snapshot;
    this.#principal = principal;
    this.#resource = resource;
  }

  get(key: string): Entity | undefined {
    if (key === this.#principal.uid.key) return this.#principal;
    if (key === this.#resource.uid.key) return this.#resource;
    return this.#snapshot.get(key);
  }
}
