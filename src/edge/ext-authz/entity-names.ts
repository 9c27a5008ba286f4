/**
 * From the names that requests use to the ids of registered entities. Invariant: a name leads to one entity or
 * to none; names are compared byte for byte, and a name that could mean two entities is refused.
 */
import { type EntityRef, ID_PATTERN } from '../../domain/ids.ts';
import { NAMESPACE } from '../../domain/names.ts';
import type { Credential } from '../../domain/credential.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { EntityUid } from '../../domain/value.ts';
import { isOfOthers } from '../../pdp/foreign.ts';
import type { Services } from '../http/services.ts';
import { deny } from './request-denied.ts';

/** Whether the directory holds an entity. */
export type Registry = (type: 'Model' | 'Tool', id: string) => boolean;

/** Looks into the directory as it is when it is asked. */
export function registryOf(directory: Services['directory']): Registry {
  return (type, id) => directory.graph.get(new EntityUid(`${NAMESPACE}::${type}`, id).key) !== undefined;
}

/** Whether an entity is not to be known to who is limited to these tenants. */
export type Foreign = (type: 'Model', id: string, tenants: Credential['tenants']) => boolean;

/** Looks into the directory as it is when it is asked. */
export function foreignOf(directory: Services['directory']): Foreign {
  return (type, id, tenants) =>
    isOfOthers(directory.graph, new EntityUid(`${NAMESPACE}::${type}`, id), tenants);
}

/** Tier of a principal; undefined: it has none. */
export type Tiers = (principal: EntityRef) => string | undefined;

/** Looks into the directory as it is when it is asked. */
export function tiersOf(directory: Services['directory']): Tiers {
  return ({ type, id }) => {
    const entity = directory.graph.get(new EntityUid(`${NAMESPACE}::${type}`, id).key);
    const tier = entity?.attributes.entries.get('tier');
    return typeof tier === 'string' ? tier : undefined;
  };
}

/** What is said of a name that no model has. */
export const NO_MODEL = {
  code: 'MODEL_UNKNOWN',
  message: 'no registered model has the name that the request uses',
} as const;

/**
 * The registered model that a request calls `name`: by the profile's table, else by its id, else by its id below
 * the tenant. @throws RequestDenied MODEL_UNKNOWN or MODEL_AMBIGUOUS
 */
export function resolveModel(
  name: string,
  { models }: Pick<PepProfile, 'models'>,
  tenant: string | undefined,
  isRegistered: Registry,
): string {
  const alias = Object.hasOwn(models, name) ? models[name] : undefined;
  if (alias !== undefined) return alias;
  const found = candidates(name, tenant).filter(id => isRegistered('Model', id));
  if (found.length > 1) deny('MODEL_AMBIGUOUS', 'the name of the model stands for two registered models');
  return found[0] ?? deny(NO_MODEL.code, NO_MODEL.message);
}

/** The tool that a request calls `name`; where none is registered, an id that none will have. */
export function resolveTool(
  name: string,
  { toolIds }: Pick<PepProfile, 'toolIds'>,
  tenant: string | undefined,
  isRegistered: Registry,
): string {
  const alias = Object.hasOwn(toolIds, name) ? toolIds[name] : undefined;
  if (alias !== undefined) return alias;
  const ids = candidates(name, tenant);
  const found = ids.filter(id => isRegistered('Tool', id));
  if (found.length > 1) deny('INPUT_REJECTED', 'the name of a tool stands for two registered tools');
  return found[0] ?? ids[0] ?? deny('INPUT_REJECTED', 'the name of a tool is no id');
}

function candidates(name: string, tenant: string | undefined): string[] {
  const ids = tenant === undefined ? [name] : [name, `${tenant}/${name}`];
  return ids.filter(id => ID_PATTERN.test(id));
}
