/**
 * Which limits hold for somebody or something, and where their numbers come from. Invariants: it counts and changes
 * nothing; a credential that is limited to tenants sees the limits of the platform and of those tenants alone.
 */
import type { Clock } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef, LayerName } from '../domain/ids.ts';
import type { LimitFacts } from '../domain/limit-facts.ts';
import type { FactPart } from '../limits/charges/limit-match.ts';
import type { EffectiveLimit, LimitExplaining, LimitLayers, ListedPrice } from '../limits/planning.ts';
import { LimitFactReader } from './limit-facts.ts';
import { type Parties, resolveParties } from './parties.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

/** Whose limits are asked for. What is absent is not known; one of `principal` and `model` must be given. */
export interface LimitsQuestion {
  readonly principal?: EntityRef | undefined;
  /** Id of the model. */
  readonly model?: string | undefined;
  readonly action?: string | undefined;
  /** Absent: the principal's own. */
  readonly tenant?: string | undefined;
  readonly address?: string | undefined;
  readonly key?: string | undefined;
  readonly pep?: string | undefined;
}

export interface EffectiveLimits {
  readonly limits: readonly EffectiveLimit[];
  /** Empty when no model was asked for, or none has a price. */
  readonly prices: readonly ListedPrice[];
  /** The layers that declare them. */
  readonly layers: readonly { readonly layer: LayerName; readonly digest: string }[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** An id that no entity has: ids hold no space. */
const NOBODY = ' ';

export class EffectiveLimitsDesk {
  readonly #snapshots: SnapshotHolder;
  readonly #explaining: LimitExplaining;
  readonly #clock: Clock;
  readonly #facts = new LimitFactReader();

  constructor(snapshots: SnapshotHolder, explaining: LimitExplaining, clock: Clock) {
    this.#snapshots = snapshots;
    this.#explaining = explaining;
    this.#clock = clock;
  }

  /** @throws AppError NOT_READY, INVALID_REQUEST, or NOT_FOUND for what is not there or not to be seen */
  find(question: LimitsQuestion, asker: Credential): EffectiveLimits {
    const snapshot = this.#snapshots.current;
    if (snapshot === undefined) {
      throw new AppError('NOT_READY', 'the directory and the policies are not loaded yet', {
        retryAfterSeconds: 1,
      });
    }
    if (question.principal === undefined && question.model === undefined) {
      throw new AppError('INVALID_REQUEST', 'neither a principal nor a model was named', {
        problems: [
          {
            pointer: '?principal',
            message: 'limits are those of a principal or of a model',
            hint: 'give `principal`, `model` or both',
          },
        ],
      });
    }
    const request = requestOf(question);
    const parties = resolveParties(snapshot, request);
    requireVisible(question, parties, asker);
    const facts = this.#facts.read(snapshot, {
      request,
      parties,
      limitSets: [],
      pep: question.pep ?? '',
    });
    const layers = visibleLayers(snapshot.limitLayersOf.of(parties), asker);
    const now = this.#clock.now();
    return {
      limits: this.#explaining.explain(facts, layers, now, unknownParts(question, facts)),
      prices: facts.model === undefined ? [] : this.#explaining.prices(facts.model, layers),
      layers: layers.map(({ layer }) => ({ layer, digest: digestOf(snapshot, layer) })),
      now,
    };
  }
}

function requestOf({ principal, model, action, tenant, address, key }: LimitsQuestion): DecisionRequest {
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

/** What is not there and what may not be seen is the same. */
function requireVisible(
  { principal, model, tenant }: LimitsQuestion,
  { principalEntity, resourceEntity }: Parties,
  { tenants }: Credential,
): void {
  const maySee = (owner: string | undefined): boolean =>
    tenants === undefined || (owner !== undefined && tenants.has(owner));
  if (principal !== undefined && (principalEntity === undefined || !maySee(principalEntity.tenant))) {
    throw new AppError('NOT_FOUND', `there is no principal \`${principal.id}\``);
  }
  // whoever sees the principal may ask about a model that is shared with it
  const isHidden = principal === undefined && !maySee(resourceEntity?.tenant);
  if (model !== undefined && (resourceEntity === undefined || isHidden)) {
    throw new AppError('NOT_FOUND', `there is no model \`${model}\``);
  }
  if (tenant !== undefined && !maySee(tenant)) {
    throw new AppError('NOT_FOUND', `there is no tenant \`${tenant}\``);
  }
}

function visibleLayers(layers: LimitLayers, { tenants }: Credential): LimitLayers {
  if (tenants === undefined) return layers;
  return layers.filter(({ layer }) => layer === 'platform' || tenants.has(layer.slice('tenant:'.length)));
}

/** What a test of a limit must not judge by, because it was not told. */
function unknownParts(question: LimitsQuestion, facts: LimitFacts): ReadonlySet<FactPart> {
  const unknown = new Set<FactPart>();
  for (const part of ['principal', 'model', 'address', 'key', 'pep'] as const) {
    if (question[part] === undefined) unknown.add(part);
  }
  if (question.action === undefined) unknown.add('operation');
  if (facts.tenant === '') unknown.add('tenant');
  return unknown;
}

function digestOf({ layers }: Snapshot, layer: LayerName): string {
  const found = layers.get(layer);
  if (found === undefined) throw new Error(`layer ${layer} limits and is not active`);
  return found.digest;
}
