/**
 * The small parts of a leaf as canonical text, each with its members in order. Invariant: a part holds the fields
 * that are written here and no others, and none of them names a person.
 */
import type { CallerAuthentication } from '../domain/caller-authentication.ts';
import type { DecisionRequest } from '../domain/decision-request.ts';
import type { NearMiss, Obligation, Reason } from '../domain/decision.ts';
import type { ReasonCode } from '../domain/reason.ts';
import { canonicalNumber, canonicalString } from './canonical-json.ts';

/** A part of a request that is there. */
export type Asked<K extends keyof DecisionRequest> = NonNullable<DecisionRequest[K]>;

/** Codes whose messages are kept: the text that a policy gives, and what limits say, which names nobody. */
const KEPT_MESSAGES: ReadonlySet<ReasonCode> = new Set([
  'POLICY_ALLOW',
  'FORBIDDEN_BY_POLICY',
  'RATE_LIMITED',
  'BUDGET_EXHAUSTED',
  'CONCURRENCY_LIMITED',
  'PENALTY_BLOCKED',
  'OVERLOADED',
]);

/** Every other message follows from the code, and could name a principal. */
export function writeReason({ code, level, message }: Reason): string {
  const kept = KEPT_MESSAGES.has(code);
  return `{"code":"${code}","level":"${level}"${kept ? `,"message":${canonicalString(message)}` : ''}}`;
}

/** Without the values that were observed: they are attributes of persons. */
export function writeNearMiss({ missing, policy, reason }: NearMiss): string {
  return `{"missing":${canonicalString(missing)},"policy":${canonicalString(policy)},"reason":${canonicalString(reason)}}`;
}

export function writeObligation({ policy, type }: Obligation): string {
  return `{"policy":${canonicalString(policy)},"type":${canonicalString(type)}}`;
}

export function writeCaller({ binding, cause, method, mode }: CallerAuthentication): string {
  return (
    '"caller":{' +
    (binding === undefined ? '' : `"binding":${canonicalString(binding)},`) +
    (cause === undefined ? '' : `"cause":${canonicalString(cause)},`) +
    `"method":${canonicalString(method)},"mode":"${mode}"},`
  );
}

export function writeAuth({ assurance, issuer, keyId, method, mode, scopes }: Asked<'auth'>): string {
  return (
    `{"assurance":${canonicalNumber(assurance)}` +
    (issuer === undefined ? '' : `,"issuer":${canonicalString(issuer)}`) +
    (keyId === undefined ? '' : `,"keyId":${canonicalString(keyId)}`) +
    `,"method":${canonicalString(method)}${mode === undefined ? '' : `,"mode":"${mode}"`}` +
    `,"scopes":${writeList(scopes, canonicalString)}}`
  );
}

export function writeParams({
  maxOutputTokens,
  outputs,
  stream,
  totalOutputTokens,
}: Asked<'params'>): string {
  const text =
    (maxOutputTokens === undefined ? '' : `,"maxOutputTokens":${canonicalNumber(maxOutputTokens)}`) +
    (outputs === undefined ? '' : `,"outputs":${canonicalNumber(outputs)}`) +
    (stream === undefined ? '' : `,"stream":${stream}`) +
    (totalOutputTokens === undefined ? '' : `,"totalOutputTokens":${canonicalNumber(totalOutputTokens)}`);
  return `{${text.slice(1)}}`;
}

export function writeList<T>(list: readonly T[], write: (element: T) => string): string {
  let text = '';
  for (const element of list) text += text === '' ? write(element) : `,${write(element)}`;
  return `[${text}]`;
}

export function outputPart({ classification, id, path }: Asked<'outputs'>[number]) {
  return { classification, id, path };
}

export function partitionPart({ access, id }: Asked<'partitions'>[number]) {
  return { access, id };
}

export function toolPart({ amountCents, id }: Asked<'tools'>[number]) {
  return { amountCents, id };
}
