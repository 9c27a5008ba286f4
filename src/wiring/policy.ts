/**
 * What decides, put together: snapshots, directory, bundles, evaluators and the engine. Invariant: a
 * disagreement of the evaluators is logged as an event, counted, and moves the layers to cedar-wasm.
 */
import { resolveSchema } from '../bundles/checks.ts';
import { CompilerClient, type PolicyWorkerApi } from '../bundles/compiler-client.ts';
import { CrossCheck, type OracleWorkerApi } from '../bundles/cross-check.ts';
import { PolicyThread } from '../bundles/policy-thread.ts';
import { BundleService } from '../bundles/service.ts';
import type { OracleAnswer } from '../cedar/oracle.ts';
import type { RecordedAnswers } from '../cedar/recorded-answers.ts';
import type { CedarSchema } from '../cedar/schema.ts';
import type { CedarAnswer } from '../cedar/types.ts';
import { CedarWasm } from '../cedar/wasm.ts';
import type { Config } from '../config/settings.ts';
import { DirectoryService } from '../directory/service.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { FailureLimiter } from '../identity/failure-limiter.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import { AccessQueries } from '../pdp/access/access-queries.ts';
import { DecisionEngine, type DecisionObserver } from '../pdp/engine.ts';
import { type Check, ModalEvaluator, Quarantine, WasmOracle } from '../pdp/evaluator.ts';
import { IdempotencyWindow } from '../pdp/idempotency.ts';
import { checkPlanVocabulary } from '../pdp/plan.ts';
import { SnapshotPublisher } from '../pdp/policy-publisher.ts';
import type { SnapshotHolder } from '../pdp/snapshot.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { LimitGate } from '../limits/desk.ts';
import type { Control } from './control.ts';
import type { Events } from './events.ts';
import { objectDigest } from './object-digest.ts';
import { requestFingerprint } from './request-fingerprint.ts';
import type { Stores } from './stores.ts';

/** Queries of access that one key may start per minute: each is an entry, and people read them. */
const MAX_ACCESS_QUERIES_PER_MINUTE = 120;

const WORKER = new URL('../policy-worker.ts', import.meta.url);

export interface PolicyParts {
  readonly config: Config;
  readonly stores: Stores;
  readonly events: Events;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Empty: what is loaded is published into it. */
  readonly snapshots: SnapshotHolder;
  readonly schemaText: string;
  /** What cedar-wasm said of the shipped texts. */
  readonly recorded: RecordedAnswers;
  /** Version of cedar-wasm, logged with each decision. */
  readonly cedarVersion: string;
  readonly control: Pick<Control, 'bundles'>;
  /** Ended with the policy. */
  readonly threads: PolicyThreads;
  /** What counts beside the policies. */
  readonly limits: LimitGate;
}

export interface Policy {
  readonly snapshots: SnapshotHolder;
  readonly directory: DirectoryService;
  readonly bundles: BundleService;
  readonly engine: DecisionEngine;
  readonly access: AccessQueries;
  readonly quarantine: Quarantine;
  /** What is wrong with the policy compiler; undefined: nothing. */
  readonly compilerProblem: () => string | undefined;
  /** Finishes writes that were accepted and ends the threads. */
  close(): Promise<void>;
}

export function assemblePolicy(parts: PolicyParts): Policy {
  const { config, stores, events, clock, ids, metrics, logger, snapshots, schemaText } = parts;
  const { compilerThread, oracleThread } = parts.threads;
  stores.subjects.setPersonalKeys(config.privacy.personalContextKeys, () => snapshots.current?.schema);
  const directory = new DirectoryService({
    store: stores.directory,
    clock,
    ids,
    digestOf: objectDigest,
    publish: graph => snapshots.publishDirectory(graph),
    announce: event => events.announce(event),
  });
  const bundles = new BundleService({
    store: stores.bundles,
    compiler: new CompilerClient({
      checker: compilerThread,
      builder: oracleThread,
      clock,
      defaultSchemaText: schemaText,
      knownSchema: knownSchema(parts),
    }),
    publisher: new SnapshotPublisher(snapshots, directory),
    events,
    guard: parts.control.bundles,
    clock,
    ids,
    defaultSchemaText: schemaText,
  });
  const quarantine = new Quarantine();
  const evaluator = assembleEvaluator(parts, oracleThread, quarantine);
  const engine = new DecisionEngine({
    snapshots,
    evaluator,
    log: stores.log,
    clock,
    ids,
    idempotency: new IdempotencyWindow(clock, requestFingerprint),
    observer: observerOf(metrics, logger),
    defaultEnv: config.decision.defaultEnv,
    engineVersion: `1+cedar-${parts.cedarVersion}`,
    limits: parts.limits,
  });
  return {
    snapshots,
    directory,
    bundles,
    engine,
    access: assembleAccess(parts, snapshots, evaluator),
    quarantine,
    compilerProblem: () =>
      compilerThread.healthy && oracleThread.healthy ? undefined : 'a policy worker is restarting',
    async close() {
      await directory.close();
      await Promise.all([compilerThread.close(), oracleThread.close()]);
    },
  };
}

