/**
 * Answers to gateways. Invariants: only an allow is 200, and only where a decision says so; the headers that
 * tell who and what was decided are all there in every answer, so that a gateway that copies them overwrites
 * what a client wrote.
 */
import type { Decision } from '../../domain/decision.ts';
import type { DecisionRequest } from '../../domain/decision-request.ts';
import type { AppError } from '../../domain/errors.ts';
import { tenantPrefix } from '../../domain/names.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { denyBody } from './deny-body.ts';
import { inferenceHeaders } from './inference-headers.ts';
import { clientStatus, GATEWAY_KINDS, gatewayStatus, type Transport } from './gateway-kinds.ts';

/** What one question came to. */
export interface Outcome {
  readonly decision: Decision;
  /** The request of the decision that is answered. */
  readonly request: DecisionRequest;
  /** As the client's request names the model or the tool. */
  readonly requestedName: string;
  readonly dialect: string | undefined;
  /** Tier of the principal; undefined: it has none, or the profile issues nothing by it. */
  readonly tier?: string | undefined;
}

/** A status with headers and a body, ready to be sent. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** For the client alone: where limits stand. */
  readonly clientHeaders: Readonly<Record<string, string>>;
  /** Empty for an allow. */
  readonly body: string;
}

/** Stands in requests for what is not known. */
const UNKNOWN = '?';
const JSON_TYPE = 'application/json';
/** The challenge of a 401 (RFC 6750 §3): it is about the client's own credential. */
const CHALLENGE = 'Bearer';

const NO_HEADERS = {};

/** The answer to a decision, allow and deny alike. @param transport by which the gateway asks */
export function answerDecision(
  outcome: Outcome,
  profile: PepProfile,
  transport: Transport = 'http',
): GatewayAnswer {
  const { decision } = outcome;
  const { headers: clientHeaders = NO_HEADERS, problem } = decision;
  const { code, message } = decision.reason;
  const isAllowed = decision.decision === 'allow';
  const issued = inferenceHeaders(profile, outcome.request, { isAllowed, tier: outcome.tier });
  const headers = { ...decisionHeaders(outcome), ...issued };
  if (isAllowed) {
    const { removal } = GATEWAY_KINDS[profile.kind];
    if (removal !== undefined && profile.removeHeaders.length > 0) {
      headers[removal] = profile.removeHeaders.join(', ');
    }
    headers['x-duramen-status'] = '200';
    return { status: 200, headers, clientHeaders, body: '' };
  }
  const status = clientStatus(profile, code, problem?.status);
  const facts = { status, code, message, decisionId: decision.decisionId };
  const shown = gatewayStatus(profile, status, transport);
  return { ...denied(shown, headers, denyBody(outcome.dialect, facts), status), clientHeaders };
}

/** The answer when no decision could be made: closed, and as an error only where errors are closed. */
export function answerFailure(error: AppError, profile: PepProfile): GatewayAnswer {
  const { onFailure = GATEWAY_KINDS[profile.kind].onFailure } = profile;
  const { code, message, status } = error;
  const headers = { ...NO_DECISION, 'x-duramen-reason': code };
  const body = denyBody(undefined, { status, code, message, decisionId: undefined });
  if (status < 500) {
    const wanted = status === 429 ? 429 : 403;
    return denied(gatewayStatus(profile, wanted), headers, body, wanted);
  }
  if (onFailure === 'deny') return denied(gatewayStatus(profile, 403), headers, body, status);
  return {
    status: 503,
    headers: { ...headers, 'x-duramen-status': '503', 'content-type': JSON_TYPE, 'retry-after': '1' },
    clientHeaders: NO_HEADERS,
    body: JSON.stringify(body),
  };
}

/** @param wanted the status that the client should see, where the gateway is able to change it. */
function denied(
  shown: number,
  headers: Readonly<Record<string, string>>,
  body: unknown,
  wanted: number,
): GatewayAnswer {
  return {
    status: shown,
    headers: {
      ...headers,
      'x-duramen-status': String(wanted),
      'content-type': JSON_TYPE,
      ...(shown === 401 ? { 'www-authenticate': CHALLENGE } : {}),
    },
    clientHeaders: NO_HEADERS,
    body: JSON.stringify(body),
  };
}

/** Every header that an answer about a decision has; empty where there is nothing to say. */
const NO_DECISION = {
  'x-duramen-status': '403',
  'x-duramen-decision': 'deny',
  'x-duramen-decision-id': '',
  'x-duramen-log': '',
  'x-duramen-reason': '',
  'x-duramen-principal': '',
  'x-duramen-tenant': '',
  'x-duramen-action': '',
  'x-duramen-model': '',
  'x-duramen-requested-model': '',
  'x-duramen-tool': '',
} as const;

/** Their names. */
export const ANSWER_HEADERS: readonly string[] = Object.keys(NO_DECISION);

function decisionHeaders({ decision, request, requestedName }: Outcome): Record<string, string> {
  const { principal, action, resource } = request;
  const isModel = resource.type === 'Model';
  return {
    ...NO_DECISION,
    'x-duramen-decision': decision.decision,
    'x-duramen-decision-id': decision.decisionId,
    'x-duramen-log': `${decision.log.origin} ${decision.log.index} ${decision.log.size}`,
    'x-duramen-reason': decision.reason.code,
    'x-duramen-principal': principal.id === UNKNOWN ? '' : `${principal.type}::${principal.id}`,
    'x-duramen-tenant': request.tenant ?? tenantPrefix(principal.id) ?? '',
    'x-duramen-action': action === UNKNOWN ? '' : action,
    'x-duramen-model': isModel && resource.id !== UNKNOWN ? resource.id : '',
    'x-duramen-requested-model': isModel ? requestedName : '',
    'x-duramen-tool': isModel ? '' : resource.id,
  };
}
