/**
 * The client's request as a gateway describes it. Invariant: method, target and host come from where the profile
 * says, each exactly once; what the gateway matched and what it forwards are the same path, or it is denied.
 */
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { GatewayBody, GatewayRequest } from '../ai-requests/ai-request.ts';
import type { HeaderList } from '../ai-requests/header-list.ts';
import { deny } from './request-denied.ts';
import { PARTIAL_HEADER, sourceOf, type TrustedHeaders } from './trusted-headers.ts';

/** How a question reached the service. */
export interface Question {
  readonly method: string;
  /** What follows the name of the profile in the URL: `/v1/chat/completions?x=y`; empty for fixed paths. */
  readonly rest: string;
  readonly headers: HeaderList;
  /** undefined: it was larger than the profile allows. */
  readonly bytes: Buffer | undefined;
}

/** The client's request and the host that it was sent to. */
export interface ClientRequest extends GatewayRequest {
  /** Lower case, without port and trailing dot; empty when the gateway does not tell. */
  readonly host: string;
}

/** Longest host that is read, port included. */
const MAX_HOST_LENGTH = 260;

/** @throws RequestDenied */
export function describeClient(
  question: Question,
  profile: PepProfile,
  trusted: TrustedHeaders,
): ClientRequest {
  const { headers } = question;
  const own = trusted.clientHeaders(headers);
  const source = sourceOf(profile);
  const body = bodyOf(question, profile);
  if (source.kind === 'url') {
    if (question.rest === '') deny('INPUT_REJECTED', 'the gateway did not say which path was asked for');
    const host = hostOf(headers.all('host'));
    return { method: question.method, target: question.rest, host, headers: own, body };
  }
  if (question.rest !== '') deny('INPUT_REJECTED', 'this gateway is to ask at one fixed path');
  const target = required(headers, source.uri);
  if (source.normalizedUri !== undefined) requireSamePath(target, required(headers, source.normalizedUri));
  return {
    method: required(headers, source.method),
    target,
    host: hostOf(headers.all(source.host)),
    headers: own,
    body,
  };
}

/** A header that the gateway must send. Trusted headers stand at most once. */
function required(headers: HeaderList, name: string): string {
  const [value = ''] = headers.all(name);
  return value === '' ? deny('INPUT_REJECTED', `the gateway did not send \`${name}\``) : value;
}

/** The path that was matched is the one that is forwarded, decoded once. */
function requireSamePath(target: string, normalized: string): void {
  const path = target.split('?', 1)[0] ?? '';
  if (decoded(path) !== normalized) {
    deny('INPUT_REJECTED', 'the gateway matched another path than the client wrote');
  }
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function hostOf(values: readonly string[]): string {
  const [host = ''] = values;
  if (values.length > 1) deny('INPUT_REJECTED', 'the host stands more than once');
  if (host.length > MAX_HOST_LENGTH) deny('INPUT_REJECTED', 'the host is too long');
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

function bodyOf({ headers, bytes }: Question, profile: PepProfile): GatewayBody {
  if (profile.body === 'none') return { kind: 'unseen' };
  if (bytes === undefined) return { kind: 'partial' };
  // Envoy flags what it cut whether or not the profile relies on it
  const isCut = headers.all(PARTIAL_HEADER).some(flag => flag !== 'false');
  if (profile.body === 'whole' && profile.kind === 'envoy' && isCut) return { kind: 'partial' };
  if (profile.body === 'flagged') {
    const [flag] = headers.all(PARTIAL_HEADER);
    if (flag === undefined) return { kind: 'unseen' };
    if (flag !== 'false') return { kind: 'partial' };
  }
  if (profile.bodyLength !== undefined) {
    const [length = ''] = headers.all(profile.bodyLength);
    const declared = length === '' ? 0 : /^\d{1,15}$/.test(length) ? Number(length) : Number.NaN;
    if (declared !== bytes.byteLength) return { kind: 'partial' };
  }
  return { kind: 'whole', bytes };
}
