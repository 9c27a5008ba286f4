/**
 * Authenticates end callers by their tokens: verify, revocation, introspection, proof, the gateway's rules, then the
 * principal. Invariant: every step can only refuse; a caller comes out when all have passed, and on each request
 * revocation, time, key and proof are asked anew.
 */
import { timestamp } from '../../domain/clock.ts';
import type { PresentedOpaque, PresentedToken } from '../../domain/presented-credential.ts';
import type { CallerFacts, CallerOutcome, VerifiedCaller } from '../caller.ts';
import { sha256 } from '../jwt/digest.ts';
import type { Checked } from '../jwt/claims-check.ts';
import type { Introspector } from '../jwt/introspection.ts';
import type { OpaqueTokens } from '../jwt/opaque-tokens.ts';
import { bindingOf, type ProofChecker } from '../jwt/proof.ts';
import { codeOf, type TokenCause } from '../jwt/token-cause.ts';
import type { TokenVerifier, VerifiedToken } from '../jwt/token-verifier.ts';
import { refusedCaller } from './caller-refusal.ts';
import { tokenCredential } from './credential-id.ts';
import type { Enrolment } from './enrolment.ts';
import { objectToCaller } from './gateway-rules.ts';
import type { RevocationList } from './revocation-list.ts';

export interface TokenAuthenticatorOptions {
  readonly verifier: TokenVerifier;
  readonly opaque: OpaqueTokens;
  readonly revocations: RevocationList;
  readonly introspector: Introspector;
  readonly proofs: ProofChecker;
  readonly enrolment: Enrolment;
  /** Hears of every refusal, for metrics. Must not throw. */
  readonly refused: (cause: TokenCause) => void;
}

export class TokenAuthenticator {
  readonly #options: TokenAuthenticatorOptions;

  constructor(options: TokenAuthenticatorOptions) {
    this.#options = options;
  }

  /** @param mayAsk whether an issuer may be asked about an opaque token that is not known */
  async authenticate(
    credential: PresentedToken | PresentedOpaque,
    facts: CallerFacts,
    mayAsk = true,
  ): Promise<CallerOutcome> {
    const digest = sha256(credential.token);
    const checked = await this.#verify(credential, digest, mayAsk);
    if (checked.value === undefined) return this.#refuse(checked.cause);
    const token = checked.value;
    const { issuer, claims } = token;
    const isBound = claims.confirmation !== undefined || credential.dpop !== undefined;
    const cause =
      this.#isRevoked(token) ??
      // what need not be asked is not waited for: most tokens are plain and known
      (issuer.introspection?.jwt !== true || credential.kind === 'opaque'
        ? undefined
        : await this.#options.introspector.check(credential.token, digest, token)) ??
      (isBound ? await this.#checkProof(credential, token, facts) : undefined) ??
      objectToCaller(token.mapped.principal, token.mapped.tenant, facts) ??
      // revoked while the steps above waited: such a token enrols nobody
      this.#isRevoked(token) ??
      (await this.#options.enrolment.ensure(token)) ??
      this.#isRevoked(token);
    return cause === undefined ? { caller: callerOf(token) } : this.#refuse(cause);
  }

  #verify(
    credential: PresentedToken | PresentedOpaque,
    digest: string,
    mayAsk: boolean,
  ): Checked<VerifiedToken> | Promise<Checked<VerifiedToken>> {
    const { verifier, opaque } = this.#options;
    const { token: text } = credential;
    if (credential.kind === 'jwt') return verifier.recall(digest) ?? verifier.verify(text, digest);
    return opaque.verify({ text, digest, issuerName: credential.issuer, mayAsk });
  }

  #checkProof(
    { token, dpop, certificate }: Omit<PresentedToken, 'kind'>,
    { claims }: VerifiedToken,
    { pep }: CallerFacts,
  ) {
    // without a word about another certificate, the token must be bound to that of whoever asks
    const shown = certificate ?? pep.certificate?.thumbprint;
    return this.#options.proofs.check(token, claims.confirmation, { dpop, certificate: shown });
  }

  #isRevoked({ issuer, claims, mapped }: VerifiedToken): TokenCause | undefined {
    const { subject, tokenId, issuedAt } = claims;
    const { client } = mapped;
    return this.#options.revocations.isRevoked({ issuer: issuer.issuer, subject, tokenId, client, issuedAt })
      ? 'revoked'
      : undefined;
  }

  #refuse(cause: TokenCause): CallerOutcome {
    this.#options.refused(cause);
    return refusedCaller(codeOf(cause), cause);
  }
}

function callerOf({ issuer, key, claims, mapped }: VerifiedToken): VerifiedCaller {
  const { principal, tenant, scopes, assurance, actors } = mapped;
  const [agent] = actors?.chain ?? [];
  return {
    principal,
    tenant,
    auth: {
      method: key === undefined ? 'opaque' : 'jwt',
      assurance,
      scopes,
      issuer: issuer.issuer,
      ...(key?.kid === undefined ? {} : { keyId: key.kid }),
    },
    ...(actors === undefined || agent === undefined
      ? {}
      : {
          via: {
            agent,
            chain: actors.chain,
            depth: actors.chain.length,
            scopes,
            expires: timestamp(claims.expiresAt * 1000),
            humanApproved: actors.humanApproved,
          },
        }),
    binding: bindingOf(claims.confirmation),
    credential: tokenCredential({ issuer: issuer.name, client: mapped.client, subject: claims.subject }),
  };
}
