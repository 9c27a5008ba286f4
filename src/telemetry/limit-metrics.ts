/**
 * Metrics of what limits counted. Invariants: labels are names of limits, which bundles declare, and their number is
 * bounded; a decision adds to numbers, and series are made when Prometheus asks.
 */
import { Counter, Gauge } from 'prom-client';
import type { LimitRule } from '../domain/limit.ts';
import type { Metrics } from './metrics.ts';

/** Most limits that have series of their own, by mode. */
const MAX_SERIES = 1_000;
const OTHER = 'other';
const RESULTS = ['admitted', 'denied'] as const;

/** One limit as it stood for a request. */
export interface CheckedLimit {
  readonly charge: { readonly rule: Pick<LimitRule, 'name' | 'mode'> };
  readonly standing: { readonly violated: boolean };
}

/** Values that are read when Prometheus asks, of this server alone. */
export interface LimitSources {
  /** Keys that have a counter. */
  readonly keys: () => number;
  /** Decisions that may hold something. */
  readonly holding: () => number;
}

type Tally = Record<(typeof RESULTS)[number], number>;

export class LimitMetrics {
  readonly #tallies: Readonly<Record<LimitRule['mode'], Map<string, Tally>>> = {
    enforce: new Map(),
    shadow: new Map(),
  };

  constructor(metrics: Pick<Metrics, 'register'>, { keys, holding }: LimitSources) {
    const tallies = this.#tallies;
    metrics.register(
      new Counter({
        name: 'duramen_limit_checks_total',
        help: 'Requests that a limit admitted or denied, each under every limit that it met',
        labelNames: ['limit', 'mode', 'result'],
        registers: [],
        collect() {
          this.reset();
          for (const [mode, ofMode] of Object.entries(tallies)) {
            for (const [limit, tally] of ofMode) {
              for (const result of RESULTS) this.inc({ limit, mode, result }, tally[result]);
            }
          }
        },
      }),
    );
    gauge(metrics, 'duramen_limit_keys', 'Keys that limits count apart on this server', keys);
    gauge(metrics, 'duramen_limit_holding', 'Decisions of this server whose calls hold something', holding);
  }

  /**
   * A request met these limits. One that another limit denied is no matter of those that had room for it.
   * @param refused whether the request was denied, by a limit or by want of capacity
   */
  checked(limits: readonly CheckedLimit[], refused: boolean): void {
    for (const { charge, standing } of limits) {
      if (standing.violated) this.#tallyOf(charge.rule).denied += 1;
      else if (!refused) this.#tallyOf(charge.rule).admitted += 1;
    }
  }

  #tallyOf({ name, mode }: CheckedLimit['charge']['rule']): Tally {
    const ofMode = this.#tallies[mode];
    const known = ofMode.get(name);
    if (known !== undefined) return known;
    if (ofMode.size >= MAX_SERIES && name !== OTHER) return this.#tallyOf({ name: OTHER, mode });
    const made = { admitted: 0, denied: 0 };
    ofMode.set(name, made);
    return made;
  }
}

function gauge(metrics: Pick<Metrics, 'register'>, name: string, help: string, read: () => number): void {
  metrics.register(
    new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(read());
      },
    }),
  );
}
