/**
 * Who is turned away while a model is under load. Invariants: steps follow each other in the declared order, with
 * hysteresis; a load that is no longer reported turns nobody away; turning away counts as no violation.
 */
import type { SheddingRules, ShedStep } from '../../domain/guard-rules.ts';
import type { Load } from './load-board.ts';

/** Loads are smoothed in thousandths of a percent, so that small steps of time do not round away. */
const SCALE = 1000;

/** A model moved between steps; `to` 0: nobody is turned away. */
export interface StepChange {
  /** Entity key of the model or group. */
  readonly subject: string;
  readonly from: number;
  readonly to: number;
  /** Smoothed load, in percent. */
  readonly loadPercent: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Whether it ended because nothing was reported any more. */
  readonly expired: boolean;
}

/** Why a request is turned away. */
export interface Shed {
  readonly subject: string;
  /** Steps in force. */
  readonly step: number;
  readonly loadPercent: number;
  readonly retryAfterMs: number;
}

/** What of a request decides whether it is turned away. */
export interface ShedFacts {
  /** Entity keys of the model and of all that it is in; undefined: the request is for no model. */
  readonly model: string | undefined;
  readonly ancestors: ReadonlySet<string> | undefined;
  /** Undefined: it has none, which is in no list. */
  readonly tier: string | undefined;
  readonly operation: string;
}

interface State {
  /** Smoothed, in SCALE-ths of a percent. */
  level: number;
  updatedAt: number;
  expiresAt: number;
  step: number;
  /** When the step began. */
  since: number;
}

export class LoadShedder {
  readonly #rules: () => SheddingRules | undefined;
  readonly #states = new Map<string, State>();

  /** @param rules those in force; undefined: nobody is turned away */
  constructor(rules: () => SheddingRules | undefined) {
    this.#rules = rules;
  }

  /** Takes in the load of a model after a report. @returns undefined when its step stays */
  observe(load: Load, now: number): StepChange | undefined {
    const rules = this.#rules();
    if (rules === undefined) return undefined;
    const { subject, expiresAt } = load;
    const sample = loadPercent(load, rules) * SCALE;
    const known = this.#states.get(subject);
    if (known === undefined || known.expiresAt <= now) {
      // nothing is known of the time before: the first report counts in full
      const state = { level: sample, updatedAt: now, expiresAt, step: known?.step ?? 0, since: now };
      this.#states.set(subject, state);
      return move(subject, state, rules, now, true);
    }
    const elapsed = Math.max(0, now - known.updatedAt);
    known.level = smooth(known.level, sample, elapsed, rules.smooth);
    known.updatedAt = Math.max(now, known.updatedAt);
    known.expiresAt = expiresAt;
    return move(subject, known, rules, now, false);
  }

  /** Whether anything is known of any load; on the path of each decision. */
  get isIdle(): boolean {
    return this.#states.size === 0;
  }

  /** Whether a request is turned away now: for its model, or for a group that the model is in. */
  shed(facts: ShedFacts, now: number): Shed | undefined {
    const { model, ancestors } = facts;
    const rules = this.#rules();
    if (rules === undefined || model === undefined) return undefined;
    const shed = this.#shedBy(model, facts, rules, now);
    if (shed !== undefined || ancestors === undefined) return shed;
    for (const ancestor of ancestors) {
      const byGroup = this.#shedBy(ancestor, facts, rules, now);
      if (byGroup !== undefined) return byGroup;
    }
    return undefined;
  }

  #shedBy(
    subject: string,
    { tier, operation }: ShedFacts,
    { steps, retryAfter }: SheddingRules,
    now: number,
  ): Shed | undefined {
    const state = this.#states.get(subject);
    if (state === undefined || state.step === 0 || state.expiresAt <= now) return undefined;
    if (!isListed(steps, state.step, tier, operation)) return undefined;
    return { subject, step: state.step, loadPercent: percentOf(state.level), retryAfterMs: retryAfter };
  }

  /** Ends the steps of models whose load is not reported any more, and forgets them. @returns those that were in one */
  expire(now: number): readonly StepChange[] {
    const changes: StepChange[] = [];
    for (const [subject, { step, level, expiresAt }] of this.#states) {
      if (expiresAt > now) continue;
      this.#states.delete(subject);
      if (step === 0) continue;
      changes.push({ subject, from: step, to: 0, loadPercent: percentOf(level), at: now, expired: true });
    }
    return changes;
  }

  /** Smoothed load and step of a model; undefined when nothing is reported. */
  standing(
    subject: string,
    now: number,
  ): { readonly loadPercent: number; readonly step: number } | undefined {
    const state = this.#states.get(subject);
    if (state === undefined || state.expiresAt <= now) return undefined;
    return { loadPercent: percentOf(state.level), step: state.step };
  }
}

/** The worst of what is reported: a full queue is a load of 100 per cent whatever the processors do. */
export function loadPercent(
  { gpuPercent, kvCachePercent, queueDepth, queues }: Load,
  { queueFull }: Pick<SheddingRules, 'queueFull'>,
): number {
  const waiting = queueDepth === null ? 0 : Math.ceil((queueDepth * 100) / (queueFull * queues));
  return Math.min(100, Math.max(gpuPercent ?? 0, kvCachePercent ?? 0, waiting));
}

/** Exponential smoothing, with the time constant that fits any distance of reports. */
function smooth(level: number, sample: number, elapsedMs: number, constantMs: number): number {
  if (constantMs === 0) return sample;
  return Math.round(level + (sample - level) * (1 - Math.exp(-elapsedMs / constantMs)));
}

/** Up as far as the load says; down as far as it says once the step has lasted. */
function move(
  subject: string,
  state: State,
  { steps, hold }: SheddingRules,
  now: number,
  isFirst: boolean,
): StepChange | undefined {
  const from = Math.min(state.step, steps.length);
  const up = steps.filter(({ enterPercent }) => state.level >= enterPercent * SCALE).length;
  const down = steps.filter(({ leavePercent }) => state.level >= leavePercent * SCALE).length;
  let to = from;
  if (up > from) to = up;
  else if (down < from && (isFirst || now - state.since >= hold)) to = down;
  state.step = to;
  if (to === from) return undefined;
  state.since = now;
  return { subject, from, to, loadPercent: percentOf(state.level), at: now, expired: false };
}

function isListed(
  steps: readonly ShedStep[],
  inForce: number,
  tier: string | undefined,
  operation: string,
): boolean {
  for (let at = 0; at < inForce; at++) {
    const step = steps[at];
    if (step === undefined) return false;
    if ((tier !== undefined && step.tiers.includes(tier)) || step.operations.includes(operation)) return true;
  }
  return false;
}

function percentOf(level: number): number {
  return Math.round(level / SCALE);
}
