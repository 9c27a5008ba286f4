/**
 * What a gateway that is limited to tenants is told of a deny. Invariant: an object of another tenant is answered about as if it
 * were not there, by asking again without it; the entry keeps what was decided, and an allow is never touched.
 */
import { setHas } from '../cedar/equality.ts';
import type { DirectoryEntity, DirectoryView } from '../directory/view.ts';
import type { Credential } from '../domain/credential.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { type EntityUid, SetValue } from '../domain/value.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** Tenants that a credential is limited to; undefined: it is not. */
type Tenants = Credential['tenants'];

/** Whether an entity is of another tenant, which is below none of these, and is shared with none of them. */
export function isOfOthers(directory: Pick<DirectoryView, 'get'>, uid: EntityUid, tenants: Tenants): boolean {
  const entity = tenants === undefined ? undefined : directory.get(uid.key);
  if (tenants === undefined || entity?.tenant === undefined || tenants.has(entity.tenant)) return false;
  const above = directory.get(qualify('Tenant', entity.tenant).key)?.ancestors;
  const isBelow =
    above !== undefined && [...tenants].some(tenant => above.has(qualify('Tenant', tenant).key));
  return !isBelow && !isSharedWith(entity, tenants);
}

/** Whether an entity is shared with one of these tenants. */
export function isSharedWith(entity: DirectoryEntity | undefined, tenants: ReadonlySet<string>): boolean {
  const sharedWith = entity?.attributes.entries.get('sharedWith');
  if (!(sharedWith instanceof SetValue)) return false;
  return [...tenants].some(tenant => setHas(sharedWith, qualify('Tenant', tenant)));
}

/**
 * The snapshot without what the request names of other tenants.
 * @param isProven whether the principal was verified here: then it is known to whoever holds its credential.
 * @returns undefined when the request names nothing of the kind.
 */
export function withoutForeign(
  snapshot: Snapshot,
  request: DecisionRequest,
  tenants: Tenants,
  isProven: boolean,
): Snapshot | undefined {
  if (tenants === undefined) return undefined;
  const hidden = new Set<string>();
  for (const uid of namedBy(request, isProven)) {
    if (isOfOthers(snapshot.directory, uid, tenants)) hidden.add(uid.key);
  }
  return hidden.size === 0
    ? undefined
    : { ...snapshot, directory: new DirectoryWithout(snapshot.directory, hidden) };
}

function* namedBy(request: DecisionRequest, isProven: boolean): Generator<EntityUid> {
  const { principal, resource, onBehalfOf, via, partitions, tools, outputs } = request;
  if (!isProven) yield qualify(principal.type, principal.id);
  yield qualify(resource.type, resource.id);
  if (onBehalfOf !== undefined) yield qualify('Tenant', onBehalfOf);
  if (via !== undefined) for (const id of [via.agent, ...via.chain]) yield qualify('Agent', id);
  for (const { id } of partitions ?? []) yield qualify('DataPartition', id);
  for (const { id } of tools ?? []) yield qualify('Tool', id);
  for (const { id } of outputs ?? []) yield qualify('OutputSink', id);
}

/** A directory in which some entities cannot be looked up. Policies still read the whole one. */
class DirectoryWithout implements DirectoryView {
  readonly #directory: DirectoryView;
  readonly #hidden: ReadonlySet<string>;

  constructor(directory: DirectoryView, hidden: ReadonlySet<string>) {
    this.#directory = directory;
    this.#hidden = hidden;
  }

  get revision(): number {
    return this.#directory.revision;
  }

  get size(): number {
    return this.#directory.size;
  }

  get(key: string): DirectoryEntity | undefined {
    return this.#hidden.has(key) ? undefined : this.#directory.get(key);
  }

  entitiesOf(type: string, after?: string): IterableIterator<DirectoryEntity> {
    return this.#directory.entitiesOf(type, after);
  }
}
