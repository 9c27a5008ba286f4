/**
 * Which headers of a gateway's question are its own word. Invariants: a header counts as trusted only when the
 * profile names it, it stands once, and no header beside it could be taken for it; the headers of our answers
 * are never taken from a question.
 */
import type { PepProfile } from '../../domain/pep-profile.ts';
import { forwardingHeaders } from '../../identity/certificates/forwarded-certificate.ts';
import { foldHeaderName, type HeaderList, NameClasses } from '../ai-requests/header-list.ts';
import { GATEWAY_KINDS } from './gateway-kinds.ts';
import { isInferenceHeader } from './inference-headers.ts';
import { deny } from './request-denied.ts';

/** Prefix of every header that an answer carries. */
export const ANSWER_PREFIX = 'x-duramen-';
/** Says whether Envoy cut the body. */
export const PARTIAL_HEADER = 'x-envoy-auth-partial-body';

export class TrustedHeaders {
  readonly #names: ReadonlySet<string>;
  readonly #classes: NameClasses<'trusted' | 'alias' | 'answer' | 'inference' | 'own'>;

  constructor(profile: PepProfile) {
    this.#names = new Set(namesOf(profile));
    const folded = new Set([...this.#names].map(foldHeaderName));
    this.#classes = new NameClasses(name => {
      if (this.#names.has(name)) return 'trusted';
      const fold = foldHeaderName(name);
      if (folded.has(fold)) return 'alias';
      if (fold.startsWith(ANSWER_PREFIX)) return 'answer';
      return profile.inference !== undefined && isInferenceHeader(fold) ? 'inference' : 'own';
    });
  }

  /** The client's own headers. @throws RequestDenied when a header poses as a trusted one. */
  clientHeaders(headers: HeaderList): HeaderList {
    for (const name of headers.names()) {
      const kind = this.#classes.of(name);
      if (kind === 'own') continue;
      if (kind === 'trusted') {
        if (headers.all(name).length > 1) {
          deny('INPUT_REJECTED', `the header \`${name}\`, which the gateway sets, stands more than once`);
        }
      } else if (kind === 'alias') {
        deny('INPUT_REJECTED', 'a header of the request could be taken for one that the gateway sets');
      } else if (kind === 'answer') {
        deny('INPUT_REJECTED', `headers that begin with \`${ANSWER_PREFIX}\` are set by this service alone`);
      } else {
        deny('INPUT_REJECTED', 'the headers of the inference scheduler are set by this service alone');
      }
    }
    return headers.without(this.#names);
  }
}

function namesOf(profile: PepProfile): string[] {
  const { authentication, identity, bodyLength, ip, region } = profile;
  const source = sourceOf(profile);
  const names: (string | undefined)[] = [bodyLength, ip, region];
  if (authentication.kind === 'key') names.push(authentication.header);
  if (source.kind === 'headers') names.push(source.method, source.uri, source.host, source.normalizedUri);
  if (identity.mode === 'assert') {
    names.push(identity.tenant, identity.onBehalfOf);
    if (!isHook(profile)) names.push(identity.principal);
  } else if (identity.mode === 'verify') names.push(identity.header);
  else if (identity.mode === 'certificate') names.push(...forwardingHeaders(identity.format));
  if (profile.body === 'flagged') names.push(PARTIAL_HEADER);
  return names.filter(name => name !== undefined).map(name => name.toLowerCase());
}

/** Where a gateway describes the client's request. */
export function sourceOf({ kind, source }: PepProfile): NonNullable<PepProfile['source']> {
  return source ?? GATEWAY_KINDS[kind].source;
}

/** Whether a profile is asked by a body of its own: it names principals in fields, not in headers. */
export function isHook({ kind }: PepProfile): boolean {
  return kind === 'portkey' || kind === 'litellm';
}
