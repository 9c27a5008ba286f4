/**
 * What a call used, in every unit, from what was reported of it and, where that says nothing, from what was reserved.
 * Invariant: silence never makes a call cheaper than its reservation, unless it failed or was cancelled.
 */
import { isJsonList, type JsonObject, listOf, objectOf, textOf } from '../domain/json.ts';
import { LIMIT_UNITS, type LimitUnit, NOTHING_USED, type UnitAmounts } from '../domain/limit.ts';
import type { Outcome } from '../domain/outcome.ts';

/** Place of what a limit reserved in its entry: `[name, unit, limit, reserved, …]`. */
const RESERVED = 3;

/** What a decision reserved and was told, read from its leaf. */
export interface Reserved {
  /** The largest amount in each unit. */
  readonly amounts: UnitAmounts;
  /** Tokens of the input as they were told; undefined: they were not. */
  readonly inputTokens: number | undefined;
}

export function reservedBy(leaf: JsonObject): Reserved {
  const amounts: Record<LimitUnit, number> = { ...NOTHING_USED };
  for (const limit of listOf(leaf['limits'])) {
    if (!isJsonList(limit)) continue;
    const unit = unitOf(textOf(limit[1]));
    const amount = limit[RESERVED];
    if (unit !== undefined && typeof amount === 'number') amounts[unit] = Math.max(amounts[unit], amount);
  }
  const { tokens } = objectOf(objectOf(leaf['request'])['input']);
  return { amounts, inputTokens: typeof tokens === 'number' ? tokens : undefined };
}

function unitOf(text: string): LimitUnit | undefined {
  return LIMIT_UNITS.find(unit => unit === text);
}

/** What an estimate multiplies by the outputs of a call, of each of them; the input is told as a whole. */
export function ofEachOutput(use: CallUse, leaf: JsonObject): CallUse {
  const { outputs } = objectOf(objectOf(leaf['request'])['params']);
  const parts = typeof outputs === 'number' ? Math.max(1, outputs) : 1;
  const [output_tokens, compute_ms] = [use.output_tokens / parts, use.compute_ms / parts];
  return { ...use, output_tokens: Math.ceil(output_tokens), compute_ms: Math.ceil(compute_ms) };
}

/** Tokens and time of a call; money is a matter of prices. */
export type CallUse = Omit<UnitAmounts, 'micro_usd'>;

export function useOf({ status, usage, durationMs }: Outcome, { amounts, inputTokens }: Reserved): CallUse {
  // of a call that ended early nothing is assumed: its floor is charged where it was cancelled
  const isWhole = status === 'completed' || status === 'partial';
  const told = status === 'failed' ? 0 : inputTokens;
  const input = usage.inputTokens ?? told ?? (isWhole ? amounts.input_tokens : 0);
  const output = usage.outputTokens ?? (isWhole ? amounts.output_tokens : 0);
  const isCounted = usage.inputTokens !== undefined || usage.outputTokens !== undefined;
  return {
    requests: 1,
    input_tokens: input,
    output_tokens: output,
    tokens: isCounted || !isWhole ? input + output : Math.max(amounts.tokens, input + output),
    compute_ms: usage.computeMs ?? durationMs ?? (isWhole ? amounts.compute_ms : 0),
  };
}
