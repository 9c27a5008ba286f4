/**
 * What a case of the corpus says about a decision, and what a decision says about itself, in one shape.
 * Invariant: what a case leaves out is left out on both sides; an absent error or obligation means none.
 */
import type { CheckResult, Decision } from '../../src/domain/decision.ts';
import type { UnloggedDecision } from '../../src/domain/log-entry.ts';
import type { Expectation } from './corpus.ts';

/** The expectation as `observe` would report a decision that meets it. */
export function expected(wanted: Expectation): Record<string, unknown> {
  const { nearMisses, message, layers, errors = [], cedarDecision, clauses, ...rest } = wanted;
  return {
    ...rest,
    errors,
    cedarDecision,
    message,
    nearMisses: nearMisses?.toSorted(),
    layers,
    clauses: clauses ? 'each near miss has clauses' : 'no near miss has clauses',
  };
}

/** The parts of a decision that `wanted` speaks about. */
export function observe(decision: UnloggedDecision, wanted: Expectation): Record<string, unknown> {
  const { reason, levels, obligations, revision } = decision;
  const check = decidingCheck(decision);
  return {
    decision: decision.decision,
    code: reason.code,
    level: reason.level,
    policies: reason.policies,
    levels: Object.fromEntries(Object.entries(levels).map(([level, result]) => [level, result.decision])),
    obligations,
    errors: check.errors ?? [],
    cedarDecision: check.cedarDecision,
    message: wanted.message === undefined ? undefined : reason.message,
    nearMisses:
      wanted.nearMisses === undefined ? undefined : check.nearMisses.map(({ policy }) => policy).sort(),
    layers: wanted.layers === undefined ? undefined : Object.keys(revision.layers).sort(),
    clauses: clausesOf(check),
  };
}

/** The check that the reason comes from: the first that denied, or the last of all. */
function decidingCheck(decision: UnloggedDecision): CheckResult {
  const { endpoint, tenant, action } = decision.levels;
  const checks = [endpoint, tenant, action].flatMap(level => level?.checks ?? []);
  const check = checks.find(one => one.decision === 'deny') ?? checks.at(-1);
  if (check === undefined) throw new Error('the decision has no check');
  return check;
}

function clausesOf({ nearMisses }: CheckResult): string {
  if (nearMisses.every(({ clauses }) => clauses === undefined)) return 'no near miss has clauses';
  const complete = nearMisses.every(({ clauses = [] }) =>
    clauses.some(({ observed }) => observed !== undefined),
  );
  return complete ? 'each near miss has clauses' : 'some near miss has no clauses, or observes nothing';
}

/**
 * Reason and levels as an entry says them: messages could name somebody, so it has those alone that policies give,
 * and values that were observed never.
 */
export function sayable({ reason, levels }: Decision): object {
  const { message, ...said } = reason;
  const isPolicys = reason.code === 'POLICY_ALLOW' || reason.code === 'FORBIDDEN_BY_POLICY';
  return { reason: isPolicys ? { ...said, message } : said, levels: withoutMessages(levels) };
}

function withoutMessages(levels: Decision['levels']): object {
  return Object.fromEntries(
    Object.entries(levels).map(([level, { decision, checks }]) => [
      level,
      {
        decision,
        checks: checks.map(({ message: _message, nearMisses, ...check }) => ({
          ...check,
          nearMisses: nearMisses.map(({ clauses: _clauses, ...miss }) => miss),
        })),
      },
    ]),
  );
}
