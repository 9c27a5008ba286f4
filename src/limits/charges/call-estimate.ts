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
    const { inputTokens, maxOutputTokens, model } = facts;
    const most = mostOutput(facts);
    if (policy.policy === 'maximum') {
      this.input_tokens = inputTokens ?? model?.contextWindow ?? 0;
      this.output_tokens = most;
      this.compute_ms = this.#expected(facts, 'compute_ms') ?? 0;
      this.isDeclared = inputTokens !== undefined && maxOutputTokens !== undefined;
      return;
    }
    this.input_tokens = inputTokens ?? this.#expected(facts, 'input_tokens') ?? 0;
    this.isDeclared = false;
    if (policy.policy === 'capped') {
      this.output_tokens = Math.min(most, policy.at);
      this.compute_ms = policy.at;
    } else {
      this.output_tokens = Math.min(most, this.#expected(facts, 'output_tokens') ?? policy.initial);
      this.compute_ms = this.#expected(facts, 'compute_ms') ?? policy.initial;
    }
  }

  #expected(facts: LimitFacts, unit: keyof CallSize): number | undefined {
    const { principal, model } = facts;
    return model === undefined ? undefined : this.#history.expected(principal.key, model.uid.key, unit);
  }
}

/** The lower one of what the caller asked for and what the model gives. */
function mostOutput({ maxOutputTokens, model }: LimitFacts): number {
  const ofModel = model?.maxOutputTokens;
  if (maxOutputTokens === undefined) return ofModel ?? UNBOUNDED_OUTPUT;
  return ofModel === undefined ? maxOutputTokens : Math.min(maxOutputTokens, ofModel);
}
