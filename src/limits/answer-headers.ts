/**
 * Headers about limits for the client of a gateway: draft-ietf-httpapi-ratelimit-headers, `Retry-After` (RFC 9110
 * §10.2.3) and the `X-RateLimit-*` that older clients know. Everything that may change with the draft is in this file.
 * Invariant: a client sees limits that are its own, and others only where they denied it: what remains of a tenant's
 * budget is told to the gateway, not to whoever calls.
 */
import type { LimitCharge, LimitRule, LimitStanding } from '../domain/limit.ts';

const SECOND_MS = 1000;
/** Largest integer of a structured field (RFC 9651 §3.3.1). */
const MAX_FIELD_INTEGER = 999_999_999_999_999;
/** Dimensions that make a limit the caller's own. */
const OWN: ReadonlySet<string> = new Set(['principal', 'key', 'address']);
const PERIOD_SECONDS = { hour: 3_600, day: 86_400, week: 604_800 } as const;

/** One limit of a request with where it stands. */
export interface StandingLimit {
  readonly charge: LimitCharge;
  readonly standing: LimitStanding;
}

/** Writes headers. It remembers what it wrote about a rule for as long as the rule is around. */
export class AnswerHeaders {
  readonly #policies = new WeakMap<LimitRule, string>();

  /**
   * @param retryAfterMs of a deny: until the whole request may pass; null: never; undefined: an allow.
   * @returns names in lower case; empty where there is nothing to tell.
   */
  write(limits: readonly StandingLimit[], retryAfterMs: number | null | undefined): Record<string, string> {
    const headers: Record<string, string> = {};
    if (typeof retryAfterMs === 'number') headers['retry-after'] = String(secondsOf(retryAfterMs));
    let state = '';
    let policy = '';
    let tightest: StandingLimit | undefined;
    for (const limit of limits) {
      const { charge, standing } = limit;
      const { rule } = charge;
      if (rule.mode === 'shadow' || (!standing.violated && !isOwn(rule))) continue;
      state += `${state === '' ? '' : ', '}"${rule.name}";r=${clamp(standing.remaining)}${timeOf(standing)}`;
      policy += `${policy === '' ? '' : ', '}${this.#policyOf(rule)}`;
      if (tightest === undefined || isTighter(limit, tightest)) tightest = limit;
    }
    if (tightest === undefined) return headers;
    headers['ratelimit'] = state;
    headers['ratelimit-policy'] = policy;
    headers['x-ratelimit-limit'] = String(tightest.charge.rule.limit);
    headers['x-ratelimit-remaining'] = String(tightest.standing.remaining);
    headers['x-ratelimit-reset'] = String(secondsOf(waitOf(tightest.standing)));
    return headers;
  }

  #policyOf(rule: LimitRule): string {
    let text = this.#policies.get(rule);
    if (text === undefined) this.#policies.set(rule, (text = policyOf(rule)));
    return text;
  }
}

/** Whole seconds, rounded up. */
export function secondsOf(milliseconds: number): number {
  return Math.ceil(milliseconds / SECOND_MS);
}

function isOwn({ scope }: LimitRule): boolean {
  for (const dimension of scope) if (OWN.has(dimension)) return true;
  return false;
}

/** The registered units of a quota; others have a parameter of our own, which clients skip. */
function policyOf(rule: LimitRule): string {
  const window = windowSeconds(rule);
  const time = window === undefined ? '' : `;w=${window}`;
  const unit =
    rule.kind === 'concurrency'
      ? ';qu="concurrent-requests"'
      : rule.unit === 'requests'
        ? ''
        : `;duramen-unit="${rule.unit}"`;
  return `"${rule.name}";q=${clamp(rule.limit)}${time}${unit}`;
}

/** Length of the window, where it is a whole number of seconds and always the same. */
function windowSeconds(rule: LimitRule): number | undefined {
  const milliseconds = windowMs(rule);
  return milliseconds !== undefined && milliseconds > 0 && milliseconds % SECOND_MS === 0
    ? milliseconds / SECOND_MS
    : undefined;
}

function windowMs(rule: LimitRule): number | undefined {
  switch (rule.kind) {
    case 'window':
      return rule.windowMs;
    case 'rate':
      return rule.periodMs;
    case 'quota': {
      const { period } = rule;
      if (typeof period !== 'string') return period.rollingMs;
      return period === 'month' ? undefined : PERIOD_SECONDS[period] * SECOND_MS;
    }
    default:
      return undefined;
  }
}

/** Until more may be had: `Retry-After` is never before it. */
function timeOf(standing: LimitStanding): string {
  const wait = waitOf(standing);
  return wait === 0 ? '' : `;t=${clamp(secondsOf(wait))}`;
}

function waitOf({ violated, retryAfterMs, resetMs }: LimitStanding): number {
  return violated ? (retryAfterMs ?? 0) : resetMs;
}

/** Violated before not violated, then by the share that is left. */
function isTighter(one: StandingLimit, other: StandingLimit): boolean {
  if (one.standing.violated !== other.standing.violated) return one.standing.violated;
  return shareOf(one) < shareOf(other);
}

function shareOf({ charge, standing }: StandingLimit): number {
  return charge.rule.limit === 0 ? 0 : standing.remaining / charge.rule.limit;
}

function clamp(value: number): number {
  return Math.min(value, MAX_FIELD_INTEGER);
}
