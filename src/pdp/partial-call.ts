/**
 * A call of which some parts are not known, for those who ask about limits: what is known of it as facts, which layers
 * limit it, and what is missing. Invariant: a credential that is limited to tenants learns of the platform and of those
 * tenants alone, and what it may not see is answered like what is not there.
 */
import type { DirectoryEntity } from '../directory/view.ts';
import type { Credential } from '../domain/credential.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { LimitFacts } from '../domain/limit-facts.ts';
import { nearest } from '../domain/spelling.ts';
import type { FactPart } from '../limits/charges/limit-match.ts';
import type { LimitLayers } from '../limits/planning.ts';
import { isSharedWith } from './foreign.ts';
import { LimitFactReader } from './limit-facts.ts';
import { findModelOperation } from './model-operations.ts';
import { type Parties, resolveParties } from './parties.ts';
import { qualify } from './plan.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

/** What is absent is not known; one of `principal`, `model` and `tenant` must be given. */
export interface PartialCall {
  readonly principal?: EntityRef | undefined;
  /** Id of the model. */
  readonly model?: string | undefined;
  readonly action?: string | undefined;
  /** Absent: the principal's own. */
  readonly tenant?: string | undefined;
  readonly address?: string | undefined;
  /** What the limits of a credential count by: see `LimitFacts.key`. */
  readonly key?: string | undefined;
  /** Id of the key of the gateway. */
  readonly pep?: string | undefined;
}

/** What is known of a call. */
export interface KnownCall {
  readonly snapshot: Snapshot;
  readonly facts: LimitFacts;
  readonly layers: LimitLayers;
  /** What a test of a limit must not judge by, because it was not told. */
  readonly unknown: ReadonlySet<FactPart>;
}

/** An id that no entity has: ids hold no space. */
const NOBODY = ' ';

export class PartialCalls {
  readonly #snapshots: SnapshotHolder;
  readonly #facts = new LimitFactReader();

  constructor(snapshots: SnapshotHolder) {
    this.#snapshots = snapshots;
  }

  /**
   * @param limitSets that a permit would name, qualified
   * @throws AppError NOT_READY, INVALID_REQUEST, or NOT_FOUND for what is not there or not to be seen
   */
  read(call: PartialCall, limitSets: readonly string[], asker: Credential): KnownCall {
    const snapshot = readySnapshot(this.#snapshots);
    if (call.principal === undefined && call.model === undefined && call.tenant === undefined) {
      throw nobodyNamed();
    }
    const request = requestOf(call);
    if (call.action !== undefined) findModelOperation(snapshot.planner, call.action, '?action');
    const parties = resolveParties(snapshot, request);
    requireVisible(call, snapshot, parties, asker);
    const facts = this.#facts.read(snapshot, { request, parties, limitSets, pep: call.pep ?? '' });
    const layers = visibleLayers(snapshot.limitLayersOf.of(parties), asker);
    requireSets(limitSets, layers, asker, '?limitSets');
    return { snapshot, facts, layers, unknown: unknownParts(call, facts) };
  }
}

/**
 * A set that no layer of the call declares would be answered like none at all.
 * @param layers of the call; what the asker may not see counts as not there
 * @throws AppError INVALID_REQUEST with the set that was probably meant
 */
export function requireSets(
  limitSets: readonly string[],
  layers: LimitLayers,
  asker: Credential,
  pointer: string,
): void {
  if (limitSets.length === 0) return;
  const known = new Set(
    visibleLayers(layers, asker).flatMap(({ layer, file }) =>
      file.limits.flatMap(({ id, sets = [] }) => [id, ...sets].map(name => `${layer}/${name}`)),
    ),
  );
  for (const name of limitSets) {
    if (known.has(name)) continue;
    const near = [...known].find(one => one.endsWith(`/${name}`)) ?? nearest(name, known);
    const hint =
      near === undefined
        ? 'write the layer and the set, such as `platform/gold`, as limits.json of an active bundle has it'
        : `did you mean \`${near}\`?`;
    const message = `no layer that limits such a call has a set or a limit \`${name}\``;
    throw new AppError('INVALID_REQUEST', message, { problems: [{ pointer, message, hint }] });
  }
}

/** @throws AppError NOT_READY */
export function readySnapshot({ current }: SnapshotHolder): Snapshot {
  if (current !== undefined) return current;
  throw new AppError('NOT_READY', 'the directory and the policies are not loaded yet', {
    retryAfterSeconds: 1,
  });
}

/** The call as a request would ask for it; what is not known stands for nobody. */
export function requestOf({ principal, model, action, tenant, address, key }: PartialCall): DecisionRequest {
  return {
    principal: principal ?? { type: 'User', id: NOBODY },
    action: action ?? NOBODY,
    resource: { type: 'Model', id: model ?? NOBODY },
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { context: { ip: address } }),
    ...(key === undefined ? {} : { auth: { method: 'api_key', assurance: 0, scopes: [], keyId: key } }),
    explain: 'none',
  };
}

