/**
 * How much a call is thought to use before it is known. Invariant: what the caller declared is taken as it is; what
 * had to be guessed never is more than the limit, so that a guess alone denies nobody for good.
 */
import type { LimitFacts } from '../../domain/limit-facts.ts';
import type { LimitEstimate } from '../../domain/limit-definition.ts';
import type { CallSize, UsageHistory } from '../planning.ts';

/** Output that is reserved when neither the caller nor the directory bounds it, in tokens. */
const UNBOUNDED_OUTPUT = 4_096;

/** A size whose members are set again for each limit: one plan needs no more than one at a time. */
export class CallEstimate implements CallSize {
  input_tokens = 0;
  output_tokens = 0;
  compute_ms = 0;
  /** Whether the caller declared all of its tokens. */
  isDeclared = false;
  readonly #history: UsageHistory;

  constructor(history: UsageHistory) {
    this.#history = history;
  }

  /** Estimates a request by the policy of a limit. */
  set(facts: LimitFacts, policy: LimitEstimate): void {
    const { inputTokens, outputs = 1, model } = facts;
    const most = mostOutput(facts, outputs);
    if (policy.policy === 'maximum') {
      this.input_tokens = inputTokens ?? model?.contextWindow ?? 0;
      this.output_tokens = most;
      this.compute_ms = times(outputs, this.#expected(facts, 'compute_ms') ?? 0);
      this.isDeclared = inputTokens !== undefined && told(facts, outputs) !== undefined;
      return;
    }
    this.input_tokens = inputTokens ?? this.#expected(facts, 'input_tokens') ?? 0;
    this.isDeclared = false;
    if (policy.policy === 'capped') {
      this.output_tokens = Math.min(most, times(outputs, policy.at));
      this.compute_ms = times(outputs, policy.at);
    } else {
      const { initial } = policy;
      this.output_tokens = Math.min(most, times(outputs, this.#expected(facts, 'output_tokens') ?? initial));
      this.compute_ms = times(outputs, this.#expected(facts, 'compute_ms') ?? initial);
    }
  }

  #expected(facts: LimitFacts, unit: keyof CallSize): number | undefined {
    const { principal, model } = facts;
    return model === undefined ? undefined : this.#history.expected(principal.key, model.uid.key, unit);
  }
}

/** The lower one of what the caller asked for and what the model gives, over all outputs. */
function mostOutput(facts: LimitFacts, outputs: number): number {
  const { maxOutputTokens = 0, model } = facts;
  const asked = told(facts, outputs);
  const ofModel = model?.maxOutputTokens;
  if (asked === undefined) return times(outputs, ofModel ?? Math.max(UNBOUNDED_OUTPUT, maxOutputTokens));
  return ofModel === undefined ? asked : Math.min(asked, times(outputs, ofModel));
}

/** What the caller bounds all outputs by. Of several, the largest one bounds no sum. */
function told({ maxOutputTokens, totalOutputTokens }: LimitFacts, outputs: number): number | undefined {
  return totalOutputTokens ?? (outputs > 1 ? undefined : maxOutputTokens);
}

/** The amount of one output for all of them, within what can be counted. */
function times(outputs: number, amount: number): number {
  return Math.min(outputs * amount, Number.MAX_SAFE_INTEGER);
}