/** The shipped schema, where cedar-wasm's answer about it is at hand: a start then waits for no thread to read it. */
function knownSchema({ schemaText, recorded }: PolicyParts): CedarSchema | undefined {
  if (!recorded.knowsSchema(schemaText)) return undefined;
  return resolveSchema(schemaText, recorded.before(new CedarWasm()), checkPlanVocabulary).schema;
}

function assembleAccess(
  { config, events, clock, ids }: PolicyParts,
  snapshots: SnapshotHolder,
  evaluator: ModalEvaluator,
): AccessQueries {
  const queries = new FailureLimiter(clock, MAX_ACCESS_QUERIES_PER_MINUTE);
  return new AccessQueries({
    snapshots,
    evaluator,
    clock,
    ids,
    defaultEnv: config.decision.defaultEnv,
    record: event => events.record(event),
    waitOf: keyId => queries.count(keyId),
  });
}

function observerOf(metrics: Metrics, logger: Logger): DecisionObserver {
  return {
    decided: (decision, seconds) => metrics.decided(decision, seconds),
    failed: error => {
      metrics.decisionFailed();
      logger.error({ err: error }, 'a decision failed and was denied');
    },
  };
}

/** One thread checks what is pushed; the other, always at hand, builds what is activated and asks cedar-wasm. */
export interface PolicyThreads {
  readonly compilerThread: PolicyThread<PolicyWorkerApi>;
  readonly oracleThread: PolicyThread<PolicyWorkerApi & OracleWorkerApi>;
}

/** The second thread starts at once: loading its code takes longer than all else that a start waits for. */
export function startPolicyThreads(logger: Logger): PolicyThreads {
  const onHealth = (healthy: boolean, detail: string) => {
    if (healthy) logger.info({ detail }, 'worker recovered');
    else logger.error({ detail }, 'worker failed');
  };
  const compilerThread = new PolicyThread<PolicyWorkerApi>({
    name: 'the policy compiler',
    script: WORKER,
    onHealth,
  });
  const oracleThread = new PolicyThread<PolicyWorkerApi & OracleWorkerApi>({
    name: 'the oracle',
    script: WORKER,
    onHealth,
  });
  oracleThread.start();
  return { compilerThread, oracleThread };
}

function assembleEvaluator(
  parts: PolicyParts,
  thread: PolicyThread<OracleWorkerApi>,
  quarantine: Quarantine,
): ModalEvaluator {
  const { config, metrics } = parts;
  const onDisagreement = (check: Check, compiled: CedarAnswer, oracle: OracleAnswer) => {
    quarantine.add(check.layers);
    metrics.evaluatorsDisagreed();
    recordDisagreement(parts, check, compiled, oracle);
  };
  const sampling = new CrossCheck({ thread, rate: config.engine.crossCheckSampleRate, onDisagreement });
  metrics.observeCrossChecks({ compared: () => sampling.compared, dropped: () => sampling.dropped });
  return new ModalEvaluator({
    mode: config.engine,
    oracle: new WasmOracle(),
    sampling,
    quarantine,
    onDisagreement,
  });
}

/** Logs what was asked by name and what each evaluator said; attributes and context stay out. */
function recordDisagreement(
  { stores, events, clock, ids, logger }: PolicyParts,
  { layers, request }: Check,
  compiled: CedarAnswer,
  oracle: OracleAnswer,
): void {
  const said = oracle.ok
    ? { decision: oracle.decision, policies: [...oracle.determining], errors: [...oracle.erroring] }
    : { failure: oracle.failure };
  const time = clock.now();
  const event: EventEntry = {
    kind: 'engine.disagreement',
    id: ids.next(),
    time,
    actor: 'system',
    subject: layers.map(({ name }) => name).join(' '),
    details: {
      principal: stores.subjects.nameInLog(request.principal, time),
      action: request.action.key,
      resource: stores.subjects.nameInLog(request.resource, time),
      layers: Object.fromEntries(layers.map(({ name, digest }) => [name, digest])),
      compiled: {
        decision: compiled.decision,
        policies: compiled.determining.map(({ id }) => id),
        errors: compiled.erroring.map(({ id }) => id),
      },
      oracle: said,
    },
  };
  logger.error(
    { event },
    'the compiled evaluator and cedar-wasm disagree: their layers are decided by cedar-wasm now',
  );
  events
    .record(event)
    .catch((error: unknown) => logger.error({ err: error }, 'a disagreement could not be logged'));
}
