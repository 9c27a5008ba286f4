/**
 * The step from what the policies allow to what limits leave of it. Invariants: it turns an allow into a deny and
 * nothing else; what cannot be counted is a deny; with a store that answers at once nothing waits.
 */
import type { CallerCredential } from '../domain/caller-authentication.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import type { LimitAnswer, LimitGate } from '../limits/desk.ts';
import type { Evaluated } from './decide.ts';
import { addressOf, LimitFactReader } from './limit-facts.ts';
import { qualify } from './plan.ts';
import type { Snapshot } from './snapshot.ts';

/** An evaluated decision after its limits. */
export interface Limited {
  readonly evaluated: Evaluated;
  /** What limits said; undefined: none was for it. */
  readonly limit: LimitAnswer | undefined;
}

/** What the step needs beside what was evaluated. */
export interface LimitInputs {
  readonly snapshot: Snapshot;
  /** Id of the key of the gateway. */
  readonly pep: string;
  /** The credential of the caller; absent: it was not verified here. */
  readonly credential?: CallerCredential | undefined;
  /** Milliseconds since the epoch: the instant of the decision. */
  readonly now: number;
}

export class LimitStep {
  readonly #gate: LimitGate;
  readonly #facts = new LimitFactReader();
  readonly #onFailure: (error: unknown, evaluated: Evaluated) => Evaluated;

  /** @param onFailure makes the deny of a request that could not be counted */
  constructor(gate: LimitGate, onFailure: (error: unknown, evaluated: Evaluated) => Evaluated) {
    this.#gate = gate;
    this.#onFailure = onFailure;
  }

  /** Why nothing is evaluated for a request; undefined: nobody is kept out. */
  blocked(request: DecisionRequest, now: number): LimitAnswer | undefined {
    const { type, id } = request.principal;
    return this.#gate.blocked({ principal: qualify(type, id).key, address: addressOf(request) }, now);
  }

  /** Charges an allow. */
  charge(evaluated: Evaluated, inputs: LimitInputs): Limited | Promise<Limited> {
    try {
      const answer = this.#ask(evaluated, inputs);
      if (!(answer instanceof Promise)) return conclude(evaluated, answer);
      return answer.then(
        said => conclude(evaluated, said),
        (error: unknown) => this.#fail(error, evaluated),
      );
    } catch (error) {
      return this.#fail(error, evaluated);
    }
  }

  /** Gives back what a request holds whose entry could not be written. Rejects when that fails. */
  async withdraw(decisionId: string, now: number): Promise<void> {
    await this.#gate.withdraw(decisionId, now);
  }

  #ask(
    { parties, limitSets, decision, request: { asked } }: Evaluated,
    { snapshot, pep, credential, now }: LimitInputs,
  ): LimitAnswer | undefined | Promise<LimitAnswer | undefined> {
    if (parties === undefined) throw new Error('an allow without its parties');
    const layers = snapshot.limitLayersOf.of(parties, decision.revision.layers);
    if (layers.length === 0 && limitSets.length === 0) return undefined;
    return this.#gate.admit({
      decisionId: decision.decisionId,
      now,
      facts: this.#facts.read(snapshot, { request: asked, parties, limitSets, pep, credential }),
      layers,
      dryRun: asked.consume === false,
    });
  }

  #fail(error: unknown, evaluated: Evaluated): Limited {
    return { evaluated: this.#onFailure(error, evaluated), limit: undefined };
  }
}

function conclude(evaluated: Evaluated, limit: LimitAnswer | undefined): Limited {
  return limit === undefined ? { evaluated, limit } : { evaluated: withLimits(evaluated, limit), limit };
}

/** A decision with what limits say of it. Of a deny by limits no policy is a reason, and nothing is obliged. */
export function withLimits(evaluated: Evaluated, { refusal, members }: LimitAnswer): Evaluated {
  const { decision } = evaluated;
  if (refusal === undefined) return { ...evaluated, decision: { ...decision, ...members } };
  const { code, message } = refusal;
  const reason = { code, level: decision.reason.level, message, policies: [] };
  return {
    ...evaluated,
    decision: { ...decision, decision: 'deny', reason, obligations: [], ...members },
  };
}
