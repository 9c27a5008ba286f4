/** Every kind of credential that a gateway may forward. Invariant: a credential is verified as what it is presented as. */
import type { PresentedCredential } from '../../domain/presented-credential.ts';
import type { CallerAuthenticator, CallerFacts, CallerOutcome } from '../caller.ts';
import type { KeyAuthenticator } from '../caller-keys/key-authenticator.ts';
import type { TokenAuthenticator } from './token-authenticator.ts';

export class CallerCredentials implements CallerAuthenticator {
  readonly #tokens: TokenAuthenticator;
  readonly #keys: KeyAuthenticator;

  constructor(tokens: TokenAuthenticator, keys: KeyAuthenticator) {
    this.#tokens = tokens;
    this.#keys = keys;
  }

  authenticate(credential: PresentedCredential, facts: CallerFacts): Promise<CallerOutcome> {
    return credential.kind === 'jwt'
      ? this.#tokens.authenticate(credential, facts)
      : this.#keys.authenticate(credential, facts);
  }
}
