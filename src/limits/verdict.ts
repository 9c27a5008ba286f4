/**
 * From where limits stand to what is said about it: the reason of a deny and the problem for the client. Invariant: nothing here names a principal: messages stand in the decision log, which names nobody.
 */
import type { LimitCharge, LimitRule, LimitStanding, LimitUnit } from '../domain/limit.ts';
import type { LimitProblem } from '../domain/limit-answer.ts';
import type { ReasonCode } from '../domain/reason.ts';
import { secondsOf, type StandingLimit } from './answer-headers.ts';

/** Codes of denials by limits, by the penalties that follow them, and for want of capacity. */
export type LimitCode = Extract<
  ReasonCode,
  'RATE_LIMITED' | 'BUDGET_EXHAUSTED' | 'CONCURRENCY_LIMITED' | 'PENALTY_BLOCKED' | 'OVERLOADED'
>;

/** Why limits deny what the policies allow. */
export interface LimitRefusal {
  readonly code: LimitCode;
  /** One sentence that names no principal. */
  readonly message: string;
  /** Until the same request may pass, in milliseconds; null: never, it is larger than a limit. */
  readonly retryAfterMs: number | null;
  /** Names of the limits that denied. */
  readonly violated: readonly string[];
}

const TYPES = 'https://iana.org/assignments/http-problem-types#';
const FORBIDDEN = 403;
const TOO_MANY_REQUESTS = 429;
const UNAVAILABLE = 503;

/** Most limits that are named in one refusal. */
const MAX_NAMED = 8;

const NOUNS: Readonly<Record<LimitUnit, string>> = {
  requests: 'requests',
  input_tokens: 'input tokens',
  output_tokens: 'output tokens',
  tokens: 'tokens',
  compute_ms: 'milliseconds of work',
  micro_usd: 'micro-dollars',
};

/**
 * Why an admission was denied: the limit that opens last decides.
 * @throws Error when no limit denied, which a store must not answer
 */
export function refusalOf(limits: readonly StandingLimit[]): LimitRefusal {
  const denying = limits.filter(
    ({ charge, standing }) => standing.violated && charge.rule.mode === 'enforce',
  );
  const last = denying.toSorted((one, other) => waitOf(other.standing) - waitOf(one.standing))[0];
  if (last === undefined) throw new Error('a limit store denied without a limit that is violated');
  const { charge, standing } = last;
  return {
    code: codeOf(charge.rule),
    message: messageOf(charge, standing),
    retryAfterMs: standing.retryAfterMs,
    violated: denying.slice(0, MAX_NAMED).map(({ charge: { rule } }) => rule.name),
  };
}

function waitOf({ retryAfterMs }: LimitStanding): number {
  return retryAfterMs ?? Number.POSITIVE_INFINITY;
}

/** A pool that is shared fairly is capacity: who gets nothing of it did nothing wrong. */
function codeOf(rule: LimitRule): LimitCode {
  switch (rule.kind) {
    case 'window':
    case 'rate':
      return 'RATE_LIMITED';
    case 'quota':
      return 'BUDGET_EXHAUSTED';
    default:
      return rule.fair === undefined ? 'CONCURRENCY_LIMITED' : 'OVERLOADED';
  }
}

function messageOf(
  { rule, amount }: LimitCharge,
  { retryAfterMs, remaining, degraded }: LimitStanding,
): string {
  const noun = rule.kind === 'concurrency' ? 'requests at once' : NOUNS[rule.unit];
  if (degraded && rule.onStoreFailure === 'deny') {
    return `limit \`${rule.name}\` cannot be counted now, and denies while that lasts`;
  }
  if (retryAfterMs === null) {
    return `the request needs ${amount} ${noun}, and limit \`${rule.name}\` never admits more than ${mostOf(rule)}`;
  }
  return (
    `limit \`${rule.name}\` is reached: ${rule.limit} ${noun}${spanOf(rule)}, ${remaining} left, ` +
    `${amount} needed; again in ${secondsOf(retryAfterMs)} s`
  );
}

function mostOf(rule: LimitRule): number {
  return rule.kind === 'rate' ? Math.min(rule.burst, rule.limit) : rule.limit;
}

function spanOf(rule: LimitRule): string {
  switch (rule.kind) {
    case 'window':
      return ` in any ${rule.windowMs / 1000} s`;
    case 'rate':
      return ` per ${rule.periodMs / 1000} s`;
    case 'quota':
      return typeof rule.period === 'string'
        ? ` a ${rule.period}`
        : ` in any ${rule.period.rollingMs / 1000} s`;
    default:
      return '';
  }
}

/** The status that a client should see; a gateway may be able to show another one only. */
export function statusOf({ code, retryAfterMs }: Pick<LimitRefusal, 'code' | 'retryAfterMs'>): number {
  if (code === 'OVERLOADED') return UNAVAILABLE;
  return retryAfterMs === null ? FORBIDDEN : TOO_MANY_REQUESTS;
}

/** The problem for the client of a gateway (draft-ietf-httpapi-ratelimit-headers, "Problem Types"). */
export function problemOf(refusal: LimitRefusal): LimitProblem {
  const status = statusOf(refusal);
  const { code, message: detail, violated } = refusal;
  if (code === 'OVERLOADED') {
    const title = 'there is no capacity for the request now';
    return { type: `${TYPES}temporary-reduced-capacity`, title, status, detail };
  }
  if (code === 'PENALTY_BLOCKED') {
    const title = 'requests are refused for a time, because limits were violated again and again';
    return {
      type: `${TYPES}abnormal-usage-detected`,
      title,
      status,
      detail,
      'violated-policies': [...violated],
    };
  }
  const title = 'a quota is used up';
  return { type: `${TYPES}quota-exceeded`, title, status, detail, 'violated-policies': [...violated] };
}
