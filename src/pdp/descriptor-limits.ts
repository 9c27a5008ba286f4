/**
 * Limits asked for by what a gateway knows of a request, without a decision of the policies. Invariants: a limit is for
 * a descriptor only when the descriptor names everything that it counts by; requests are counted all or none; what was
 * used otherwise is counted as it is told, also beyond a limit; what changes is in the log before it is answered.
 */
import type { DecisionLog } from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import { AppError } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { LimitCharge, LimitRule, LimitUnit } from '../domain/limit.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { StandingLimit } from '../limits/answer-headers.ts';
import type { LimitPlanning } from '../limits/planning.ts';
import type { Admission, LimitStore } from '../limits/ports.ts';
import { LimitFactReader } from './limit-facts.ts';
import { resolveParties } from './parties.ts';
import type { Snapshot, SnapshotHolder } from './snapshot.ts';

/** What a gateway tells of one request, and what of it is counted. */
export interface Descriptor {
  readonly principal: EntityRef | undefined;
  readonly tenant: string | undefined;
  readonly model: string | undefined;
  readonly operation: string | undefined;
  readonly address: string | undefined;
  readonly key: string | undefined;
  readonly limitSets: readonly string[];
  readonly unit: LimitUnit;
  /** 0: looks and counts nothing. */
  readonly hits: number;
}

/** What became of one descriptor. */
export interface DescriptorAnswer {
  readonly overLimit: boolean;
  /** The limits that it met; shadows are not told. */
  readonly limits: readonly StandingLimit[];
}

export interface DescriptorDeskOptions {
  readonly snapshots: SnapshotHolder;
  readonly planning: Pick<LimitPlanning, 'plan'>;
  readonly store: LimitStore;
  readonly log: Pick<DecisionLog, 'append' | 'saturated'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Told of each limit of a request that was counted or denied. Must not throw. */
  readonly checked: (limits: readonly StandingLimit[], refused: boolean) => void;
}

/** Who is not told, or not known: all of them share what is counted by principal. */
const NOBODY: EntityRef = { type: 'User', id: '?' };
/** A model that is not told. */
const NO_MODEL: EntityRef = { type: 'Model', id: '?' };
const DEFAULT_OPERATION = 'generate';
/** Nobody settles what a descriptor counts: it is charged as it is told, at once. Milliseconds. */
const HOLD_MS = 1;
/** Beyond every limit, so that usage is counted whatever it exceeds. */
const NO_LIMIT = 1_000_000_000_000_000;

/** One counter with what the descriptors of a request charge to it. */
interface Counted {
  readonly charge: LimitCharge;
  amount: number;
}

export class DescriptorDesk {
  readonly #options: DescriptorDeskOptions;
  readonly #facts = new LimitFactReader();

  constructor(options: DescriptorDeskOptions) {
    this.#options = options;
  }

