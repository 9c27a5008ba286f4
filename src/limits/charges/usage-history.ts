/**
 * What calls used before, so that the next one is estimated well. Invariant: bounded memory, whoever calls; what is
 * known of one principal is never told to another but as the average of a model.
 */
import type { CallSize, UsageHistory } from '../planning.ts';

/** Most pairs of principal and model that are remembered: about 200 bytes each. */
const MAX_PAIRS = 100_000;
/** Most models whose average is remembered. */
const MAX_MODELS = 10_000;
/** Calls before an average is believed. */
const MIN_CALLS = 4;
/** How much of the difference a new call moves the average and the deviation by (as RFC 6298 smooths times). */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;
/** Deviations above the average that are expected: most calls need no more. */
const DEVIATIONS = 2;

const UNITS = ['input_tokens', 'output_tokens', 'compute_ms'] as const;

/** Smoothed averages of one key. */
class UsageAverage {
  #calls = 0;
  readonly #mean = { input_tokens: 0, output_tokens: 0, compute_ms: 0 };
  readonly #deviation = { input_tokens: 0, output_tokens: 0, compute_ms: 0 };

  add(used: CallSize): void {
    for (const unit of UNITS) {
      if (this.#calls === 0) this.#mean[unit] = used[unit];
      const difference = used[unit] - this.#mean[unit];
      this.#mean[unit] += difference * MEAN_GAIN;
      this.#deviation[unit] += (Math.abs(difference) - this.#deviation[unit]) * DEVIATION_GAIN;
    }
    this.#calls += 1;
  }

  expected(unit: keyof CallSize): number | undefined {
    if (this.#calls < MIN_CALLS) return undefined;
    return Math.ceil(this.#mean[unit] + DEVIATIONS * this.#deviation[unit]);
  }
}

/** Averages by principal and model, and by model for principals that are new to it. */
export class UsageTable implements UsageHistory {
  /** By model, then by principal; the model that was new first comes first. */
  readonly #pairs = new Map<string, Map<string, UsageAverage>>();
  readonly #models = new Map<string, UsageAverage>();
  #size = 0;

  expected(principal: string, model: string, unit: keyof CallSize): number | undefined {
    return this.#pairs.get(model)?.get(principal)?.expected(unit) ?? this.#models.get(model)?.expected(unit);
  }

  /**
   * Takes what a call really used.
   * @param principal key of its uid
   * @param model key of its uid
   */
  add(principal: string, model: string, used: CallSize): void {
    averageOf(this.#models, model, MAX_MODELS).add(used);
    const principals = this.#pairs.get(model) ?? new Map<string, UsageAverage>();
    this.#pairs.set(model, principals);
    const known = principals.get(principal);
    if (known !== undefined) {
      known.add(used);
      return;
    }
    const average = new UsageAverage();
    average.add(used);
    principals.set(principal, average);
    this.#size += 1;
    if (this.#size > MAX_PAIRS) this.#forgetOne();
  }

  /** Forgets the pair that has been known for longest of the model that has. */
  #forgetOne(): void {
    for (const [model, principals] of this.#pairs) {
      for (const principal of principals.keys()) {
        principals.delete(principal);
        this.#size -= 1;
        if (principals.size === 0) this.#pairs.delete(model);
        return;
      }
    }
  }
}

function averageOf(averages: Map<string, UsageAverage>, key: string, most: number): UsageAverage {
  const known = averages.get(key);
  if (known !== undefined) return known;
  const made = new UsageAverage();
  averages.set(key, made);
  for (const oldest of averages.keys()) {
    if (averages.size <= most) break;
    averages.delete(oldest);
  }
  return made;
}
