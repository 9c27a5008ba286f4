/**
 * A model that tenants share, in virtual time: calls ask the real service first, run on the model when they may, report
 * their outcome, and ask again after a while when they may not. The more calls run beyond what the model can do at one
 * time, the slower each of them is.
 */
import { z } from 'zod';
import type { LimitedService, Question } from './limited-service.ts';

/** Who calls the model. */
export interface Workload {
  readonly question: Question;
  /** Instants at which calls come, in milliseconds from the start; a loop has one for each of its workers. */
  readonly arrivals: readonly number[];
  /** Whether each call is followed by the next at once, as a loop does. */
  readonly loops: boolean;
  /** How long it waits to ask again, in milliseconds. */
  readonly retryMs: number;
}

/** What became of a workload. */
export interface Served {
  /** From the first question to the end of the call, or, of one that never ran, to when it gave up; in milliseconds. */
  readonly latencies: number[];
  /** Questions that were denied, by code. */
  readonly denied: Map<string, number>;
  /** Most of its calls that ran at one time. */
  most: number;
}

interface Event {
  readonly at: number;
  readonly run: () => Promise<void>;
}

const decisionSchema = z.object({
  decisionId: z.string(),
  decision: z.enum(['allow', 'deny']),
  reason: z.object({ code: z.string() }),
});

export class SharedModel {
  readonly #service: LimitedService;
  readonly #capacity: number;
  readonly #workMs: number;
  readonly #events: Event[] = [];
  #running = 0;
  #now = 0;
  #end = 0;

  /** @param capacity calls that run at one time without slowing each other @param workMs of one call then */
  constructor(service: LimitedService, capacity: number, workMs: number) {
    this.#service = service;
    this.#capacity = capacity;
    this.#workMs = workMs;
  }

  /** Runs workloads beside each other for so long; calls that have begun are finished. */
  async run(workloads: readonly Workload[], ms: number): Promise<readonly Served[]> {
    this.#end = this.#now + ms;
    const start = this.#now;
    const served = workloads.map(workload => this.#start(workload, start));
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#service.clock.advance(next.at - this.#now);
      this.#now = next.at;
      await next.run();
    }
    return served;
  }

  #start(workload: Workload, start: number): Served {
    const served: Served = { latencies: [], denied: new Map(), most: 0 };
    const running = { calls: 0 };
    for (const arrival of workload.arrivals) {
      const at = start + arrival;
      if (at < this.#end) this.#at(at, () => this.#ask(workload, served, running, at));
    }
    return served;
  }

  async #ask(workload: Workload, served: Served, running: { calls: number }, since: number): Promise<void> {
    const { decisionId, decision, reason } = decisionSchema.parse(
      (await this.#service.decide(workload.question)).json,
    );
    if (decision === 'deny') {
      served.denied.set(reason.code, (served.denied.get(reason.code) ?? 0) + 1);
      const again = this.#now + workload.retryMs;
      if (again < this.#end) this.#at(again, () => this.#ask(workload, served, running, since));
      else served.latencies.push(again - since);
      return;
    }
    this.#running += 1;
    running.calls += 1;
    served.most = Math.max(served.most, running.calls);
    const workMs = Math.ceil(this.#workMs * Math.max(1, this.#running / this.#capacity));
    this.#at(this.#now + workMs, async () => {
      this.#running -= 1;
      running.calls -= 1;
      served.latencies.push(this.#now - since);
      const body = { status: 'completed', durationMs: workMs };
      await this.#service.call('POST', `/v1/decisions/${decisionId}/outcome`, { body });
      const now = this.#now;
      if (workload.loops && now < this.#end) this.#at(now, () => this.#ask(workload, served, running, now));
    });
  }

  #at(at: number, run: () => Promise<void>): void {
    // behind those of the same instant: whoever came first is asked for first
    const place = this.#events.findIndex(event => event.at > at);
    this.#events.splice(place === -1 ? this.#events.length : place, 0, { at, run });
  }

  #next(): Event | undefined {
    return this.#events.shift();
  }
}

/** The value below which so many per cent lie. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const value = sorted[Math.ceil((sorted.length * percent) / 100) - 1];
  if (value === undefined) throw new Error('there are no values');
  return value;
}
