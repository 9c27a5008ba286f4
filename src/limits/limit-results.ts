/**
 * Each limit as the answer tells it. On the path of each decision: what is the same for all requests of a rule is made
 * once, and every result of one kind has the same shape.
 */
import type { LimitRule, QuotaPeriod } from '../domain/limit.ts';
import type { LimitResult } from '../domain/limit-answer.ts';
import { secondsOf, type StandingLimit } from './answer-headers.ts';

/** What results of a rule have in common. */
interface Fixed {
  readonly scope: string[];
  readonly windowSeconds: number | undefined;
  readonly period: Extract<QuotaPeriod, string> | undefined;
}

export class LimitResults {
  readonly #fixed = new WeakMap<LimitRule, Fixed>();

  /** @param admitted whether the request was, and so charged something */
  of(limits: readonly StandingLimit[], admitted: boolean): LimitResult[] {
    const results: LimitResult[] = [];
    for (const limit of limits) results.push(this.#resultOf(limit, admitted));
    return results;
  }

  #resultOf({ charge, standing }: StandingLimit, admitted: boolean): LimitResult {
    const { rule, amount } = charge;
    const { name, kind, unit, mode, limit, source } = rule;
    const { scope, windowSeconds, period } = this.#fixedOf(rule);
    const { used, remaining, violated, degraded, retryAfterMs } = standing;
    const resetSeconds = secondsOf(standing.resetMs);
    const reserved = admitted && !violated ? amount : 0;
    const result: LimitResult =
      windowSeconds !== undefined
        ? {
            name,
            kind,
            unit,
            scope,
            mode,
            limit,
            source,
            windowSeconds,
            used,
            remaining,
            resetSeconds,
            reserved,
          }
        : period !== undefined
          ? { name, kind, unit, scope, mode, limit, source, period, used, remaining, resetSeconds, reserved }
          : { name, kind, unit, scope, mode, limit, source, used, remaining, resetSeconds, reserved };
    if (!violated && !degraded) return result;
    return {
      ...result,
      ...(violated ? { violated: true, retryAfterMs } : {}),
      ...(degraded ? { degraded: true } : {}),
    };
  }

  #fixedOf(rule: LimitRule): Fixed {
    let fixed = this.#fixed.get(rule);
    if (fixed === undefined) this.#fixed.set(rule, (fixed = fixedOf(rule)));
    return fixed;
  }
}

function fixedOf(rule: LimitRule): Fixed {
  const scope = [...rule.scope];
  switch (rule.kind) {
    case 'window':
      return { scope, windowSeconds: rule.windowMs / 1000, period: undefined };
    case 'rate':
      return { scope, windowSeconds: rule.periodMs / 1000, period: undefined };
    case 'quota':
      return typeof rule.period === 'string'
        ? { scope, windowSeconds: undefined, period: rule.period }
        : { scope, windowSeconds: rule.period.rollingMs / 1000, period: undefined };
    default:
      return { scope, windowSeconds: undefined, period: undefined };
  }
}
