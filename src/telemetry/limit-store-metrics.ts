/** Metrics of the store that servers share for their limits. */
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';

export class LimitStoreMetrics {
  readonly #degraded: Counter;

  /**
   * @param isUsed whether the shared store is used now, read when Prometheus asks
   * @param unmerged admissions and settlements that it does not know yet
   */
  constructor(metrics: Pick<Metrics, 'register'>, isUsed: () => boolean, unmerged: () => number) {
    this.#degraded = new Counter({
      name: 'duramen_limits_degraded_total',
      help: 'Decisions whose limits were decided without the shared store',
      registers: [],
    });
    metrics.register(this.#degraded);
    metrics.register(
      new Gauge({
        name: 'duramen_limits_store_up',
        help: 'Whether the shared store of limits is used: 1 or 0',
        registers: [],
        collect() {
          this.set(isUsed() ? 1 : 0);
        },
      }),
    );
    metrics.register(
      new Gauge({
        name: 'duramen_limits_unmerged',
        help: 'Admissions and settlements that the shared store does not know yet',
        registers: [],
        collect() {
          this.set(unmerged());
        },
      }),
    );
  }

  degraded(): void {
    this.#degraded.inc();
  }
}
