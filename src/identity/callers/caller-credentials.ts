/** Every kind of credential that a gateway may forward. Invariant: a credential is verified as what it is presented as. */
import type { PresentedCredential } from '../../domain/presented-credential.ts';
import type { CallerAuthenticator, CallerFacts, CallerOutcome } from '../caller.ts';
import type { KeyAuthenticator } from '../caller-keys/key-authenticator.ts';
import type { CertificateAuthenticator } from './certificate-authenticator.ts';
import type { TokenAuthenticator } from './token-authenticator.ts';

export class CallerCredentials implements CallerAuthenticator {
  readonly #tokens: TokenAuthenticator;
  readonly #keys: KeyAuthenticator;
  readonly #certificates: CertificateAuthenticator;

  constructor(tokens: TokenAuthenticator, keys: KeyAuthenticator, certificates: CertificateAuthenticator) {
    this.#tokens = tokens;
    this.#keys = keys;
    this.#certificates = certificates;
  }

  async authenticate(credential: PresentedCredential, facts: CallerFacts): Promise<CallerOutcome> {
    if (credential.kind === 'jwt') return this.#tokens.authenticate(credential, facts);
    if (credential.kind === 'api_key') return this.#keys.authenticate(credential, facts);
    return this.#certificates.authenticate(credential, facts);
  }
}
