/**
 * What the credential of a caller is limited to, beside the policies. Invariant: it can only object: a request that it
 * lets pass is decided by the same policies as any other, and what it cannot place is out of reach.
 */
import type { CallerKeyScope, CallerNarrowing } from '../domain/caller-key.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import type { JsonValue } from '../domain/json.ts';
import { NAMESPACE, tenantPrefix } from '../domain/names.ts';
import { isWithin, parseAddress, parseNetwork } from '../domain/network-address.ts';
import type { EntityUid } from '../domain/value.ts';
import type { Parties } from './parties.ts';
import { PARTITION_ACTIONS, qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** What a credential does not reach, in the words of the log. */
export type NarrowingCause = 'scope_action' | 'scope_model' | 'scope_tenant' | 'scope_network';

const MODEL_TYPE = `${NAMESPACE}::Model`;

/**
 * Why a request is out of the reach of a credential; undefined when it is within. One alternative has to cover all of
 * the request; where none does, the cause is what the last one lacks.
 */
export function objectToReach(
  snapshot: Snapshot,
  request: DecisionRequest,
  parties: Parties,
  { scopes, networks }: CallerNarrowing,
): NarrowingCause | undefined {
  if (!allowsAddress(networks, request.context?.['ip'])) return 'scope_network';
  let cause: NarrowingCause | undefined;
  for (const scope of scopes) {
    cause = whatIsBeyond(scope, snapshot, request, parties);
    if (cause === undefined) return undefined;
  }
  return cause;
}

/**
 * Whether an address is in one of the networks; none are no limit, and where there are some, no address is in none. An
 * IPv4 address in IPv6, as gateways that listen for both write it, is the IPv4 address, and a network is no address.
 */
export function allowsAddress(networks: readonly string[], address: JsonValue | undefined): boolean {
  if (networks.length === 0) return true;
  const given = typeof address === 'string' ? parseAddress(address) : undefined;
  if (given === undefined) return false;
  return networks.some(text => {
    // one that cannot be read allows nothing
    const network = parseNetwork(text);
    return network !== undefined && isWithin(given, network);
  });
}

function whatIsBeyond(
  { actions, models, modelGroups, tenants }: CallerKeyScope,
  snapshot: Snapshot,
  request: DecisionRequest,
  parties: Parties,
): NarrowingCause | undefined {
  if (actions !== undefined && !namedActions(request).every(one => isAction(snapshot, one, actions))) {
    return 'scope_action';
  }
  if ((models !== undefined || modelGroups !== undefined) && !isModel(parties, models, modelGroups)) {
    return 'scope_model';
  }
  if (tenants === undefined) return undefined;
  for (const tenant of touchedTenants(snapshot, request, parties)) {
    if (tenant === undefined || !tenants.includes(tenant)) return 'scope_tenant';
  }
  return undefined;
}

/** The action, and those that stand for what the request names beside it. */
function namedActions({ action, partitions, tools, outputs }: DecisionRequest): readonly string[] {
  return [
    action,
    ...(partitions ?? []).map(({ access }) => PARTITION_ACTIONS[access]),
    ...((tools?.length ?? 0) > 0 ? ['callTool'] : []),
    ...((outputs?.length ?? 0) > 0 ? ['writeOutput'] : []),
  ];
}

/** Whether an action is one of these, or in a group that is. */
function isAction({ planner }: Snapshot, action: string, allowed: readonly string[]): boolean {
  if (allowed.includes(action)) return true;
  const ancestors = planner.find(action)?.definition.ancestors;
  return ancestors !== undefined && allowed.some(name => ancestors.has(qualify('Action', name).key));
}

/** Whether the resource is one of these models, a version of one, or in one of the groups. */
function isModel(
  { resource, resourceEntity }: Parties,
  models: readonly string[] = [],
  groups: readonly string[] = [],
): boolean {
  if (resource.type !== MODEL_TYPE) return false;
  if (models.includes(resource.id)) return true;
  const ancestors = resourceEntity?.ancestors;
  return (
    ancestors !== undefined &&
    (models.some(id => ancestors.has(qualify('Model', id).key)) ||
      groups.some(id => ancestors.has(qualify('ModelGroup', id).key)))
  );
}

/** Whose data is used, who is represented, and who owns what is named, agents too; undefined where that is not known. */
function* touchedTenants(
  { directory }: Snapshot,
  { onBehalfOf, partitions, tools, outputs, via }: DecisionRequest,
  { tenant, resource, resourceEntity }: Parties,
): Generator<string | undefined> {
  yield tenant;
  if (onBehalfOf !== undefined) yield onBehalfOf;
  yield resourceEntity?.tenant ?? tenantPrefix(resource.id);
  const ownerOf = (uid: EntityUid) => directory.get(uid.key)?.tenant ?? tenantPrefix(uid.id);
  for (const { id } of partitions ?? []) yield ownerOf(qualify('DataPartition', id));
  for (const { id } of tools ?? []) yield ownerOf(qualify('Tool', id));
  for (const { id } of outputs ?? []) yield ownerOf(qualify('OutputSink', id));
  if (via === undefined) return;
  for (const id of [via.agent, ...via.chain]) yield ownerOf(qualify('Agent', id));
}
