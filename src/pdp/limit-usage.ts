/**
 * Where the limits of somebody stand, and forgetting what one of them has counted. Invariants: looking changes nothing;
 * who may see some tenants sees the limits of their principals alone; a reset is in the log before it is answered.
 */
import type { DecisionLog } from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError } from '../domain/errors.ts';
import { type EntityRef, tenantLayer } from '../domain/ids.ts';
import type { LimitCharge, LimitStanding } from '../domain/limit.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { FactPart } from '../limits/charges/limit-match.ts';
import type { EffectiveLimit, LimitExplaining, LimitPlanning } from '../limits/planning.ts';
import type { LimitStore } from '../limits/ports.ts';
import { LimitFactReader } from './limit-facts.ts';
import { findModelOperation } from './model-operations.ts';
import { resolveParties } from './parties.ts';
import {
  type KnownCall,
  type PartialCall,
  PartialCalls,
  readySnapshot,
  requestOf,
  requireModelInReach,
  requireSets,
  unknownParts,
} from './partial-call.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

/** Whose limits are looked at. */
export interface UsageQuestion extends PartialCall {
  /** Sets that a permit would name: `platform/gold`. */
  readonly limitSets: readonly string[];
}

/** A question about one call: principal, model and action are known. */
export interface CallQuestion extends UsageQuestion {
  readonly principal: EntityRef;
  readonly model: string;
  readonly action: string;
}

/** One limit, and where it stands without being charged. */
export interface LimitUsage {
  readonly charge: LimitCharge;
  readonly standing: LimitStanding;
}

/** A limit that stands somewhere, with what was not told and matters for it. */
export interface KnownUsage extends LimitUsage {
  /** Would change its number. */
  readonly varies: readonly FactPart[];
  /** Decides whether it is for a call at all. */
  readonly dependsOn: readonly FactPart[];
  /** Present: it holds only where a permit names it or one of these. */
  readonly sets?: readonly string[] | undefined;
}

/** A limit that may hold and of which nothing can be told yet. */
export interface UnknownUsage {
  readonly limit: EffectiveLimit;
  /** What would have to be told; empty: only that a permit names it. */
  readonly needs: readonly FactPart[];
}

export interface UsageView {
  readonly known: readonly KnownUsage[];
  readonly unknown: readonly UnknownUsage[];
}

export interface LimitUsageOptions {
  readonly snapshots: SnapshotHolder;
  readonly planning: Pick<LimitPlanning, 'plan'> & Pick<LimitExplaining, 'explain'>;
  readonly store: LimitStore;
  readonly log: Pick<DecisionLog, 'append' | 'saturated'>;
  readonly clock: Clock;
  readonly ids: IdSource;
}

/** What a call to a model does where nobody says. */
export const DEFAULT_ACTION = 'generate';
/** Most counters that the store is asked about in one step. */
const MAX_LOOKED_AT = 64;

export class LimitUsageDesk {
  readonly #options: LimitUsageOptions;
  readonly #facts = new LimitFactReader();
  readonly #partial: PartialCalls;

  constructor(options: LimitUsageOptions) {
    this.#options = options;
    this.#partial = new PartialCalls(options.snapshots);
  }

  /**
   * Where limits stand: those that a call would be charged to where principal and model are told, else those that hold
   * or may hold and whose counters are known from what was told; and those of which something is missing.
   * Rejects with AppError NOT_READY, INVALID_REQUEST or NOT_FOUND.
   */
  async usage(question: UsageQuestion, asker: Credential): Promise<UsageView> {
    const now = this.#options.clock.now();
    const whole = wholeCall(question);
    const call =
      whole === undefined
        ? this.#partial.read(question, question.limitSets, asker)
        : this.#wholeCall(whole, asker, '?');
    const explained = this.#options.planning.explain(call.facts, call.layers, now, call.unknown);
    const byName = new Map(explained.map(limit => [limit.rule.name, limit]));
    const charges =
      whole === undefined ? explained.flatMap(({ counters }) => counters) : this.#charges(call, now);
    const looked = await this.#look(charges, now);
    const known = looked.map(usage => ({ ...usage, ...caveats(byName.get(usage.charge.rule.name)) }));
    const counted = new Set(known.map(({ charge }) => charge.rule.name));
    const unknown = explained.flatMap(limit => {
      if (counted.has(limit.rule.name)) return [];
      const needs = [...new Set([...limit.countsBy, ...limit.dependsOn])];
      // it is for no such call: the model is in no group, or what tells is known
      return needs.length === 0 && limit.definition.sets === undefined ? [] : [{ limit, needs }];
    });
    return { known, unknown };
  }

