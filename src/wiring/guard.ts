/**
 * What guards limits, put together: blocks that are kept and logged, alerts, loads that are reported. Invariant: what
 * the log is told names neither a principal nor an address.
 */
import { LimitAlertRecorder } from '../decision-log/limit-alerts.ts';
import { MinuteCounts } from '../decision-log/minute-counts.ts';
import { entityRef } from '../decision-log/subject-name.ts';
import type { Timers } from '../decision-log/timers.ts';
import { ownerByName } from '../directory/tenancy.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { GuardRules } from '../domain/guard-rules.ts';
import type { LimitFacts } from '../domain/limit-facts.ts';
import type { LimitAlert } from '../limits/guards/alerts.ts';
import { Guard } from '../limits/guards/guard.ts';
import { penaltyAddress } from '../limits/guards/penalty-address.ts';
import { PenaltyService } from '../limits/guards/penalty-service.ts';
import type { StepChange } from '../limits/guards/shedding.ts';
import type { SnapshotHolder } from '../pdp/snapshot.ts';
import { GuardMetrics } from '../telemetry/guard-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { PROCESS_TIMERS } from './anchors.ts';
import type { Events } from './events.ts';
import type { Stores } from './stores.ts';

/** What the names of limits of a tenant's layer begin with. */
const TENANT_LAYER = 'tenant:';
/** How often loads that are no longer reported are looked for, in milliseconds. */
const EXPIRY_MS = 1_000;

export interface GuardParts {
  readonly stores: Pick<Stores, 'penalties' | 'subjects' | 'log'>;
  readonly events: Pick<Events, 'announce' | 'record'>;
  readonly snapshots: SnapshotHolder;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Pick<Metrics, 'register'>;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}

export interface GuardDesk {
  readonly guard: Guard;
  readonly penalties: PenaltyService;
  /** Writes down what is still to be kept or counted. */
  close(): Promise<void>;
}

/** Loads the blocks that were kept. @throws AppError STORE_UNAVAILABLE when one cannot be read */
export async function assembleGuard(parts: GuardParts): Promise<GuardDesk> {
  const { stores, events, snapshots, clock, ids, logger } = parts;
  const metrics = new GuardMetrics(parts.metrics);
  const alerts = new LimitAlertRecorder({ log: stores.log, clock, ids });
  const steps = stepRecorder(parts);
  const names = new SubjectNames(parts);
  const guard = new Guard(() => rulesOf(snapshots), {
    blocked(penalty) {
      metrics.blocked(penalty.kind);
      penalties.begun(penalty);
    },
    alerted(alert, facts) {
      const { rule, percent } = alert;
      metrics.alerted(rule.name, percent, rule.mode);
      const tenant = tenantOf(alert, facts, snapshots);
      alerts.record({ ...noteOf(alert, facts), tenant, subject: names.of(alert, facts, clock.now()) });
    },
    stepped: change => steps.record(`${change.subject} ${change.from} ${change.to}`, change),
  });
  const penalties = new PenaltyService({
    box: guard.penalties,
    store: stores.penalties,
    clock,
    ids,
    announce: event => events.announce(event),
    tenantOf: key => ownerOf(snapshots, key),
    nameOfAddress: (address, time) => names.ofAddress(address, time),
    onFailure: error => logger.error({ err: error }, 'a block could not be kept: it ends with the process'),
  });
  await penalties.load();
  metrics.observe({
    penalties: () => penalties.counts(),
    loads: () => guard.loads(clock.now()),
    suppressedAlerts: () => guard.alerts.suppressed,
  });
  alerts.start();
  steps.start();
  const stop = every(PROCESS_TIMERS, EXPIRY_MS, () => guard.expire(clock.now()));
  return {
    guard,
    penalties,
    async close() {
      stop();
      await Promise.all([penalties.close(), alerts.close(), steps.close()]);
    },
  };
}

/** What the active platform layer declares. */
function rulesOf(snapshots: SnapshotHolder): GuardRules | undefined {
  return snapshots.current?.layers.get('platform')?.limits?.file;
}

function ownerOf(snapshots: SnapshotHolder, key: string): string | undefined {
  return snapshots.current?.directory.get(key)?.tenant ?? ownerByName(entityRef(key));
}

/** Steps as entries: a load that swings fills neither log nor memory. */
function stepRecorder({ stores, clock, ids, snapshots }: GuardParts): MinuteCounts<StepChange> {
  return new MinuteCounts({
    log: stores.log,
    clock,
    ids,
    describe(change, counted) {
      if (change === undefined) {
        return { kind: 'load.step', actor: 'system', subject: 'others', details: { ...counted } };
      }
      const { subject, from, to, loadPercent, expired } = change;
      const tenant = ownerOf(snapshots, subject);
      return {
        kind: 'load.step',
        actor: 'system',
        subject,
        ...(tenant === undefined ? {} : { tenant }),
        details: { from, to, loadPercent, expired, ...counted },
      };
    },
  });
}

/** Whose matter an alert is; undefined: the limit counts several tenants, so it is the platform's. */
function tenantOf(
  { rule: { name, scope } }: LimitAlert,
  facts: LimitFacts,
  snapshots: SnapshotHolder,
): string | undefined {
  const { principal, tenant } = facts;
  if (isOfPrincipal(scope, facts)) return ownerOf(snapshots, principal.key);
  if (scope.includes('tenant')) return tenant === '' ? undefined : tenant;
  const layer = name.slice(0, name.lastIndexOf('/'));
  return layer.startsWith(TENANT_LAYER) ? layer.slice(TENANT_LAYER.length) : undefined;
}

function isOfPrincipal(scope: readonly string[], { keyIsShared }: LimitFacts): boolean {
  return scope.includes('principal') || (scope.includes('key') && keyIsShared !== true);
}

function noteOf({ rule, key, percent, used, violated }: LimitAlert, { model }: LimitFacts) {
  return {
    key,
    limit: rule.name,
    percent,
    unit: rule.unit,
    most: rule.limit,
    used,
    mode: rule.mode,
    violated,
    model: rule.scope.includes('model') ? model?.uid.id : undefined,
  };
}

/** How the log calls whom a limit counts. */
class SubjectNames {
  readonly #parts: Pick<GuardParts, 'stores' | 'logger'>;

  constructor(parts: Pick<GuardParts, 'stores' | 'logger'>) {
    this.#parts = parts;
  }

  of({ rule }: LimitAlert, facts: LimitFacts, time: number): string | undefined {
    const { principal, address } = facts;
    if (isOfPrincipal(rule.scope, facts)) return principal.key;
    if (!rule.scope.includes('address') || address === undefined) return undefined;
    const name = penaltyAddress(address);
    return name === undefined ? undefined : this.ofAddress(name, time);
  }

  /** The address itself is told to the service's own log alone, which can forget it. */
  ofAddress(address: string, time: number): string {
    const { stores, logger } = this.#parts;
    const loggedAs = stores.subjects.registry.unregistered(`address ${address}`, time);
    logger.warn({ source: address, loggedAs }, 'an address ran into limits');
    return loggedAs;
  }
}

/** Repeats an action until the returned function is called. */
function every(timers: Timers, ms: number, action: () => void): () => void {
  let cancel = (): void => undefined;
  const next = (): void => {
    cancel = timers.after(ms, () => {
      action();
      next();
    });
  };
  next();
  return () => cancel();
}
