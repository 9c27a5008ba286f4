/**
 * Verifies tokens of configured issuers. Invariants: before the signature holds nothing but `iss`, `alg` and `kid`
 * is used, and those only to look up what is configured; a verified token is remembered by its digest, for a short
 * time, and counts again only while its key is the issuer's and its time has not passed.
 */
import { compactVerify } from 'jose';
import type { Clock } from '../../domain/clock.ts';
import { type Checked, checkTimes, checkType, readClaims, type StandardClaims } from './claims-check.ts';
import { meets } from './claim-mapping.ts';
import type { Issuer } from './issuer.ts';
import type { VerificationKey } from './key-set.ts';
import type { KeySource } from './key-source.ts';
import { type MappedPrincipal, mapPrincipal } from './principal-mapping.ts';
import { readToken, type TokenText } from './token-text.ts';

/** Most verified tokens remembered; about 2 KB each. */
export const MAX_REMEMBERED = 10_000;
/** Longest time for which a verification is remembered, in milliseconds. */
export const REMEMBER_MS = 60_000;

export interface VerifiedToken {
  readonly issuer: Issuer;
  /** That signed it; absent: its issuer was asked about it. */
  readonly key?: VerificationKey;
  readonly claims: StandardClaims;
  readonly mapped: MappedPrincipal;
}

/** An issuer with its keys. */
export interface TrustedIssuer {
  readonly issuer: Issuer;
  readonly keys: Pick<KeySource, 'find' | 'stands'>;
}

interface Remembered {
  readonly token: VerifiedToken;
  readonly key: VerificationKey;
  readonly keys: TrustedIssuer['keys'];
  /** Monotonic instant in milliseconds. */
  readonly until: number;
}

export class TokenVerifier {
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>;
  readonly #clock: Clock;
  readonly #remembered = new Map<string, Remembered>();

  /** @param issuers by their exact `iss`. */
  constructor(issuers: ReadonlyMap<string, TrustedIssuer>, clock: Clock) {
    this.#issuers = issuers;
    this.#clock = clock;
  }

  /**
   * Reads and verifies a token that `recall` does not know: its issuer, claims and principal. Revocation and proofs are the caller's to check.
   * @param digest SHA-256 of the token.
   */
  async verify(text: string, digest: string): Promise<Checked<VerifiedToken>> {
    const reading = readToken(text);
    if (reading.token === undefined) return { cause: reading.cause };
    const { header, claims } = reading.token;
    if (header.jwk !== undefined) return { cause: 'header' };
    const iss = claims['iss'];
    const trusted = typeof iss === 'string' ? this.#issuers.get(iss) : undefined;
    if (trusted === undefined) return { cause: 'issuer' };
    const { issuer, keys } = trusted;
    if (!issuer.algorithms.has(header.alg)) return { cause: 'algorithm' };
    const badType = checkType(issuer, header.typ);
    if (badType !== undefined) return { cause: badType };
    const found = await keys.find(header.alg, header.kid);
    if (found.keys === undefined) return { cause: found.cause };
    const key = await signer(text, found.keys);
    if (key === undefined) return { cause: 'signature' };
    const token = readVerified(issuer, key, reading.token);
    if (token.value === undefined) return token;
    const timely = this.#inTime(token.value);
    if (timely.value !== undefined) this.#remember(digest, timely.value, key, keys);
    return timely;
  }

  /** What was found out about a token before, if it is remembered; without waiting. @param digest as of `verify`. */
  recall(digest: string): Checked<VerifiedToken> | undefined {
    const known = this.#recall(digest);
    return known === undefined ? undefined : this.#inTime(known);
  }

  get remembered(): number {
    return this.#remembered.size;
  }

  #inTime(token: VerifiedToken): Checked<VerifiedToken> {
    const cause = checkTimes(token.claims, token.issuer.clockToleranceSeconds, this.#clock.now());
    return cause === undefined ? { value: token } : { cause };
  }

  #recall(digest: string): VerifiedToken | undefined {
    const known = this.#remembered.get(digest);
    if (known === undefined) return undefined;
    if (this.#clock.monotonic() < known.until && known.keys.stands(known.key)) return known.token;
    this.#remembered.delete(digest);
    return undefined;
  }

  #remember(digest: string, token: VerifiedToken, key: VerificationKey, keys: TrustedIssuer['keys']): void {
    const now = this.#clock.monotonic();
    for (const [oldest, { until }] of this.#remembered) {
      // in the order of the ends: all are remembered equally long
      if (until > now && this.#remembered.size < MAX_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(digest, { token, key, keys, until: now + REMEMBER_MS });
  }
}

/** The key that signed; without `kid` several may have to be tried. */
async function signer(
  text: string,
  candidates: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const candidate of candidates) {
    try {
      // the algorithm of the key, of the header and of the issuer's list are one and the same here
      await compactVerify(text, candidate.key, { algorithms: [candidate.alg] });
      return candidate;
    } catch {
      // a signature of another key: the next candidate may fit
    }
  }
  return undefined;
}

function readVerified(issuer: Issuer, key: VerificationKey, { claims }: TokenText): Checked<VerifiedToken> {
  const standard = readClaims(issuer, claims);
  if (standard.value === undefined) return standard;
  if (!issuer.profile.every(requirement => meets(requirement, claims))) return { cause: 'requirement' };
  const mapped = mapPrincipal(issuer, claims);
  if (mapped.value === undefined) return mapped;
  return { value: { issuer, key, claims: standard.value, mapped: mapped.value } };
}
