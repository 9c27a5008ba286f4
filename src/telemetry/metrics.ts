/**
 * Metrics for Prometheus under the prefix `duramen_`. Invariants: labels come from closed sets or from
 * policies and layers, never from principals, models or other input; the request path only adds to numbers.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import type { Decision, LevelResult } from '../domain/decision.ts';
import { getOrAdd } from '../domain/get-or-add.ts';

/** Buckets of a decision: 50 µs to 50 ms, then the tail of a slow disk. */
const DECISION_BUCKETS = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.25, 1,
];
const HTTP_BUCKETS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
/** Buckets of one commit of the log: a fast disk with its write cache to a slow one under load. */
const COMMIT_BUCKETS = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** Most policies that get their own error series; the others count under `other`. */
const MAX_POLICY_SERIES = 1000;

/** A count that knows its labels already. */
interface BoundCounter {
  inc(value?: number): void;
}
interface BoundHistogram {
  observe(value: number): void;
}

/** Values that are read when Prometheus asks. */
export interface MetricSources {
  /** Entries accepted and not yet durable. */
  readonly logQueueLength: () => number;
  /** Durable entries. */
  readonly logSize: () => number;
  /** Seconds that the oldest entry has been waiting for the disk. */
  readonly logOldestUnflushedSeconds: () => number;
  /** Bytes in write-ahead logs that are not yet in their databases, by database. */
  readonly walBytes: () => Readonly<Record<string, number>>;
  /** The active bundle of each layer. */
  readonly activeBundles: () => readonly { layer: string; digest: string; activatedAt: number }[];
  /** Entities in the directory. */
  readonly directorySize: () => number;
  /** Admin keys made on the host that work now. */
  readonly breakGlassKeys: () => number;
}

export interface BuildInfo {
  readonly version: string;
  readonly node: string;
  readonly cedar: string;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #decisions: Counter<'decision' | 'reason_code' | 'endpoint'>;
  readonly #decisionSeconds: BoundHistogram;
  readonly #policyErrors: Counter<'policy_id'>;
  readonly #httpSeconds: Histogram<'route' | 'method' | 'code'>;
  readonly #authFailures: Counter<'cause'>;
  readonly #controlDenials: Counter<'operation'>;
  readonly #activationFailures: Counter<'stage'>;
  readonly #logDropped: Counter<'reason'>;
  readonly #commitSeconds: BoundHistogram;
  readonly #batchEntries: BoundHistogram;
  readonly #disagreements: Counter;
  readonly #decisionFailures: Counter;
  /** Bound once, by one label after the other: finding the series of a label set costs more than adding to it. */
  readonly #decisionSeries = new Map<string, Map<string, BoundCounter>>();
  readonly #httpSeries = new Map<string, Map<string, Map<number, BoundHistogram>>>();
  readonly #policySeries = new Set<string>();

