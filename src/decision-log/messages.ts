/** One sentence for each reason code, for entries: unlike the answer's message it never names anybody. */
import type { JsonObject } from '../domain/json.ts';

const MESSAGES: Readonly<Record<string, string>> = {
  POLICY_ALLOW: 'a permit applies',
  NO_MATCHING_PERMIT: 'no permit applies',
  FORBIDDEN_BY_POLICY: 'a forbid applies',
  POLICY_ERROR: 'a forbid could not be evaluated, so the request is denied',
  UNKNOWN_PRINCIPAL: 'there is no such principal',
  UNKNOWN_RESOURCE: 'there is no such resource, or it is disabled',
  UNKNOWN_ACTION: 'there is no such action, or it does not apply to these types',
  UNKNOWN_TENANT: 'there is no such tenant',
  TENANT_SUSPENDED: 'the tenant is suspended',
  PRINCIPAL_DISABLED: 'the principal is disabled',
  NO_ACTIVE_BUNDLE: 'no bundle is active for a layer that the check needs',
  RATE_LIMITED: 'a limit is reached',
  BUDGET_EXHAUSTED: 'a budget is used up',
  CONCURRENCY_LIMITED: 'too many requests are under way',
  PENALTY_BLOCKED: 'limits were violated again and again, so nothing is admitted for a time',
  OVERLOADED: 'there is no capacity now',
  INTERNAL_ERROR: 'the decision failed inside the service',
};

/** @param nearMisses those of the check, nearest first: they say what was missing */
export function messageOfCode(code: string, nearMisses: readonly JsonObject[]): string {
  const message = MESSAGES[code] ?? code;
  const { policy, missing } = nearMisses[0] ?? {};
  if (typeof policy !== 'string' || typeof missing !== 'string') return message;
  return `${message}; the nearest is ${policy}, but ${missing}`;
}
