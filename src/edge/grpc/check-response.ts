/**
 * From an outcome to a CheckResponse. Invariants: an allow is made for a decision that allows and for nothing
 * else; every header that tells who and what was decided is overwritten or taken away, so what a client wrote
 * under its name never reaches the upstream.
 */
import { status as grpcStatus } from '@grpc/grpc-js';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { answerDecision, type GatewayAnswer, type Outcome } from '../ext-authz/answer.ts';
import { GATEWAY_KINDS } from '../ext-authz/gateway-kinds.ts';
import type { CheckCodec } from './check-codec.ts';
import type { HeaderOption, Struct } from './check-messages.ts';
import { limitMetadata } from './limit-metadata.ts';
import { makeStruct } from './struct.ts';

/** `OVERWRITE_IF_EXISTS_OR_ADD` of HeaderValueOption. */
const OVERWRITE = 2;
/** A value that no gateway could read as two headers: printable ASCII. */
const SENDABLE = /^[\x20-\x7e]+$/;

/** A CheckResponse, encoded. */
export interface EncodedCheck {
  readonly bytes: Buffer;
  /** Status that the client gets, or 200. */
  readonly status: number;
}

/** The answer to a decision, allow and deny alike. @throws Error when it could be taken for another one. */
export function encodeOutcome(outcome: Outcome, profile: PepProfile, codec: CheckCodec): EncodedCheck {
  const answer = answerDecision(outcome, profile, 'grpc');
  const metadata = describeOutcome(outcome, answer);
  const { decision, reason } = outcome.decision;
  if (decision !== 'allow') return encodeDeny(answer, reason.code, metadata, codec);
  if (answer.status !== 200) throw new Error('an allow has another status than 200');
  const { set, remove } = changesOf(answer, profile);
  const client = Object.entries(answer.clientHeaders).map(overwrite);
  const bytes = codec.encodeAllow({
    status: { code: grpcStatus.OK, message: reason.code },
    ok_response: {
      headers: set,
      ...(remove.length === 0 ? {} : { headers_to_remove: remove }),
      ...(client.length === 0 ? {} : { response_headers_to_add: client }),
    },
    dynamic_metadata: metadata,
  });
  return { bytes, status: 200 };
}

/** A deny without a decision: of a failure that is to be answered as one. */
export function encodeFailure(answer: GatewayAnswer, code: string, codec: CheckCodec): EncodedCheck {
  return encodeDeny(answer, code, makeStruct({ decision: 'deny', reason: code }), codec);
}

function encodeDeny(
  { status, headers, clientHeaders, body }: GatewayAnswer,
  code: string,
  metadata: Struct,
  codec: CheckCodec,
): EncodedCheck {
  const shown = Object.entries({ ...clientHeaders, ...headers }).filter(([, value]) => SENDABLE.test(value));
  const bytes = codec.encodeDeny({
    status: { code: codeOf(status), message: code },
    denied_response: { status: { code: status }, headers: shown.map(overwrite), body },
    dynamic_metadata: metadata,
  });
  return { bytes, status };
}

/** Headers of an allowed request that are set, and those that are taken away. */
function changesOf(
  { headers }: GatewayAnswer,
  { kind, removeHeaders }: PepProfile,
): { readonly set: HeaderOption[]; readonly remove: string[] } {
  const { removal } = GATEWAY_KINDS[kind];
  const set: HeaderOption[] = [];
  const remove = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    if (name === removal) continue;
    if (SENDABLE.test(value)) set.push(overwrite([name, value]));
    // a header with an empty value may be dropped on its way, which would leave the client's
    else remove.add(name);
  }
  for (const name of removeHeaders) remove.add(name);
  return { set, remove: [...remove] };
}

function overwrite([key, value]: readonly [string, string]): HeaderOption {
  return { header: { key, value }, append: { value: false }, append_action: OVERWRITE };
}

/** What the status of a call says of a deny; the client gets the status of the denied response. */
function codeOf(status: number): number {
  if (status === 401) return grpcStatus.UNAUTHENTICATED;
  if (status === 503) return grpcStatus.UNAVAILABLE;
  return status === 429 ? grpcStatus.RESOURCE_EXHAUSTED : grpcStatus.PERMISSION_DENIED;
}

/** For access logs, limits and other filters of the gateway: `envoy.filters.http.ext_authz` in Envoy. */
function describeOutcome({ decision, request }: Outcome, { headers }: GatewayAnswer): Struct {
  const { reason, obligations, log, limits } = decision;
  return makeStruct({
    ...(limits === undefined ? {} : limitMetadata(limits)),
    decision: decision.decision,
    decision_id: decision.decisionId,
    reason: reason.code,
    principal: headers['x-duramen-principal'] ?? '',
    tenant: headers['x-duramen-tenant'] ?? '',
    action: request.action,
    model: headers['x-duramen-model'] ?? '',
    requested_model: headers['x-duramen-requested-model'] ?? '',
    tool: headers['x-duramen-tool'] ?? '',
    policies: reason.policies,
    obligations: obligations.map(({ type }) => type),
    log_origin: log.origin,
    log_index: log.index,
  });
}
