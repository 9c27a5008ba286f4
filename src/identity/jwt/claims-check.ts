/**
 * The standard claims of a token whose signature has been verified: time, audience, type, requirements. Invariant:
 * a claim that is missing or of another type fails; nothing has a default in the bearer's favour.
 */
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { meets } from './claim-mapping.ts';
import { type Issuer, plainType } from './issuer.ts';
import { isJsonObject } from './strict-json.ts';
import type { TokenCause } from './token-cause.ts';

/** Claims by which an ID token is known: they bind it to a login, not to an API (OpenID Connect Core §3.1.3.6). */
const ID_TOKEN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash'] as const;
/** Longest `sub`, `jti` and client id in characters. */
const MAX_NAME_LENGTH = 256;
/** Times beyond the year 9999 are mistakes. In seconds. */
const MAX_TIME_SECONDS = 253_402_300_799;

/** How a token is bound to its sender: RFC 9449 `jkt`, RFC 8705 `x5t#S256`, both base64url. */
export interface Confirmation {
  readonly jkt?: string;
  readonly certificate?: string;
}

/** What the standard claims say, each of its type. Times in seconds since the epoch. */
export interface StandardClaims {
  readonly subject: string;
  readonly tokenId: string | undefined;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly confirmation: Confirmation | undefined;
}

export type Checked<T> = { readonly value: T } | { readonly value?: undefined; readonly cause: TokenCause };

/** Whether the header `typ` is one that the issuer uses for access tokens. */
export function checkType(issuer: Issuer, typ: string | undefined): TokenCause | undefined {
  if (issuer.typ === undefined) {
    // types of other tokens, which no issuer means for an API
    const foreign = typ !== undefined && ['dpop+jwt', 'logout+jwt', 'secevent+jwt'].includes(plainType(typ));
    return foreign ? 'type' : undefined;
  }
  return typ !== undefined && issuer.typ.has(plainType(typ)) ? undefined : 'type';
}

/** Reads the claims that do not depend on the time of the check. */
export function readClaims(issuer: Issuer, claims: JsonObject): Checked<StandardClaims> {
  const { sub, jti, iat, nbf, exp } = claims;
  if (!isName(sub) || !isTime(iat) || !isTime(exp)) return { cause: 'claims' };
  if ((nbf !== undefined && !isTime(nbf)) || (jti !== undefined && !isName(jti))) return { cause: 'claims' };
  if (!hasAudience(claims['aud'], issuer.audiences)) return { cause: 'audience' };
  if (ID_TOKEN_CLAIMS.some(name => Object.hasOwn(claims, name))) return { cause: 'id_token' };
  const lifetime = exp - iat;
  if (lifetime <= 0 || lifetime > issuer.maxLifetimeSeconds) return { cause: 'lifetime' };
  if (issuer.subjects !== undefined && !issuer.subjects.has(sub)) return { cause: 'subject' };
  if (!issuer.require.every(requirement => meets(requirement, claims))) return { cause: 'requirement' };
  const confirmation = readConfirmation(claims['cnf']);
  if (confirmation === 'unsupported') return { cause: 'binding' };
  if (confirmation === undefined && issuer.bindingRequired) return { cause: 'binding' };
  return {
    value: { subject: sub, tokenId: jti, issuedAt: iat, notBefore: nbf ?? iat, expiresAt: exp, confirmation },
  };
}

/** Whether a token is valid at this instant. @param now milliseconds since the epoch. */
export function checkTimes(
  { issuedAt, notBefore, expiresAt }: Pick<StandardClaims, 'issuedAt' | 'notBefore' | 'expiresAt'>,
  toleranceSeconds: number,
  now: number,
): TokenCause | undefined {
  const seconds = now / 1000;
  if (seconds >= expiresAt + toleranceSeconds) return 'expired';
  return seconds < Math.max(issuedAt, notBefore) - toleranceSeconds ? 'not_yet_valid' : undefined;
}

function hasAudience(aud: JsonValue | undefined, accepted: ReadonlySet<string>): boolean {
  if (typeof aud === 'string') return accepted.has(aud);
  if (!Array.isArray(aud) || aud.length === 0) return false;
  return (
    aud.every(one => typeof one === 'string') && aud.some(one => typeof one === 'string' && accepted.has(one))
  );
}

/** Every member of `cnf` is a condition; one that is not understood cannot be met. */
function readConfirmation(cnf: JsonValue | undefined): Confirmation | undefined | 'unsupported' {
  if (cnf === undefined) return undefined;
  if (!isJsonObject(cnf)) return 'unsupported';
  const { jkt, 'x5t#S256': certificate, ...others } = cnf;
  if (Object.keys(others).length > 0) return 'unsupported';
  if ((jkt !== undefined && !isDigest(jkt)) || (certificate !== undefined && !isDigest(certificate))) {
    return 'unsupported';
  }
  if (jkt === undefined && certificate === undefined) return 'unsupported';
  return {
    ...(jkt === undefined ? {} : { jkt }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

function isName(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH;
}

function isTime(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME_SECONDS;
}

/** SHA-256 in base64url. */
function isDigest(value: JsonValue): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value);
}
