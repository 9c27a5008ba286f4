/**
 * Verifies tokens that say nothing by themselves: their issuer is asked what they are (RFC 7662). Invariants: only an
 * issuer that is configured for it is asked, about texts of the form of a token alone; its answer is held to all that
 * the claims of a signed token are held to.
 */
import type { Clock } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type Checked, checkTimes, readClaims } from './claims-check.ts';
import { IntrospectionDesk } from './introspection-desk.ts';
import type { Issuer } from './issuer.ts';
import { mapPrincipal } from './principal-mapping.ts';
import type { Documents } from './remote-documents.ts';
import type { VerifiedToken } from './token-verifier.ts';

/** Longest opaque token in characters: issuers make 32 to some hundred. */
export const MAX_OPAQUE_LENGTH = 2_048;
/** Shortest: whatever is shorter could be guessed, and is no question worth asking. */
const MIN_OPAQUE_LENGTH = 16;
/** RFC 6750 §2.1 `b64token`. */
const FORM = /^[A-Za-z0-9._~+/-]+=*$/;

export interface OpaqueQuestion {
  readonly text: string;
  /** SHA-256 of the text. */
  readonly digest: string;
  /** Name of the issuer in the configuration; undefined: the only one that takes such tokens. */
  readonly issuerName: string | undefined;
  /** Whether a question may be asked; otherwise only what is known counts. */
  readonly mayAsk: boolean;
}

export class OpaqueTokens {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #desk: IntrospectionDesk<VerifiedToken>;
  readonly #clock: Clock;

  /** @param issuers all that are configured */
  constructor(
    issuers: Iterable<Issuer>,
    documents: Documents,
    clock: Clock,
    secrets: ReadonlyMap<string, string>,
  ) {
    const asked = [...issuers].filter(({ introspection }) => introspection?.opaque === true);
    this.#issuers = new Map(asked.map(issuer => [issuer.name, issuer]));
    this.#desk = new IntrospectionDesk(documents, clock, secrets);
    this.#clock = clock;
  }

  async verify({ text, digest, issuerName, mayAsk }: OpaqueQuestion): Promise<Checked<VerifiedToken>> {
    if (text.length > MAX_OPAQUE_LENGTH) return { cause: 'too_long' };
    if (text.length < MIN_OPAQUE_LENGTH || !FORM.test(text)) return { cause: 'malformed' };
    const issuer = this.#issuerOf(issuerName);
    if (issuer === undefined) return { cause: 'issuer' };
    const known = this.#desk.recall(issuer, digest);
    if (known === undefined && !mayAsk) return { cause: 'introspection_flood' };
    const judge = (answer: JsonObject) => readAnswer(answer, issuer);
    const found = known ?? (await this.#desk.ask({ issuer, text, digest, judge }));
    if (found.value === undefined) return found;
    const cause = checkTimes(found.value.claims, issuer.clockToleranceSeconds, this.#clock.now());
    return cause === undefined ? found : { cause };
  }

  #issuerOf(name: string | undefined): Issuer | undefined {
    if (name !== undefined) return this.#issuers.get(name);
    const [only] = this.#issuers.values();
    return this.#issuers.size === 1 ? only : undefined;
  }
}

/** An answer as the claims of a token. */
function readAnswer(answer: JsonObject, issuer: Issuer): Checked<VerifiedToken> {
  const { active, iss, token_type: type } = answer;
  if (active !== true) return { cause: 'inactive' };
  if (iss !== undefined && iss !== issuer.issuer) return { cause: 'introspection_mismatch' };
  if (type !== undefined && !isAccessType(type)) return { cause: 'type' };
  const said = withSubject(answer, issuer);
  const claims = readClaims(issuer, said);
  if (claims.value === undefined) return claims;
  // an issuer that calls it bound has to say to what
  if (isBoundType(type) && claims.value.confirmation?.jkt === undefined) return { cause: 'binding' };
  const mapped = mapPrincipal(issuer, said);
  if (mapped.value === undefined) return mapped;
  return { value: { issuer, claims: claims.value, mapped: mapped.value } };
}

/** A token of a client's own has no `sub` at some issuers; where subjects and clients may share a name, that is refused. */
function withSubject(answer: JsonObject, { introspection }: Issuer): JsonObject {
  const { sub, client_id: client } = answer;
  if (sub !== undefined || client === undefined || introspection?.clientSubjects !== true) return answer;
  return { ...answer, sub: client };
}

function isAccessType(type: unknown): boolean {
  return typeof type === 'string' && ['bearer', 'dpop', 'access_token'].includes(type.toLowerCase());
}

function isBoundType(type: unknown): boolean {
  return typeof type === 'string' && type.toLowerCase() === 'dpop';
}
