/**
 * What limits look at of a decision: read from the snapshot and the parties that were decided. Invariant: the service
 * reads no second state of the directory for it, and a credential never becomes a fact.
 */
import type { DirectoryEntity, DirectoryView } from '../directory/view.ts';
import type { CallerCredential } from '../domain/caller-authentication.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { NAMESPACE } from '../domain/names.ts';
import { type LimitFacts, type ModelFacts, NO_VERSION } from '../domain/limit-facts.ts';
import type { EntityUid } from '../domain/value.ts';
import type { Parties } from './parties.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

const MODEL_TYPE = `${NAMESPACE}::Model`;
/** Methods whose credentials are made anew all the time. */
const TOKENS: ReadonlySet<string> = new Set(['jwt', 'opaque']);
/** Most tenants whose plan is remembered. */
const MAX_PLANS = 10_000;
const NO_ANCESTORS: ReadonlySet<string> = new Set();

/** What else the engine knows of a request. */
export interface LimitedRequest {
  /** As it was decided: its `auth` is verified, or asserted by a gateway that may. */
  readonly request: Omit<DecisionRequest, 'explain'>;
  readonly parties: Parties;
  /** Sets that the determining permits name. */
  readonly limitSets: readonly string[];
  /** Id of the key of the gateway. */
  readonly pep: string;
  /** The credential that was verified here; absent: the gateway asserts how it authenticated the caller. */
  readonly credential?: CallerCredential | undefined;
}

/** Reads facts. What it read of a model it keeps for as long as the directory has that revision of it. */
export class LimitFactReader {
  readonly #models = new WeakMap<DirectoryEntity, ModelFacts>();
  /** Plans of tenants in the directory that was read last. */
  #plans = new Map<string, string | undefined>();
  #directory: DirectoryView | undefined;

  read(snapshot: Snapshot, { request, parties, limitSets, pep, credential }: LimitedRequest): LimitFacts {
    const { principal, principalEntity, resource, resourceEntity, tenant } = parties;
    return {
      principal,
      principalAncestors: principalEntity?.ancestors ?? NO_ANCESTORS,
      tier: textOf(principalEntity, 'tier'),
      tenant,
      plan: this.#planOf(snapshot.directory, tenant),
      model: this.modelOf(resource, resourceEntity),
      operation: request.action,
      address: addressOf(request),
      key: credential === undefined ? assertedKey(request.auth, principal) : credential.id,
      keyIsShared: credential?.isShared === true,
      pep,
      inputTokens: request.input?.tokens,
      maxOutputTokens: request.params?.maxOutputTokens,
      outputs: request.params?.outputs,
      totalOutputTokens: request.params?.totalOutputTokens,
      limitSets,
    };
  }

  #planOf(directory: DirectoryView, tenant: string): string | undefined {
    if (this.#directory !== directory || this.#plans.size > MAX_PLANS) {
      this.#directory = directory;
      this.#plans = new Map();
    }
    const known = this.#plans.get(tenant);
    if (known !== undefined || this.#plans.has(tenant)) return known;
    const plan = tenant === '' ? undefined : textOf(directory.get(qualify('Tenant', tenant).key), 'plan');
    this.#plans.set(tenant, plan);
    return plan;
  }

  /** Undefined: it is no model, or the directory has none. */
  modelOf({ type }: EntityUid, entity: DirectoryEntity | undefined): ModelFacts | undefined {
    if (entity === undefined || type !== MODEL_TYPE) return undefined;
    let facts = this.#models.get(entity);
    if (facts === undefined) this.#models.set(entity, (facts = modelFacts(entity)));
    return facts;
  }
}

/** `context.ip`, where it is a text. */
export function addressOf({ context }: Pick<DecisionRequest, 'context'>): string | undefined {
  const address = context?.['ip'];
  return typeof address === 'string' ? address : undefined;
}

function modelFacts(entity: DirectoryEntity): ModelFacts {
  const { uid, ancestors } = entity;
  const at = uid.id.lastIndexOf('@');
  return {
    uid,
    ancestors,
    version: at === -1 ? NO_VERSION : uid.id.slice(at + 1),
    stage: textOf(entity, 'stage'),
    risk: countOf(entity, 'risk'),
    maxOutputTokens: countOf(entity, 'maxOutputTokens'),
    contextWindow: countOf(entity, 'contextWindow'),
  };
}

/**
 * The credential that a gateway says a caller came with: its id; of tokens, whose `keyId` is the key of their issuer,
 * the issuer and whom the gateway names as their subject.
 */
function assertedKey(auth: DecisionRequest['auth'], principal: EntityUid): string | undefined {
  if (auth === undefined) return undefined;
  const { method, keyId, issuer = '' } = auth;
  return TOKENS.has(method) ? `${method}:${issuer}:${principal.key}` : keyId;
}

function textOf(entity: DirectoryEntity | undefined, name: string): string | undefined {
  const value = entity?.attributes.entries.get(name);
  return typeof value === 'string' ? value : undefined;
}

function countOf(entity: DirectoryEntity, name: string): number | undefined {
  const value = entity.attributes.entries.get(name);
  return typeof value === 'number' ? value : undefined;
}
