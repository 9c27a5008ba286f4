/**
 * Metrics of what guards limits: alerts, blocks, load. Invariant: the number of series is bounded, and labels name neither
 * principals nor models: every key may read metrics.
 */
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** Most limits that have series of their own. */
const MAX_SERIES = 1_000;
const OTHER = 'other';

/** Values that are read when Prometheus asks. */
export interface GuardSources {
  /** Blocks that last, by kind. */
  readonly penalties: () => Readonly<Record<string, number>>;
  /** Models and groups whose load is reported. */
  readonly loads: () => readonly {
    /** Undefined: no shedding is declared. */
    readonly loadPercent: number | undefined;
    readonly step: number;
  }[];
  /** Alerts that were not raised because there were too many to remember. */
  readonly suppressedAlerts: () => number;
}

export class GuardMetrics {
  readonly #alerts: Counter<'limit' | 'percent' | 'mode'>;
  readonly #penalties: Counter<'kind'>;
  readonly #metrics: Pick<Metrics, 'register'>;
  readonly #limits = new Set<string>();

  constructor(metrics: Pick<Metrics, 'register'>) {
    this.#metrics = metrics;
    this.#alerts = new Counter({
      name: 'duramen_limit_alerts_total',
      help: 'Times that a limit was found used to some per cent, once for each of whom it counts',
      labelNames: ['limit', 'percent', 'mode'],
      registers: [],
    });
    this.#penalties = new Counter({
      name: 'duramen_penalties_total',
      help: 'Blocks that began after repeated violations of limits',
      labelNames: ['kind'],
      registers: [],
    });
    metrics.register(this.#alerts);
    metrics.register(this.#penalties);
  }

  alerted(limit: string, percent: number, mode: string): void {
    const isKnown = this.#limits.has(limit) || this.#limits.size < MAX_SERIES;
    if (isKnown) this.#limits.add(limit);
    this.#alerts.inc({ limit: isKnown ? limit : OTHER, percent: String(percent), mode });
  }

  blocked(kind: string): void {
    this.#penalties.inc({ kind });
  }

  observe({ penalties, loads, suppressedAlerts }: GuardSources): void {
    const gauge = (name: string, help: string, label: string, read: () => Iterable<[string, number]>) =>
      this.#metrics.register(
        new Gauge({
          name,
          help,
          labelNames: [label],
          registers: [],
          collect() {
            this.reset();
            for (const [key, value] of read()) this.set({ [label]: key }, value);
          },
        }),
      );
    gauge('duramen_penalties', 'Blocks that last now', 'kind', () => Object.entries(penalties()));
    gauge(
      'duramen_load_models',
      'Models and groups whose load is reported, by steps of shedding in force',
      'step',
      () => countBySteps(loads()),
    );
    this.#metrics.register(
      new Gauge({
        name: 'duramen_load_percent',
        help: 'Highest smoothed load that is reported of a model',
        registers: [],
        collect() {
          this.set(Math.max(0, ...loads().map(({ loadPercent }) => loadPercent ?? 0)));
        },
      }),
    );
    this.#metrics.register(
      new Gauge({
        name: 'duramen_limit_alerts_suppressed',
        help: 'Alerts since the start that were not raised, because there were too many to remember',
        registers: [],
        collect() {
          this.set(suppressedAlerts());
        },
      }),
    );
  }
}

function countBySteps(loads: readonly { readonly step: number }[]): Iterable<[string, number]> {
  // step 0 is always told, so that the metric is there before the first report
  const counts = new Map([['0', 0]]);
  for (const { step } of loads) counts.set(String(step), (counts.get(String(step)) ?? 0) + 1);
  return counts;
}