  constructor(build: BuildInfo) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: 'duramen_' });
    this.#decisions = decisionCounter(registers);
    this.#decisionSeconds = plainHistogram(
      registers,
      'duramen_decision_duration_seconds',
      'From the parsed request to the durable entry',
      DECISION_BUCKETS,
    );
    this.#policyErrors = counter(
      registers,
      'duramen_policy_errors_total',
      'Evaluations of a policy that failed',
      'policy_id',
    );
    this.#httpSeconds = requestHistogram(registers);
    this.#authFailures = counter(
      registers,
      'duramen_authentication_failures_total',
      'Requests without a valid credential',
      'cause',
    );
    this.#controlDenials = denialCounter(registers);
    this.#activationFailures = counter(
      registers,
      'duramen_bundle_activation_failures_total',
      'Bundles refused, by the step that refused',
      'stage',
    );
    this.#logDropped = counter(
      registers,
      'duramen_decision_log_dropped_total',
      'Decisions refused because they could not be logged',
      'reason',
    );
    this.#commitSeconds = plainHistogram(
      registers,
      'duramen_decision_log_commit_seconds',
      'Time of one group commit in the writer, the flush to disk included',
      COMMIT_BUCKETS,
    );
    this.#batchEntries = plainHistogram(
      registers,
      'duramen_decision_log_batch_entries',
      'Entries of one group commit',
      BATCH_BUCKETS,
    );
    this.#disagreements = plainCounter(
      registers,
      'duramen_engine_disagreements_total',
      'Checks about which the compiled evaluator and cedar-wasm disagreed',
    );
    this.#decisionFailures = plainCounter(
      registers,
      'duramen_decision_failures_total',
      'Exceptions that became a deny INTERNAL_ERROR',
    );
    describeBuild(registers, build);
  }

  /** One group commit of the decision log became durable. */
  logCommitted(entries: number, seconds: number): void {
    this.#batchEntries.observe(entries);
    this.#commitSeconds.observe(seconds);
  }

  /** Adds a metric that was made elsewhere. */
  register(metric: Metric): void {
    this.#registry.registerMetric(metric);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The page for Prometheus. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Forgets every metric. What watches the garbage collector never ends, and with them it would hold all they read. */
  close(): void {
    this.#registry.clear();
  }

  /** Adds the gauges that read the service when they are asked. */
  observe(sources: MetricSources): void {
    const gauge = (name: string, help: string, read: () => number) => {
      const made = new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      });
      this.#registry.registerMetric(made);
    };
    gauge(
      'duramen_decision_log_queue_length',
      'Entries accepted and not yet durable',
      sources.logQueueLength,
    );
    gauge('duramen_decision_log_entries', 'Durable entries of the log', sources.logSize);
    gauge(
      'duramen_decision_log_oldest_unflushed_seconds',
      'Age of the oldest entry that is not durable',
      sources.logOldestUnflushedSeconds,
    );
    gauge('duramen_directory_entities', 'Entities of the directory', sources.directorySize);
    gauge(
      'duramen_control_break_glass_keys',
      'Admin keys made on the host of the service that work now',
      sources.breakGlassKeys,
    );
    this.#observeWal(sources);
    this.#observeBundles(sources);
  }

  /** A decision was answered. */
  decided(decision: Decision, seconds: number): void {
    const { code } = decision.reason;
    const byCode = getOrAdd(this.#decisionSeries, decision.decision, () => new Map<string, BoundCounter>());
    getOrAdd(byCode, code, () => this.#decisions.labels(decision.decision, code, 'decide')).inc();
    this.#decisionSeconds.observe(seconds);
    const { action, endpoint, tenant } = decision.levels;
    this.#countErrors(endpoint);
    this.#countErrors(tenant);
    this.#countErrors(action);
  }

  #countErrors(level: LevelResult | undefined): void {
    if (level === undefined) return;
    for (const { errors } of level.checks) if (errors !== undefined) this.#countPolicyErrors(errors);
  }

  /** An exception became a deny. */
  decisionFailed(): void {
    this.#decisionFailures.inc();
  }

  /** @param route template of the route, never the path itself. */
  requestServed(route: string, method: string, status: number, seconds: number): void {
    const byMethod = getOrAdd(this.#httpSeries, route, () => new Map<string, Map<number, BoundHistogram>>());
    const byStatus = getOrAdd(byMethod, method, () => new Map<number, BoundHistogram>());
    getOrAdd(byStatus, status, () => this.#httpSeconds.labels(route, method, String(status))).observe(
      seconds,
    );
  }

  authenticationFailed(cause: string): void {
    this.#authFailures.inc({ cause });
  }

  /** @param operation of a route */
  controlDenied(operation: string): void {
    this.#controlDenials.inc({ operation });
  }

  activationFailed(stage: string): void {
    this.#activationFailures.inc({ stage });
  }

  entryDropped(reason: string): void {
    this.#logDropped.inc({ reason });
  }

  /** The evaluators disagreed about a check. */
  evaluatorsDisagreed(): void {
    this.#disagreements.inc();
  }

  /** Adds the counts of comparisons in the background. */
  observeCrossChecks(counts: { compared: () => number; dropped: () => number }): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'duramen_cross_check_samples',
        help: 'Sampled comparisons with cedar-wasm since the start, by whether they were made',
        labelNames: ['state'],
        registers: [],
        collect() {
          this.set({ state: 'compared' }, counts.compared());
          this.set({ state: 'dropped' }, counts.dropped());
        },
      }),
    );
  }

  /** Adds how the anchors of the log stand; their names come from the configuration. */
  observeAnchors(
    anchors: () => readonly {
      readonly name: string;
      readonly waitingSeconds: number;
      readonly failures: number;
    }[],
  ): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'duramen_log_anchor_age_seconds',
        help: 'Since the anchor last took a checkpoint of the log, or since the start',
        labelNames: ['target'],
        registers: [],
        collect() {
          for (const { name, waitingSeconds } of anchors()) this.set({ target: name }, waitingSeconds);
        },
      }),
    );
    this.#registry.registerMetric(
      new Counter({
        name: 'duramen_log_anchor_failures_total',
        help: 'Attempts to publish a checkpoint that failed',
        labelNames: ['target'],
        registers: [],
        collect() {
          this.reset();
          for (const { name, failures } of anchors()) this.inc({ target: name }, failures);
        },
      }),
    );
  }

  #countPolicyErrors(policies: readonly string[]): void {
    for (const policy of policies) {
      const known = this.#policySeries.has(policy) || this.#policySeries.size < MAX_POLICY_SERIES;
      if (known) this.#policySeries.add(policy);
      this.#policyErrors.inc({ policy_id: known ? policy : 'other' });
    }
  }

  #observeWal(sources: MetricSources): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'duramen_sqlite_wal_bytes',
        help: 'Size of the write-ahead log of each database',
        labelNames: ['database'],
        registers: [],
        collect() {
          for (const [database, bytes] of Object.entries(sources.walBytes())) this.set({ database }, bytes);
        },
      }),
    );
  }

  #observeBundles(sources: MetricSources): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'duramen_bundle_info',
        help: 'The active bundle of each layer, as labels of a constant 1',
        labelNames: ['name', 'revision'],
        registers: [],
        collect() {
          this.reset();
          for (const { layer, digest } of sources.activeBundles()) {
            this.set({ name: layer, revision: digest }, 1);
          }
        },
      }),
    );
    this.#registry.registerMetric(
      new Gauge({
        name: 'duramen_bundle_activated_timestamp_seconds',
        help: 'When the active bundle of each layer was activated',
        labelNames: ['name'],
        registers: [],
        collect() {
          this.reset();
          for (const { layer, activatedAt } of sources.activeBundles()) {
            this.set({ name: layer }, activatedAt / 1000);
          }
        },
      }),
    );
  }
}

