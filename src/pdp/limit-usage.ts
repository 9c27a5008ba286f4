/**
 * Where the limits of somebody stand, and forgetting what one of them has counted. Invariants: looking changes nothing;
 * who may see some tenants sees the limits of their principals alone; a reset is in the log before it is answered.
 */
import type { DecisionLog } from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';
import { type EntityRef, tenantLayer } from '../domain/ids.ts';
import type { LimitCharge, LimitStanding } from '../domain/limit.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { LimitPlanning } from '../limits/planning.ts';
import type { LimitStore } from '../limits/ports.ts';
import { LimitFactReader } from './limit-facts.ts';
import { resolveParties } from './parties.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

/** Whose limits are looked at, for which call. */
export interface UsageQuestion {
  readonly principal: EntityRef;
  readonly action: string;
  readonly resource: EntityRef;
  /** Absent: the principal's own. */
  readonly tenant?: string | undefined;
  readonly address?: string | undefined;
  /** Id of the caller's key, or of its certificate. */
  readonly key?: string | undefined;
  /** Id of the key of the gateway. */
  readonly pep?: string | undefined;
  /** Sets that a permit would name: `platform/gold`. */
  readonly limitSets: readonly string[];
}

/** One limit that would be charged, and where it stands without being charged. */
export interface LimitUsage {
  readonly charge: LimitCharge;
  readonly standing: LimitStanding;
}

export interface LimitUsageOptions {
  readonly snapshots: SnapshotHolder;
  readonly planning: Pick<LimitPlanning, 'plan'>;
  readonly store: LimitStore;
  readonly log: Pick<DecisionLog, 'append' | 'saturated'>;
  readonly clock: Clock;
  readonly ids: IdSource;
}

export class LimitUsageDesk {
  readonly #options: LimitUsageOptions;
  readonly #facts = new LimitFactReader();

  constructor(options: LimitUsageOptions) {
    this.#options = options;
  }

  /** Rejects with AppError NOT_READY or NOT_FOUND. */
  async usage(question: UsageQuestion, asker: Credential): Promise<readonly LimitUsage[]> {
    const { store, clock, ids } = this.#options;
    const now = clock.now();
    const charges = this.#charges(question, asker, now).map(charge => ({ ...charge, amount: 0, floor: 0 }));
    if (charges.length === 0) return [];
    const looking = store.admit({ decisionId: ids.next(), now, holdMs: 1, charges, dryRun: true });
    const { standings } = looking instanceof Promise ? await looking : looking;
    return charges.map((charge, at) => {
      const standing = standings[at];
      if (standing === undefined) throw new Error('a charge without a standing');
      return { charge, standing };
    });
  }

  /**
   * Forgets what a limit has counted for whom the question names. Rejects with AppError NOT_READY, NOT_FOUND,
   * TENANT_NOT_ALLOWED, LOG_BACKPRESSURE or LOG_UNAVAILABLE; after the last of these it may be forgotten until a restart.
   * @param name `platform/user-burst`
   */
  async reset(question: UsageQuestion, name: string, reason: string, actor: Credential): Promise<LimitUsage> {
    const { store, log, clock } = this.#options;
    const found = (await this.usage(question, actor)).find(({ charge }) => charge.rule.name === name);
    if (found === undefined) {
      throw new AppError('NOT_FOUND', `no limit \`${name.slice(0, 128)}\` would be charged for such a call`);
    }
    requireOwnLayer(name, actor);
    if (log.saturated) {
      throw new AppError('LOG_BACKPRESSURE', 'the decision log has too many entries waiting', {
        retryAfterSeconds: 1,
      });
    }
    const { rule, key } = found.charge;
    const keys = rule.kind === 'concurrency' && rule.fair !== undefined ? [key, rule.fair.ownKey] : [key];
    for (const one of keys) {
      const now = clock.now();
      const resetting = store.reset(one, now);
      const journal = resetting instanceof Promise ? await resetting : resetting;
      await log.append(this.#event(question, found, reason, actor, now), journal);
    }
    return found;
  }

  #charges(question: UsageQuestion, { tenants }: Credential, now: number): readonly LimitCharge[] {
    const snapshot = this.#options.snapshots.current;
    if (snapshot === undefined) {
      throw new AppError('NOT_READY', 'the directory and the policies are not loaded yet', {
        retryAfterSeconds: 1,
      });
    }
    const request = requestOf(question);
    const parties = resolveParties(snapshot, request);
    const { principalEntity, tenant } = parties;
    if (principalEntity === undefined || !mayLook(tenants, [principalEntity.tenant, tenant])) {
      throw new AppError('NOT_FOUND', `there is no principal \`${question.principal.id}\``);
    }
    const layers = snapshot.limitLayersOf.of(parties);
    const { limitSets, pep = '' } = question;
    const facts = this.#facts.read(snapshot, { request, parties, limitSets, pep });
    return this.#options.planning.plan(facts, layers, now);
  }

  #event(
    { principal, tenant }: UsageQuestion,
    { charge: { rule }, standing }: LimitUsage,
    reason: string,
    actor: Credential,
    time: number,
  ): EventEntry {
    const { snapshots, ids } = this.#options;
    const owner = tenant ?? tenantOf(snapshots.current, principal);
    const isOwn = rule.scope.includes('principal') || rule.scope.includes('key');
    return {
      kind: 'limit.reset',
      id: ids.next(),
      time,
      actor: actor.keyId,
      ...(owner === undefined ? {} : { tenant: owner }),
      // a principal is named as the log names it; what others share is named by its limit
      subject: isOwn ? `AI::${principal.type}::"${principal.id}"` : rule.name,
      details: { limit: rule.name, unit: rule.unit, used: standing.used, held: standing.held, reason },
    };
  }
}

/** The call that the question is about, as a request would ask for it. */
function requestOf({ principal, action, resource, tenant, address, key }: UsageQuestion): DecisionRequest {
  return {
    principal,
    action,
    resource,
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { context: { ip: address } }),
    ...(key === undefined ? {} : { auth: { method: 'api_key', assurance: 0, scopes: [], keyId: key } }),
    explain: 'none',
  };
}

/** Who is limited to tenants resets what those tenants declare: a limit of the platform is not theirs to widen. */
function requireOwnLayer(name: string, { tenants }: Credential): void {
  if (tenants === undefined) return;
  const layer = name.slice(0, name.lastIndexOf('/'));
  for (const tenant of tenants) if (layer === tenantLayer(tenant)) return;
  throw new AppError('TENANT_NOT_ALLOWED', `this key may not reset limit \`${name}\``);
}

function mayLook(tenants: Credential['tenants'], concerned: readonly (string | undefined)[]): boolean {
  return tenants === undefined || concerned.every(tenant => tenant !== undefined && tenants.has(tenant));
}

function tenantOf(snapshot: Snapshot | undefined, principal: EntityRef): string | undefined {
  return snapshot?.directory.get(`AI::${principal.type}::"${principal.id}"`)?.tenant;
}