/** What was not told of a call. */
export function unknownParts(
  call: PartialCall,
  { tenant }: Pick<LimitFacts, 'tenant'>,
): ReadonlySet<FactPart> {
  const unknown = new Set<FactPart>();
  for (const part of ['principal', 'model', 'address', 'key', 'pep'] as const) {
    if (call[part] === undefined) unknown.add(part);
  }
  if (call.action === undefined) unknown.add('operation');
  if (tenant === '') unknown.add('tenant');
  return unknown;
}

function nobodyNamed(): AppError {
  return new AppError('INVALID_REQUEST', 'neither a principal nor a model nor a tenant was named', {
    problems: [
      {
        pointer: '?principal',
        message: 'limits are those of a principal, of a model or of a tenant',
        hint: 'give `principal`, `model`, `tenant` or several of them',
      },
    ],
  });
}

/** What is not there and what may not be seen is the same. */
function requireVisible(
  { principal, model, tenant }: PartialCall,
  { directory }: Snapshot,
  { principalEntity, resourceEntity }: Parties,
  { tenants }: Credential,
): void {
  const maySee = (owner: string | undefined): boolean =>
    tenants === undefined || (owner !== undefined && tenants.has(owner));
  if (principal !== undefined && (principalEntity === undefined || !maySee(principalEntity.tenant))) {
    throw new AppError('NOT_FOUND', `there is no principal \`${principal.type}:${principal.id}\``);
  }
  // whoever sees the principal may ask about a model that is shared with it
  const isNamed = model !== undefined;
  const isHidden =
    principal === undefined ? !maySee(resourceEntity?.tenant) : isForeignModel(resourceEntity, tenants);
  if (isNamed && (resourceEntity === undefined || isHidden)) throw missingModel(model);
  if (tenant === undefined) return;
  const isThere = directory.get(qualify('Tenant', tenant).key) !== undefined;
  if (!isThere || !maySee(tenant)) throw new AppError('NOT_FOUND', `there is no tenant \`${tenant}\``);
}

/** Whether a model is neither of these tenants nor shared with one of them. @param tenants undefined: all */
function isForeignModel(model: DirectoryEntity | undefined, tenants: Credential['tenants']): boolean {
  if (tenants === undefined || (model?.tenant !== undefined && tenants.has(model.tenant))) return false;
  return !isSharedWith(model, tenants);
}

/**
 * Of a call that is told in full. @throws AppError NOT_FOUND where the asker is limited to tenants and the model is
 * not there, or theirs in no way: a number that depends on its class would tell of it.
 */
export function requireModelInReach(
  model: string,
  { resourceEntity }: Parties,
  { tenants }: Pick<Credential, 'tenants'>,
): void {
  if (isForeignModel(resourceEntity, tenants)) throw missingModel(model);
}

function missingModel(model: string): AppError {
  return new AppError('NOT_FOUND', `there is no model \`${model}\``);
}

function visibleLayers(layers: LimitLayers, { tenants }: Credential): LimitLayers {
  if (tenants === undefined) return layers;
  return layers.filter(({ layer }) => layer === 'platform' || tenants.has(layer.slice('tenant:'.length)));
}
