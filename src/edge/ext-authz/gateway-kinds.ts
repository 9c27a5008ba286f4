/**
 * What each kind of gateway makes of an answer, from its documentation. Invariants: an allow is exactly 200; a
 * deny is never a 5xx where that may be taken for an error and let pass.
 */
import type { PepKind, PepProfile } from '../../domain/pep-profile.ts';
import type { ReasonCode } from '../../domain/reason.ts';

/** The contract of one kind. */
export interface GatewayKind {
  /** Where it describes the client's request, unless the profile says otherwise. */
  readonly source: NonNullable<PepProfile['source']>;
  /**
   * What it is told when no decision can be made: `deny` where an error may mean allow, or would be hidden by a
   * 500; `error` where an error reaches the client as one.
   */
  readonly onFailure: 'deny' | 'error';
  /** Statuses of a deny that it passes on; any other becomes 403. Absent: every 4xx. */
  readonly statuses?: readonly number[];
  /** It hands a 503 on to the client as it is, and never takes one for an allow. */
  readonly passesUnavailable?: true;
  /** Header that makes it take headers from the request. */
  readonly removal?: string;
}

const URL_SOURCE = { kind: 'url' } as const;
const ORIGINAL = {
  kind: 'headers',
  method: 'x-original-method',
  uri: 'x-original-uri',
  host: 'x-original-host',
} as const;
const FORWARDED = {
  kind: 'headers',
  method: 'x-forwarded-method',
  uri: 'x-forwarded-uri',
  host: 'x-forwarded-host',
} as const;

export const GATEWAY_KINDS: Readonly<Record<PepKind, GatewayKind>> = {
  // 200 allows, 5xx is an error that `failure_mode_allow` lets pass, the rest denies with that status
  envoy: { source: URL_SOURCE, onFailure: 'deny', removal: 'x-envoy-auth-headers-to-remove' },
  agentgateway: { source: URL_SOURCE, onFailure: 'deny' },
  // auth_request: 401 and 403 deny, anything else but 2xx is answered with 500
  nginx: { source: ORIGINAL, onFailure: 'deny', statuses: [401, 403] },
  caddy: { source: FORWARDED, onFailure: 'error', passesUnavailable: true },
  traefik: { source: FORWARDED, onFailure: 'error', passesUnavailable: true },
  haproxy: { source: ORIGINAL, onFailure: 'deny' },
  // `allow_degradation` lets pass when the service cannot be reached, not when it answers
  apisix: { source: FORWARDED, onFailure: 'deny' },
  kong: { source: FORWARDED, onFailure: 'deny' },
  // these are asked by their own bodies (hooks.ts)
  portkey: { source: URL_SOURCE, onFailure: 'deny' },
  litellm: { source: URL_SOURCE, onFailure: 'deny' },
};

const UNAUTHORIZED = 401;
const FORBIDDEN = 403;
const TOO_MANY_REQUESTS = 429;
const UNAVAILABLE = 503;

/** How a gateway asks. Over gRPC the status for the client stands apart from what is an error. */
export type Transport = 'http' | 'grpc';

const STATUSES: Readonly<Partial<Record<ReasonCode, number>>> = {
  UNAUTHENTICATED: UNAUTHORIZED,
  CREDENTIAL_EXPIRED: UNAUTHORIZED,
  CREDENTIAL_REVOKED: UNAUTHORIZED,
  RATE_LIMITED: TOO_MANY_REQUESTS,
  BUDGET_EXHAUSTED: TOO_MANY_REQUESTS,
  CONCURRENCY_LIMITED: TOO_MANY_REQUESTS,
  PENALTY_BLOCKED: TOO_MANY_REQUESTS,
  OVERLOADED: UNAVAILABLE,
};

/** The status that a client should see for a deny. @param own of its problem, where limits denied */
export function clientStatus(
  { denyStatus }: Pick<PepProfile, 'denyStatus'>,
  code: ReasonCode,
  own?: number,
): number {
  return denyStatus[code] ?? own ?? STATUSES[code] ?? FORBIDDEN;
}

/** The nearest status that the gateway understands as a deny. */
export function gatewayStatus(
  { kind }: Pick<PepProfile, 'kind'>,
  desired: number,
  transport: Transport = 'http',
): number {
  const { statuses, passesUnavailable } = GATEWAY_KINDS[kind];
  const passes = desired !== UNAVAILABLE || transport === 'grpc' || passesUnavailable === true;
  const wanted = passes ? desired : TOO_MANY_REQUESTS;
  return statuses === undefined || statuses.includes(wanted) ? wanted : FORBIDDEN;
}
