/** The directory as enrolment uses it: principals of issuers are written like any other, in the issuer's name. */
import type { Caller, DirectoryService } from '../directory/service.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE, tenantPrefix } from '../domain/names.ts';
import type { JsonObject } from '../domain/json.ts';
import { EntityUid } from '../domain/value.ts';
import type { PrincipalRegistry } from '../identity/callers/enrolment.ts';

const ROLE = 'Role';
/** How often the roles of a principal are written that others write at the same time. */
const MAX_ATTEMPTS = 5;

export class DirectoryRegistry implements PrincipalRegistry {
  readonly #directory: DirectoryService;

  constructor(directory: DirectoryService) {
    this.#directory = directory;
  }

  find({ type, id }: EntityRef): { readonly tenant: string | undefined } | undefined {
    return this.#directory.graph.get(new EntityUid(`${NAMESPACE}::${type}`, id).key);
  }

  rolesOf(principal: EntityRef): readonly string[] {
    return this.#record(principal)
      .parents.filter(({ type }) => type === ROLE)
      .map(({ id }) => id);
  }

  async create(
    principal: EntityRef,
    roles: readonly string[],
    attributes: JsonObject,
    issuer: string,
  ): Promise<void> {
    const tenant = tenantPrefix(principal.id);
    const parents = [...(tenant === undefined ? [] : [{ type: 'Tenant', id: tenant }]), ...roles.map(role)];
    const body = { attributes, parents, tags: {}, status: 'active' } as const;
    try {
      await this.#directory.put(principal, body, actor(principal, issuer), { ifNoneMatch: '*' });
    } catch (error) {
      // somebody made it in the meantime: it is as they made it
      if (!isOutdated(error)) throw error;
    }
  }

  async setRoles(principal: EntityRef, roles: readonly string[], issuer: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { parents, revision } = this.#record(principal);
      const others = parents.filter(({ type }) => type !== ROLE);
      const patch = { parents: [...others, ...roles.map(role)] };
      try {
        // a parent that was taken away while this waited must not come back
        await this.#directory.patch(principal, patch, actor(principal, issuer), { ifMatch: [revision] });
        return;
      } catch (error) {
        if (!isOutdated(error) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  #record(principal: EntityRef) {
    return this.#directory.get(principal, { keyId: 'system', tenants: undefined });
  }
}

/** Whether somebody wrote the principal in the meantime. */
function isOutdated(error: unknown): boolean {
  return error instanceof AppError && error.code === 'PRECONDITION_FAILED';
}

/** The issuer may write in the principal's tenant, which the mapping found to be one of its own. */
function actor({ id }: EntityRef, issuer: string): Caller {
  const tenant = tenantPrefix(id);
  return { keyId: `issuer:${issuer}`, tenants: new Set(tenant === undefined ? [] : [tenant]) };
}

function role(id: string): EntityRef {
  return { type: ROLE, id };
}
