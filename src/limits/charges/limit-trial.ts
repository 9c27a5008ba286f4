/**
 * What limits would have made of calls that were logged. Invariant: the calls meet the same planner and the same table
 * that decisions meet, on the clock of the log.
 */
import type { LayerName } from '../../domain/ids.ts';
import { type LimitsFile, limitsFileSchema, type WrittenLimits } from '../../domain/limit-definition.ts';
import { ActiveTenants } from './fair-shares.ts';
import { compileLimits } from './layer-limits.ts';
import { LimitTable } from '../counters/limit-table.ts';
import type { ActionNames } from './limit-match.ts';
import { LimitPlanner } from './planner.ts';
import type { Admission, SettlementResult } from '../ports.ts';
import type { LoggedModelCall } from './suggestion.ts';
import { UsageTable } from './usage-history.ts';

/** How much longer a hold of the trial lasts than its call, in milliseconds. */
const HOLD_MS = 60_000;

/** What a limit would have denied. */
export interface TriedLimit {
  /** `<layer>/<id>` */
  readonly name: string;
  /** Calls that it would have denied, alone or with others; a shadow's count too. */
  readonly denied: number;
  /** Callers of those. */
  readonly callers: number;
}

export interface TrialResult {
  readonly calls: number;
  /** Calls that would have been denied. */
  readonly denied: number;
  readonly limits: readonly TriedLimit[];
}

/**
 * Replays calls.
 * @param calls in the order of their times
 * @throws Error when the file is not a limits.json
 */
export function tryLimits(calls: readonly LoggedModelCall[], written: WrittenLimits): TrialResult {
  const file = enforced(limitsFileSchema.parse(written));
  const layer: LayerName = 'platform';
  const layers = [compileLimits(layer, file, operationsIn(calls))];
  const planner = new LimitPlanner({ history: new UsageTable(), activity: new ActiveTenants() });
  const table = new LimitTable();
  const tallies = new Map(
    layers[0]?.limits.map(({ name }) => [name, { denied: 0, callers: new Set<string>() }]),
  );
  const leaseMs = longestLease(file);
  let denied = 0;
  for (const { at, call, isEnd } of stepsOf(calls, leaseMs)) {
    const decisionId = String(at);
    if (isEnd) {
      settle(table, decisionId, call, endOf(call, leaseMs));
      continue;
    }
    const charges = planner.plan(factsOf(call), layers, call.time);
    const holdMs = HOLD_MS + endOf(call, leaseMs) - call.time;
    const admission = atOnce(table.admit({ decisionId, now: call.time, holdMs, charges }));
    if (!admission.admitted) denied += 1;
    for (const [position, { rule }] of charges.entries()) {
      const tally = tallies.get(rule.name);
      if (tally === undefined || admission.standings[position]?.violated !== true) continue;
      tally.denied += 1;
      tally.callers.add(call.principal.key);
    }
  }
  const limits = [...tallies].map(([name, tally]) => ({
    name,
    denied: tally.denied,
    callers: tally.callers.size,
  }));
  return { calls: calls.length, denied, limits };
}

/** One instant of a call: that of its decision, or that at which it is settled. */
interface Step {
  /** Place of the call. */
  readonly at: number;
  readonly call: LoggedModelCall;
  readonly time: number;
  readonly isEnd: boolean;
}

/** Decisions and ends in the order of their times; what ends makes room for what begins at the same instant. */
function stepsOf(calls: readonly LoggedModelCall[], leaseMs: number): readonly Step[] {
  const steps = calls.flatMap((call, at): Step[] => [
    { at, call, time: call.time, isEnd: false },
    { at, call, time: endOf(call, leaseMs), isEnd: true },
  ]);
  const isOwnEnd = ({ call, time, isEnd }: Step): boolean => isEnd && time === call.time;
  // a call that takes no time ends after it began, and before the next one
  const rank = (step: Step): number =>
    step.isEnd && !isOwnEnd(step) ? -1 : step.at * 2 + (step.isEnd ? 1 : 0);
  return steps.toSorted((a, b) => a.time - b.time || rank(a) - rank(b));
}

/** When the trial settles a call: with its outcome; a call without one when every lease has ended. */
function endOf({ time, endedAt }: LoggedModelCall, leaseMs: number): number {
  return Math.max(time, endedAt ?? time + leaseMs);
}

function longestLease({ limits }: LimitsFile): number {
  return Math.max(0, ...limits.map(limit => (limit.kind === 'concurrency' ? limit.lease : 0)));
}

/** Shadows as what they would be: the trial is about what they would deny. */
function enforced(file: LimitsFile): LimitsFile {
  return { ...file, limits: file.limits.map(limit => ({ ...limit, mode: 'enforce' as const })) };
}

/** What was called in the log ran a model, whatever its schema names the group. */
function operationsIn(calls: readonly LoggedModelCall[]): ActionNames {
  return new Map([['Inference', [...new Set(calls.map(({ operation }) => operation))]]]);
}

function factsOf({ principal, tier, tenant, model, operation, inputTokens, outputTokens }: LoggedModelCall) {
  return {
    principal,
    principalAncestors: new Set<string>(),
    tier,
    tenant,
    plan: undefined,
    model,
    operation,
    address: undefined,
    key: undefined,
    pep: '',
    inputTokens,
    maxOutputTokens: outputTokens,
    limitSets: [],
  };
}

function settle(
  table: LimitTable,
  decisionId: string,
  { inputTokens, outputTokens, costMicroUsd }: LoggedModelCall,
  now: number,
): void {
  const actual = {
    requests: 1,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    tokens: inputTokens + outputTokens,
    compute_ms: 0,
    micro_usd: costMicroUsd ?? 0,
  };
  atOnce(table.settle({ decisionId, now, actual, atLeastFloor: false }));
}

function atOnce<T extends Admission | SettlementResult>(answer: T | Promise<T>): T {
  if (answer instanceof Promise) throw new Error('the table in memory answers at once');
  return answer;
}
