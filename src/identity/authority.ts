/**
 * What a credential may do. Invariant: authority never grows by passing it on: whoever makes or revokes a key
 * holds every role, every tenant and every right of that key.
 */
import type { CallerRules } from '../domain/caller-rules.ts';
import type { ApiKey, Credential, Role } from '../domain/credential.ts';
import type { LayerName } from '../domain/ids.ts';

/** `admin` holds every role. */
export function holdsRole(credential: Credential, role: Role): boolean {
  return credential.roles.has(role) || credential.roles.has('admin');
}

/** Whether the credential may act for the tenant; `undefined` stands for what belongs to no tenant. */
export function mayActFor(credential: Pick<Credential, 'tenants'>, tenant: string | undefined): boolean {
  return credential.tenants === undefined || (tenant !== undefined && credential.tenants.has(tenant));
}

/** Whether the credential may see and change a layer: `platform` belongs to no tenant. */
export function mayActOnLayer(credential: Pick<Credential, 'tenants'>, layer: LayerName): boolean {
  return mayActFor(credential, layer === 'platform' ? undefined : layer.slice('tenant:'.length));
}

/** Those of some layers that the credential may see, in their order. */
export function layersInReach(
  credential: Pick<Credential, 'tenants'>,
  layers: readonly LayerName[],
): readonly LayerName[] {
  return layers.filter(layer => mayActOnLayer(credential, layer));
}

/** The part of a key that grants something. */
export interface Grant extends Pick<ApiKey, 'roles' | 'mayAssert'> {
  readonly tenants?: readonly string[] | undefined;
  readonly callers?: CallerRules | undefined;
}

/** Why a credential may not hand out a grant; undefined when it may. */
export function excessOf(credential: Credential, grant: Grant): string | undefined {
  const role = grant.roles.find(wanted => !holdsRole(credential, wanted));
  if (role !== undefined) return `the role \`${role}\`, which this credential does not hold`;
  if (credential.tenants !== undefined) {
    if (grant.tenants === undefined) return 'every tenant, while this credential is limited to some';
    const tenant = grant.tenants.find(wanted => !mayActFor(credential, wanted));
    if (tenant !== undefined) return `the tenant \`${tenant}\`, for which this credential may not act`;
  }
  if (widensCallers(credential, grant)) return 'other rules for callers than this credential';
  if (grant.mayAssert && !credential.mayAssert) return '`mayAssert`, which this credential does not hold';
  return undefined;
}

/** A key that is held to rules for callers makes deciding keys with the very same rules alone. */
function widensCallers({ callers }: Credential, grant: Grant): boolean {
  if (callers === undefined || !grant.roles.some(role => role === 'pep' || role === 'admin')) return false;
  return JSON.stringify(grant.callers) !== JSON.stringify(callers);
}

/** Whether a key concerns nobody but the tenants of the credential; other keys do not exist for it. */
export function maySeeKey(credential: Credential, key: Pick<ApiKey, 'tenants'>): boolean {
  if (credential.tenants === undefined) return true;
  return key.tenants !== undefined && key.tenants.every(tenant => mayActFor(credential, tenant));
}