  /**
   * Counts descriptors at one instant. Rejects with AppError NOT_READY, TENANT_NOT_ALLOWED, LOG_BACKPRESSURE or
   * LOG_UNAVAILABLE, or as the store does.
   * @param domain as the gateway calls its limits, for the log
   */
  async check(
    domain: string,
    descriptors: readonly Descriptor[],
    pep: Credential,
  ): Promise<readonly DescriptorAnswer[]> {
    const { snapshots, log, clock, ids } = this.#options;
    const snapshot = snapshots.current;
    if (snapshot === undefined) throw busy('NOT_READY', 'the directory and the policies are not loaded yet');
    if (log.saturated) throw busy('LOG_BACKPRESSURE', 'the decision log has too many entries waiting');
    const now = clock.now();
    const planned = descriptors.map(one => this.#plan(snapshot, one, pep, now));
    const counted = countedOnce(planned, descriptors);
    if (counted.size === 0) return descriptors.map(() => ({ overLimit: false, limits: [] }));
    const looking = this.#admit([...counted.values()].map(lookAt), ids.next(), now, true);
    const looked = looking instanceof Promise ? await looking : looking;
    const taking = looked.admitted
      ? this.#admit([...counted.values()].map(takeAll), ids.next(), now, false)
      : this.#recordUsage(counted, ids.next(), now);
    // a store that answers at once is not waited for: its journal follows what it counted, in that order
    const taken = taking instanceof Promise ? await taking : taking;
    const standings = limitsOf(counted, looked);
    const isTaken = taken === undefined || taken.admitted;
    const isLook = [...counted.values()].every(({ amount }) => amount === 0);
    // who asks for nothing and is let pass was counted nowhere
    if (!looked.admitted || !isLook) this.#options.checked([...standings.values()], !looked.admitted);
    if (taken !== undefined && taken.admitted) {
      const about = descriptors.find(({ principal }) => principal !== undefined);
      await log.append(this.#event(domain, about, standings, pep, now), taken.journal);
    }
    return planned.map(charges => answerOf(charges, standings, isTaken));
  }

  /** The charges of the limits that count by nothing which the descriptor leaves open. */
  #plan(snapshot: Snapshot, descriptor: Descriptor, pep: Credential, now: number): readonly LimitCharge[] {
    const { principal, tenant, model, operation, address, key, limitSets, unit } = descriptor;
    const request = requestOf(descriptor);
    const parties = resolveParties(snapshot, request);
    requireTenants(
      pep,
      principal === undefined ? [tenant] : [parties.tenant, parties.principalEntity?.tenant],
    );
    // callers that the directory does not know would otherwise each have limits of their own
    const known =
      parties.principalEntity === undefined
        ? resolveParties(snapshot, { ...request, principal: NOBODY, tenant: parties.tenant })
        : parties;
    const told = new Set(['pep']);
    if (principal !== undefined) told.add('principal');
    if (known.tenant !== '') told.add('tenant');
    if (model !== undefined) told.add('model').add('model_group');
    if (operation !== undefined) told.add('operation');
    if (address !== undefined) told.add('address');
    if (key !== undefined) told.add('key');
    const facts = this.#facts.read(snapshot, { request, parties: known, limitSets, pep: pep.keyId });
    const layers = snapshot.limitLayersOf.of(known);
    // calls at the same time are no descriptor's: whoever asks here takes no place of a shared pool
    return this.#options.planning
      .plan(facts, layers, now, true)
      .filter(({ rule }) => isFor(rule, unit) && rule.scope.every(dimension => told.has(dimension)));
  }

  /** Of a request that is over a limit nothing is counted but what was used already. */
  #recordUsage(
    counted: ReadonlyMap<string, Counted>,
    id: string,
    now: number,
  ): Admission | undefined | Promise<Admission> {
    const used = [...counted.values()].filter(
      ({ charge, amount }) => charge.rule.unit !== 'requests' && amount > 0,
    );
    return used.length === 0 ? undefined : this.#admit(used.map(takeAll), id, now, false);
  }

  #admit(
    charges: readonly LimitCharge[],
    decisionId: string,
    now: number,
    dryRun: boolean,
  ): Admission | Promise<Admission> {
    // what counts nothing is only looked at
    const isLook = dryRun || charges.every(({ amount }) => amount === 0);
    return this.#options.store.admit({ decisionId, now, holdMs: HOLD_MS, charges, dryRun: isLook });
  }

  #event(
    domain: string,
    about: Descriptor | undefined,
    limits: ReadonlyMap<string, StandingLimit>,
    pep: Credential,
    time: number,
  ): EventEntry {
    const tenant = about?.tenant ?? ownerOf(this.#options.snapshots.current, about?.principal);
    const { principal } = about ?? {};
    return {
      kind: 'limit.check',
      id: this.#options.ids.next(),
      time,
      actor: pep.keyId,
      ...(tenant === undefined ? {} : { tenant }),
      subject: principal === undefined ? 'descriptors' : `AI::${principal.type}::"${principal.id}"`,
      details: {
        domain,
        limits: [...limits.values()].map(({ charge, standing }) => ({
          name: charge.rule.name,
          unit: charge.rule.unit,
          amount: charge.amount,
          remaining: standing.remaining,
        })),
      },
    };
  }
}

