/**
 * Decisions as JSON text, member by member: JSON.stringify looks up the shape of each object anew, which costs more than
 * twice as much. What is the same in the results of a limit, and in the revisions of many decisions, is encoded once.
 * Invariant: the text says exactly what JSON.stringify says of the decision (test/edge/http/decision-text.test.ts).
 */
import type { CheckResult, Decision, LevelResult, Reason, Revision } from '../../domain/decision.ts';
import type { LimitResult } from '../../domain/limit-answer.ts';

/** A result that was encoded, and the part of its text that further results of its limit repeat. */
interface Known {
  readonly result: LimitResult;
  readonly text: string;
}

export class DecisionText {
  /** By the list of dimensions, which the results of one rule share (limits/limit-results.ts). */
  readonly #known = new WeakMap<readonly string[], Known>();
  readonly #layers = new WeakMap<Revision['layers'], string>();

  encode(decision: Decision): string {
    const { auth, decisionId, evaluatedAt, log, obligations, requestId } = decision;
    return (
      `{"decisionId":${quote(decisionId)},"decision":"${decision.decision}","reason":${reasonText(decision.reason)},` +
      `"levels":${levelsText(decision.levels)},` +
      `"obligations":${obligations.length === 0 ? '[]' : JSON.stringify(obligations)},` +
      `"revision":${this.#revision(decision.revision)},"evaluatedAt":${quote(evaluatedAt)},` +
      (requestId === undefined ? '' : `"requestId":${quote(requestId)},`) +
      this.#limitMembers(decision) +
      `"auth":{"mode":"${auth.mode}","method":${quote(auth.method)}},` +
      `"log":{"origin":${quote(log.origin)},"index":${log.index},"size":${log.size}}}`
    );
  }

  /** Layers come from the snapshot and are the same object again and again. */
  #revision({ directory, layers, schema }: Revision): string {
    let text = this.#layers.get(layers);
    if (text === undefined) this.#layers.set(layers, (text = JSON.stringify(layers)));
    return `{"layers":${text},"directory":${directory},"schema":${quote(schema)}}`;
  }

  #limitMembers({ limits, reservation, headers, problem }: Decision): string {
    let text = '';
    if (limits !== undefined) {
      text = '"limits":[';
      for (const [at, result] of limits.entries())
        text += at === 0 ? this.#result(result) : `,${this.#result(result)}`;
      text += '],';
    }
    if (reservation !== undefined) text += `"reservation":${JSON.stringify(reservation)},`;
    if (headers !== undefined) text += `"headers":${JSON.stringify(headers)},`;
    if (problem !== undefined) text += `"problem":${JSON.stringify(problem)},`;
    return text;
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

/** Whatever JSON writes otherwise than it is, and all that is not ASCII. */
const SPECIAL = /[^ !#-[\]-~]/;

function quote(text: string): string {
  return SPECIAL.test(text) ? JSON.stringify(text) : `"${text}"`;
}

function listText(texts: readonly string[]): string {
  const [first] = texts;
  if (first === undefined) return '[]';
  return texts.length === 1 ? `[${quote(first)}]` : JSON.stringify(texts);
}

function reasonText({ code, level, message, policies }: Reason): string {
  return `{"code":"${code}","level":"${level}","message":${quote(message)},"policies":${listText(policies)}}`;
}

function levelsText({ endpoint, tenant, action }: Decision['levels']): string {
  let text = endpoint === undefined ? '{' : `{"endpoint":${levelText(endpoint)}`;
  if (tenant !== undefined) text += `${text === '{' ? '' : ','}"tenant":${levelText(tenant)}`;
  if (action !== undefined) text += `${text === '{' ? '' : ','}"action":${levelText(action)}`;
  return `${text}}`;
}

function levelText({ decision, checks }: LevelResult): string {
  let text = '';
  for (const check of checks) text += text === '' ? checkText(check) : `,${checkText(check)}`;
  return `{"decision":"${decision}","checks":[${text}]}`;
}

function checkText(check: CheckResult): string {
  const { action, cedarDecision, code, decision, errors, message, nearMisses, policies, resource } = check;
  return (
    `{"action":${quote(action)},"resource":${quote(resource)},"decision":"${decision}","code":"${code}",` +
    `"message":${quote(message)},"policies":${listText(policies)}` +
    (errors === undefined ? '' : `,"errors":${listText(errors)}`) +
    (cedarDecision === undefined ? '' : `,"cedarDecision":"${cedarDecision}"`) +
    `,"nearMisses":${nearMisses.length === 0 ? '[]' : JSON.stringify(nearMisses)}}`
  );
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
