/**
 * Decisions as JSON text. What is the same in the results of a limit is encoded once: six limits would otherwise cost as
 * much as the rest of the answer. Invariant: the text says exactly what JSON.stringify says of the decision
 * (test/edge/http/decision-text.test.ts), apart from where `limits` stands.
 */
import type { Decision } from '../../domain/decision.ts';
import type { LimitResult } from '../../domain/limit-answer.ts';

/** A result that was encoded, and the part of its text that further results of its limit repeat. */
interface Known {
  readonly result: LimitResult;
  readonly text: string;
}

export class DecisionText {
  /** By the list of dimensions, which the results of one rule share (limits/limit-results.ts). */
  readonly #known = new WeakMap<readonly string[], Known>();

  encode(decision: Decision): string {
    const { limits } = decision;
    if (limits === undefined) return JSON.stringify(decision);
    const rest = JSON.stringify({ ...decision, limits: undefined });
    let text = '';
    for (const result of limits) text += text === '' ? this.#result(result) : `,${this.#result(result)}`;
    return `${rest.slice(0, -1)},"limits":[${text}]}`;
  }

  #result(result: LimitResult): string {
    // violations are rare, and have more members
    const { violated, retryAfterMs, degraded } = result;
    if (violated !== undefined || retryAfterMs !== undefined || degraded !== undefined) {
      return JSON.stringify(result);
    }
    let known = this.#known.get(result.scope);
    if (known === undefined || !isOfOneRule(known.result, result)) {
      known = { result, text: commonText(result) };
      this.#known.set(result.scope, known);
    }
    const { used, remaining, resetSeconds, reserved } = result;
    return `${known.text},"used":${used},"remaining":${remaining},"resetSeconds":${resetSeconds},"reserved":${reserved}}`;
  }
}

/** Whether all that is repeated is the same. */
function isOfOneRule(one: LimitResult, other: LimitResult): boolean {
  return (
    one.name === other.name &&
    one.limit === other.limit &&
    one.source === other.source &&
    one.kind === other.kind &&
    one.unit === other.unit &&
    one.mode === other.mode &&
    one.windowSeconds === other.windowSeconds &&
    one.period === other.period
  );
}

/** Without its closing brace. */
function commonText({
  name,
  kind,
  unit,
  scope,
  mode,
  limit,
  source,
  windowSeconds,
  period,
}: LimitResult): string {
  return JSON.stringify({ name, kind, unit, scope, mode, limit, source, windowSeconds, period }).slice(0, -1);
}