function isFor(rule: LimitRule, unit: LimitUnit): boolean {
  return rule.unit === unit && rule.kind !== 'concurrency';
}

/** Each counter once, with the sum of what is charged to it. */
function countedOnce(
  planned: readonly (readonly LimitCharge[])[],
  descriptors: readonly Descriptor[],
): ReadonlyMap<string, Counted> {
  const counted = new Map<string, Counted>();
  for (const [at, charges] of planned.entries()) {
    const hits = descriptors[at]?.hits ?? 0;
    for (const charge of charges) {
      const known = counted.get(charge.key);
      if (known === undefined) counted.set(charge.key, { charge, amount: hits });
      else known.amount += hits;
    }
  }
  return counted;
}

/** Requests are weighed whole; of what was used already it is asked whether there was room before. */
function lookAt({ charge, amount }: Counted): LimitCharge {
  return { ...charge, amount: charge.rule.unit === 'requests' ? amount : 0, floor: 0 };
}

function takeAll({ charge, amount }: Counted): LimitCharge {
  const { rule } = charge;
  return { ...charge, rule: rule.unit === 'requests' ? rule : unlimited(rule), amount, floor: 0 };
}

/** The same counter without a bound. */
function unlimited(rule: LimitRule): LimitRule {
  if (rule.kind === 'rate') return { ...rule, burst: NO_LIMIT };
  if (rule.kind === 'quota') return { ...rule, limit: NO_LIMIT, onExpiry: 'charge_estimate' };
  return { ...rule, limit: NO_LIMIT };
}

function limitsOf(
  counted: ReadonlyMap<string, Counted>,
  { standings }: Admission,
): ReadonlyMap<string, StandingLimit> {
  const limits = new Map<string, StandingLimit>();
  let at = 0;
  for (const [key, one] of counted) {
    const standing = standings[at++];
    if (standing === undefined) throw new Error('a charge without a standing');
    limits.set(key, { charge: { ...one.charge, amount: one.amount }, standing });
  }
  return limits;
}

function answerOf(
  charges: readonly LimitCharge[],
  standings: ReadonlyMap<string, StandingLimit>,
  isTaken: boolean,
): DescriptorAnswer {
  const limits: StandingLimit[] = [];
  for (const { key, rule } of charges) {
    const found = standings.get(key);
    if (found !== undefined && rule.mode === 'enforce') limits.push(found);
  }
  const isViolated = limits.some(({ standing }) => standing.violated);
  // another descriptor, or another server, took what was left between the look and the step
  return { overLimit: isViolated || (!isTaken && limits.length > 0), limits };
}

function requestOf({ principal, tenant, model, operation, address, key }: Descriptor): DecisionRequest {
  return {
    principal: principal ?? NOBODY,
    action: operation ?? DEFAULT_OPERATION,
    resource: model === undefined ? NO_MODEL : { type: 'Model', id: model },
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { context: { ip: address } }),
    ...(key === undefined ? {} : { auth: { method: 'api_key', assurance: 0, scopes: [], keyId: key } }),
    explain: 'none',
  };
}

function requireTenants({ tenants }: Credential, concerned: readonly (string | undefined)[]): void {
  if (tenants === undefined) return;
  for (const tenant of concerned) {
    if (tenant === undefined || tenant === '' || !tenants.has(tenant)) {
      throw new AppError('TENANT_NOT_ALLOWED', 'this key may not ask for the limits of that tenant');
    }
  }
}

function ownerOf(snapshot: Snapshot | undefined, principal: EntityRef | undefined): string | undefined {
  if (principal === undefined) return undefined;
  return snapshot?.directory.get(`AI::${principal.type}::"${principal.id}"`)?.tenant;
}

function busy(code: 'NOT_READY' | 'LOG_BACKPRESSURE', message: string): AppError {
  return new AppError(code, message, { retryAfterSeconds: 1 });
}
