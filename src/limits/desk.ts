/**
 * Where a decision meets its limits: penalties, load, the plan of charges and the store that counts them, as one step
 * after the policies allowed. Invariants: it can only deny; what cannot be counted is thrown, and becomes a deny; when
 * store and planner answer at once, so does the desk.
 */
import { TimestampMemo } from '../domain/clock.ts';
import { type LimitCharge, NOTHING_USED } from '../domain/limit.ts';
import type { LimitMembers, LimitResult, Reservation } from '../domain/limit-answer.ts';
import type { LimitFacts } from '../domain/limit-facts.ts';
import { AnswerHeaders, type StandingLimit } from './answer-headers.ts';
import type { LimitLayers, LimitPlanning } from './planning.ts';
import type { Admission, LimitStore } from './ports.ts';
import { LimitResults } from './limit-results.ts';
import { type LimitRefusal, problemOf, refusalOf } from './verdict.ts';

/** Who asks, as penalties know them. */
export interface Asker {
  /** Key of the principal's uid. */
  readonly principal: string;
  /** `context.ip` as the request has it. */
  readonly address: string | undefined;
}

/** What refuses beside limits, and who is told what became of a request. No method throws or waits. */
export interface LimitGuard {
  /** Why nothing is evaluated for who asks. */
  blocked(asker: Asker, now: number): LimitRefusal | undefined;
  /** Why there is no room for a request that the policies allow. */
  shed(facts: LimitFacts, now: number): LimitRefusal | undefined;
  /** Told of each request that met a limit and was not merely tried out: violations, and limits nearly reached. */
  answered(
    facts: LimitFacts,
    limits: readonly StandingLimit[],
    refusal: LimitRefusal | undefined,
    now: number,
  ): void;
}

/** Refuses nothing and hears nothing. */
export const NO_GUARD: LimitGuard = {
  blocked: () => undefined,
  shed: () => undefined,
  answered: () => undefined,
};

/** One request that the policies allow. */
export interface LimitQuestion {
  readonly decisionId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly facts: LimitFacts;
  readonly layers: LimitLayers;
  /** Looks and changes nothing. */
  readonly dryRun: boolean;
}

/** What limits say of a request. */
export interface LimitAnswer {
  /** Absent: admitted. */
  readonly refusal: LimitRefusal | undefined;
  /** What the answer gets. */
  readonly members: LimitMembers;
  /** Each limit that matched, for the entry. */
  readonly limits: readonly LimitResult[];
  /** What changed, to be kept with the entry. */
  readonly journal: Uint8Array | undefined;
  /** Whether something is held under the id of the decision, which nobody may hold when no answer leaves. */
  readonly holds: boolean;
}

/** What the engine needs of limits. */
export interface LimitGate {
  blocked(asker: Asker, now: number): LimitAnswer | undefined;
  /** @returns undefined: no limit is for the request. Throws or rejects when it cannot be counted. */
  admit(question: LimitQuestion): LimitAnswer | undefined | Promise<LimitAnswer | undefined>;
  /** Gives back what an admitted request holds, because nobody was told that it may go on. */
  withdraw(decisionId: string, now: number): void | Promise<void>;
}

export interface LimitDeskOptions {
  readonly store: LimitStore;
  readonly planning: LimitPlanning;
  readonly guard: LimitGuard;
  /** How long a hold waits for its outcome, in milliseconds. */
  readonly holdMs: number;
}

const NO_LIMITS: readonly never[] = [];

export class LimitDesk implements LimitGate {
  readonly #options: LimitDeskOptions;
  readonly #headers = new AnswerHeaders();
  readonly #results = new LimitResults();
  readonly #timestamps = new TimestampMemo();

  constructor(options: LimitDeskOptions) {
    this.#options = options;
  }

  blocked(asker: Asker, now: number): LimitAnswer | undefined {
    const refusal = this.#options.guard.blocked(asker, now);
    return refusal === undefined ? undefined : this.#refuse(refusal);
  }

  admit(question: LimitQuestion): LimitAnswer | undefined | Promise<LimitAnswer | undefined> {
    const { guard, planning, store, holdMs } = this.#options;
    const { facts, layers, now, decisionId, dryRun } = question;
    const shed = guard.shed(facts, now);
    if (shed !== undefined) return this.#refuse(shed);
    const charges = planning.plan(facts, layers, now, dryRun);
    if (charges.length === 0) return undefined;
    const admission = store.admit({ decisionId, now, holdMs, charges, dryRun });
    return admission instanceof Promise
      ? admission.then(answer => this.#conclude(question, charges, answer))
      : this.#conclude(question, charges, admission);
  }

  withdraw(decisionId: string, now: number): void | Promise<void> {
    const settled = this.#options.store.settle({
      decisionId,
      now,
      actual: NOTHING_USED,
      atLeastFloor: false,
    });
    // the entry with the charge is not in the log, so neither is what takes it back
    if (settled instanceof Promise) return settled.then(() => undefined);
  }

  #conclude(question: LimitQuestion, charges: readonly LimitCharge[], admission: Admission): LimitAnswer {
    const { facts, now, dryRun } = question;
    const limits = pair(charges, admission);
    const refusal = admission.admitted ? undefined : refusalOf(limits);
    if (!dryRun) this.#options.guard.answered(facts, limits, refusal, now);
    const results = this.#results.of(limits, admission.admitted);
    const headers = this.#headers.write(limits, refusal?.retryAfterMs);
    const holds = refusal === undefined && !dryRun;
    const members: LimitMembers = {
      limits: results,
      ...(holds && needsOutcome(charges) ? { reservation: this.#reservation(question) } : {}),
      headers,
      ...(refusal === undefined ? {} : { problem: problemOf(refusal) }),
    };
    return { refusal, members, limits: results, journal: admission.journal, holds };
  }

  #reservation({ decisionId, now }: LimitQuestion): Reservation {
    const path = `/v1/decisions/${decisionId}`;
    return {
      expiresAt: this.#timestamps.format(now + this.#options.holdMs),
      outcome: `${path}/outcome`,
      extend: `${path}/extend`,
    };
  }

  #refuse(refusal: LimitRefusal): LimitAnswer {
    const headers = this.#headers.write(NO_LIMITS, refusal.retryAfterMs);
    return {
      refusal,
      members: { headers, problem: problemOf(refusal) },
      limits: NO_LIMITS,
      journal: undefined,
      holds: false,
    };
  }
}

/** @throws Error when the store did not answer for each charge: nothing may be concluded from that */
function pair(charges: readonly LimitCharge[], { standings, admitted }: Admission): StandingLimit[] {
  const limits: StandingLimit[] = [];
  for (let at = 0; at < charges.length; at++) {
    const charge = charges[at];
    const standing = standings[at];
    if (charge === undefined || standing === undefined) throw new Error('a charge without a standing');
    if (admitted && standing.violated && charge.rule.mode === 'enforce') {
      throw new Error(`limit \`${charge.rule.name}\` is violated and was admitted`);
    }
    limits.push({ charge, standing });
  }
  return limits;
}

/** Whether the end of the call changes anything: a request that was counted stays counted. */
function needsOutcome(charges: readonly LimitCharge[]): boolean {
  for (const { rule } of charges) if (rule.unit !== 'requests' || rule.kind === 'concurrency') return true;
  return false;
}