  /**
   * Forgets what a limit has counted for whom the question names. Rejects with AppError NOT_READY, NOT_FOUND,
   * TENANT_NOT_ALLOWED, LOG_BACKPRESSURE or LOG_UNAVAILABLE; after the last of these it may be forgotten until a restart.
   * @param name `platform/user-burst`
   */
  async reset(question: CallQuestion, name: string, reason: string, actor: Credential): Promise<LimitUsage> {
    const { store, log, clock } = this.#options;
    const now = clock.now();
    const charges = this.#charges(this.#wholeCall(question, actor, '/'), now);
    const [found] = await this.#look(
      charges.filter(({ rule }) => rule.name === name),
      now,
    );
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
      const time = clock.now();
      const resetting = store.reset(one, time);
      const journal = resetting instanceof Promise ? await resetting : resetting;
      await log.append(this.#event(question, found, reason, actor, time), journal);
    }
    return found;
  }

  /** What such a call would be charged; of counters by the gateway none unless it is told which. */
  #charges({ facts, layers, unknown }: KnownCall, now: number): readonly LimitCharge[] {
    const charges = this.#options.planning.plan(facts, layers, now, true);
    return unknown.has('pep') ? charges.filter(({ rule }) => !rule.scope.includes('pep')) : charges;
  }

  async #look(charges: readonly LimitCharge[], now: number): Promise<readonly LimitUsage[]> {
    const { store, ids } = this.#options;
    const found: LimitUsage[] = [];
    for (let from = 0; from < charges.length; from += MAX_LOOKED_AT) {
      const some = charges
        .slice(from, from + MAX_LOOKED_AT)
        .map(charge => ({ ...charge, amount: 0, floor: 0 }));
      const looking = store.admit({ decisionId: ids.next(), now, holdMs: 1, charges: some, dryRun: true });
      const { standings } = looking instanceof Promise ? await looking : looking;
      for (const [at, charge] of some.entries()) {
        const standing = standings[at];
        if (standing === undefined) throw new Error('a charge without a standing');
        found.push({ charge, standing });
      }
    }
    return found;
  }

  /** @param root in front of the name of a member, where a problem points at it */
  #wholeCall(question: CallQuestion, asker: Credential, root: '?' | '/'): KnownCall {
    const snapshot = readySnapshot(this.#options.snapshots);
    const { action } = question;
    // the default is nobody's mistake, even where a schema has no such operation
    if (action !== DEFAULT_ACTION) findModelOperation(snapshot.planner, action, `${root}action`);
    const request = requestOf(question);
    const parties = resolveParties(snapshot, request);
    const { principalEntity, tenant } = parties;
    if (principalEntity === undefined || !mayLook(asker.tenants, [principalEntity.tenant, tenant])) {
      throw new AppError(
        'NOT_FOUND',
        `there is no principal \`${question.principal.type}:${question.principal.id}\``,
      );
    }
    requireModelInReach(question.model, parties, asker);
    const { limitSets, pep = '' } = question;
    const facts = this.#facts.read(snapshot, { request, parties, limitSets, pep });
    const layers = snapshot.limitLayersOf.of(parties);
    requireSets(limitSets, layers, asker, `${root}limitSets`);
    return { snapshot, facts, layers, unknown: unknownParts(question, facts) };
  }

  #event(
    { principal, tenant }: CallQuestion,
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

/** A call that is known: what is asked for by default is the operation that everybody means. */
function wholeCall(question: UsageQuestion): CallQuestion | undefined {
  const { principal, model, action = DEFAULT_ACTION } = question;
  return principal === undefined || model === undefined
    ? undefined
    : { ...question, principal, model, action };
}

function caveats(limit: EffectiveLimit | undefined): Pick<KnownUsage, 'varies' | 'dependsOn' | 'sets'> {
  if (limit === undefined) return { varies: [], dependsOn: [] };
  const { varies, dependsOn, definition } = limit;
  return { varies, dependsOn, sets: definition.sets };
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
