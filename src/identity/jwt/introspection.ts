/**
 * Asks an issuer whether a verified token is still active (RFC 7662). Invariant: no answer, or one about another token,
 * refuses.
 */
import type { Clock } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Checked } from './claims-check.ts';
import { IntrospectionDesk } from './introspection-desk.ts';
import type { Documents } from './remote-documents.ts';
import type { TokenCause } from './token-cause.ts';
import type { VerifiedToken } from './token-verifier.ts';

export class Introspector {
  readonly #desk: IntrospectionDesk<true>;

  constructor(documents: Documents, clock: Clock, secrets: ReadonlyMap<string, string>) {
    this.#desk = new IntrospectionDesk(documents, clock, secrets);
  }

  /** Why the token may not be used; undefined when its issuer calls it active or need not be asked. */
  async check(text: string, digest: string, token: VerifiedToken): Promise<TokenCause | undefined> {
    const { issuer } = token;
    if (issuer.introspection?.jwt !== true) return undefined;
    const judgeIt = (answer: JsonObject): Checked<true> => judge(answer, token);
    const found = await this.#desk.ask({ issuer, text, digest, judge: judgeIt });
    return found.value === undefined ? found.cause : undefined;
  }
}

function judge(answer: JsonObject, { issuer, claims }: VerifiedToken): Checked<true> {
  if (answer['active'] !== true) return { cause: 'inactive' };
  const isSame =
    (answer['sub'] === undefined || answer['sub'] === claims.subject) &&
    (answer['iss'] === undefined || answer['iss'] === issuer.issuer) &&
    (answer['jti'] === undefined || answer['jti'] === claims.tokenId);
  return isSame ? { value: true } : { cause: 'introspection_mismatch' };
}