function counter<Label extends string>(
  registers: Registry[],
  name: string,
  help: string,
  label: Label,
): Counter<Label> {
  return new Counter({ name, help, labelNames: [label], registers });
}

function decisionCounter(registers: Registry[]): Counter<'decision' | 'reason_code' | 'endpoint'> {
  return new Counter({
    name: 'duramen_decisions_total',
    help: 'Decisions answered, each durable in the log',
    labelNames: ['decision', 'reason_code', 'endpoint'],
    registers,
  });
}

function denialCounter(registers: Registry[]): Counter<'operation'> {
  const help = 'Calls that the control plane denied';
  return counter(registers, 'duramen_control_denied_total', help, 'operation');
}

function requestHistogram(registers: Registry[]): Histogram<'route' | 'method' | 'code'> {
  return new Histogram({
    name: 'duramen_http_request_duration_seconds',
    help: 'From the request line to the last byte handed to the socket',
    labelNames: ['route', 'method', 'code'],
    buckets: HTTP_BUCKETS,
    registers,
  });
}

function plainHistogram(
  registers: Registry[],
  name: string,
  help: string,
  buckets: number[],
): BoundHistogram {
  return new Histogram({ name, help, buckets, registers });
}

function plainCounter(registers: Registry[], name: string, help: string): Counter {
  return new Counter({ name, help, registers });
}

function describeBuild(registers: Registry[], build: BuildInfo): void {
  const labelNames = ['version', 'node', 'cedar'] as const;
  const help = 'Versions, as labels of a constant 1';
  new Gauge({ name: 'duramen_build_info', help, labelNames, registers }).set({ ...build }, 1);
}
