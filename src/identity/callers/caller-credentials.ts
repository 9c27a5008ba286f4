/**
 * Every kind of credential that a gateway may forward. Invariants: a credential is verified as what it is presented as; a
 * flood of refused ones is slowed before it can fill the log, and slows none that is right and known.
 */
import { AppError } from '../../domain/errors.ts';
import type { PresentedCredential } from '../../domain/presented-credential.ts';
import type { CallerAuthenticator, CallerFacts, CallerOutcome } from '../caller.ts';
import type { KeyAuthenticator } from '../caller-keys/key-authenticator.ts';
import type { CertificateAuthenticator } from './certificate-authenticator.ts';
import { networkOf } from '../caller-keys/last-use.ts';
import type { FailureLimiter } from '../failure-limiter.ts';
import type { TokenAuthenticator } from './token-authenticator.ts';

export interface CallerCredentialsOptions {
  readonly tokens: TokenAuthenticator;
  readonly keys: KeyAuthenticator;
  readonly certificates: CertificateAuthenticator;
  /** Counts tokens and certificates that were refused; keys have one of their own. */
  readonly limiter: FailureLimiter;
}

export class CallerCredentials implements CallerAuthenticator {
  readonly #options: CallerCredentialsOptions;

  constructor(options: CallerCredentialsOptions) {
    this.#options = options;
  }

  async authenticate(credential: PresentedCredential, facts: CallerFacts): Promise<CallerOutcome> {
    const { tokens, keys, certificates, limiter } = this.#options;
    if (credential.kind === 'api_key') return keys.authenticate(credential, facts);
    const source = sourceOf(facts);
    const outcome =
      credential.kind === 'mtls'
        ? certificates.authenticate(credential, facts)
        : await tokens.authenticate(credential, facts, limiter.waitOf(source) === undefined);
    // what is proven and reaches too little is no guess
    if (outcome.refusal === undefined || outcome.refusal.code === 'CREDENTIAL_SCOPE') return outcome;
    const wait = limiter.count(source);
    if (wait === undefined) return outcome;
    throw new AppError(
      'TOO_MANY_FAILED_AUTHENTICATIONS',
      'too many credentials of callers were not accepted',
      { retryAfterSeconds: wait },
    );
  }
}

/** Whose failures are counted together: those of one gateway and network. */
function sourceOf({ pep, address }: CallerFacts): string {
  const network = address === undefined ? undefined : networkOf(address);
  return `${pep.keyId} ${network ?? '-'}`;
}
