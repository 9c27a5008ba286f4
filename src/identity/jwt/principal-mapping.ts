/**
 * From verified claims to a principal. Invariants: an issuer speaks for its tenants alone; an id names its issuer
 * unless the operator mapped it otherwise, and always lies within its tenant, as do the roles.
 */
import type { EntityRef } from '../../domain/ids.ts';
import { ENTITY_TYPE_PATTERN, ID_PATTERN } from '../../domain/ids.ts';
import type { ValueMapping } from '../../domain/issuer-settings.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { claimAt, mapAssurance, mapList, mapValue } from './claim-mapping.ts';
import type { Checked } from './claims-check.ts';
import type { Issuer } from './issuer.ts';
import { isJsonObject } from './strict-json.ts';

/** Whom a token stands for. */
export interface MappedPrincipal {
  readonly principal: EntityRef;
  readonly tenant: string;
  /** Ids of roles of the tenant. */
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly assurance: number;
  readonly client: string | undefined;
  readonly actors: Actors | undefined;
}

/** RFC 8693 §4.1: who acts now, first, and who acted before. */
export interface Actors {
  /** Ids of agents. */
  readonly chain: readonly string[];
  readonly humanApproved: boolean;
}

const ACTOR: ValueMapping = { claim: 'sub' };

/** Maps the claims of a verified token. @param subject its `sub`. */
export function mapPrincipal(issuer: Issuer, claims: JsonObject): Checked<MappedPrincipal> {
  const { mapping } = issuer;
  const [only] = issuer.tenants;
  const tenant = mapping.tenant === undefined ? only : mapValue(mapping.tenant, claims);
  if (tenant === undefined) return { cause: 'mapping' };
  if (!issuer.tenants.has(tenant)) return { cause: 'tenant' };
  const type = mapValue(mapping.type, claims);
  if (type === undefined || !ENTITY_TYPE_PATTERN.test(type)) return { cause: 'mapping' };
  if (!issuer.principalTypes.has(type)) return { cause: 'principal_type' };
  const id =
    mapping.id === undefined
      ? ownId(issuer, tenant, mapValue(mapping.subject, claims))
      : mapValue(mapping.id, claims);
  if (id === undefined || !isOwn(id, tenant, issuer)) return { cause: 'mapping' };
  const roles = mapList(mapping.roles, claims);
  const scopes = mapList(mapping.scopes, claims);
  if (roles === undefined || scopes === undefined) return { cause: 'mapping' };
  if (!issuer.requiredScopes.every(scope => scopes.includes(scope))) return { cause: 'scope' };
  const actors = mapActors(issuer, tenant, claims);
  if (actors === 'refused') return { cause: 'delegation' };
  return {
    value: {
      principal: { type, id },
      tenant,
      // groups of the issuer that are no roles of the tenant mean nothing here
      roles: roles.filter(role => isWithin(role, tenant)),
      scopes,
      assurance: mapAssurance(mapping.assurance, claims),
      client: mapValue(mapping.client, claims),
      actors,
    },
  };
}

function mapActors(issuer: Issuer, tenant: string, claims: JsonObject): Actors | undefined | 'refused' {
  let act: JsonValue | undefined = claims['act'];
  if (act === undefined) return undefined;
  const { delegation } = issuer;
  if (delegation === undefined) return 'refused';
  const chain: string[] = [];
  while (act !== undefined) {
    if (!isJsonObject(act) || chain.length >= delegation.maxDepth) return 'refused';
    // an actor of another issuer would have to be known by that issuer's rules
    if (act['iss'] !== undefined && act['iss'] !== issuer.issuer) return 'refused';
    const id =
      delegation.agent === undefined
        ? ownId(issuer, tenant, mapValue(ACTOR, act))
        : mapValue(delegation.agent, act);
    if (id === undefined || !isOwn(id, tenant, issuer)) return 'refused';
    chain.push(id);
    act = act['act'];
  }
  const approved = delegation.humanApproved;
  return { chain, humanApproved: approved !== undefined && claimAt(claims, approved) === true };
}

function ownId({ name }: Issuer, tenant: string, subject: string | undefined): string | undefined {
  return subject === undefined ? undefined : `${tenant}/${name}:${subject}`;
}

/** Whether an id lies in the tenant and is not one that another issuer's subjects have. */
function isOwn(id: string, tenant: string, { otherNames }: Issuer): boolean {
  if (!isWithin(id, tenant)) return false;
  const local = id.slice(tenant.length + 1);
  const colon = local.indexOf(':');
  return colon < 0 || !otherNames.has(local.slice(0, colon));
}

function isWithin(id: string, tenant: string): boolean {
  return ID_PATTERN.test(id) && id.startsWith(`${tenant}/`) && id.length > tenant.length + 1;
}
