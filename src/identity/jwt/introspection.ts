/**
 * Asks an issuer whether a verified token is still active (RFC 7662). Invariants: no answer, or one about another
 * token, refuses; an answer is believed for a short time; the token leaves for the configured address alone.
 */
import type { Clock } from '../../domain/clock.ts';
import type { JsonObject } from '../../domain/json.ts';
import { DocumentError, type Documents } from './remote-documents.ts';
import type { TokenCause } from './token-cause.ts';
import type { VerifiedToken } from './token-verifier.ts';

/** Most answers remembered. */
const MAX_ANSWERS = 10_000;
/** Most questions to one issuer at once: a slow one holds up its own tokens alone. */
export const MAX_IN_FLIGHT = 32;
/** Pause after a failure in milliseconds, in which tokens are refused without asking. */
const PAUSE_MS = 1_000;

interface Answer {
  readonly cause: TokenCause | undefined;
  /** Monotonic instant in milliseconds. */
  readonly until: number;
}

export class Introspector {
  readonly #documents: Documents;
  readonly #clock: Clock;
  /** By name of the issuer. */
  readonly #secrets: ReadonlyMap<string, string>;
  readonly #answers = new Map<string, Answer>();
  readonly #inFlight = new Map<string, Promise<TokenCause | undefined>>();
  readonly #pausedUntil = new Map<string, number>();
  readonly #asking = new Map<string, number>();

  constructor(documents: Documents, clock: Clock, secrets: ReadonlyMap<string, string>) {
    this.#documents = documents;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /** Why the token may not be used; undefined when its issuer calls it active or need not be asked. */
  async check(text: string, digest: string, token: VerifiedToken): Promise<TokenCause | undefined> {
    if (token.issuer.introspection === undefined) return undefined;
    const known = this.#answers.get(digest);
    if (known !== undefined && this.#clock.monotonic() < known.until) return known.cause;
    const asked = this.#inFlight.get(digest);
    if (asked !== undefined) return asked;
    const { name } = token.issuer;
    const paused = this.#clock.monotonic() < (this.#pausedUntil.get(name) ?? 0);
    const count = this.#asking.get(name) ?? 0;
    if (paused || count >= MAX_IN_FLIGHT) return 'introspection_unavailable';
    this.#asking.set(name, count + 1);
    const asking = this.#ask(text, digest, token).finally(() => {
      this.#inFlight.delete(digest);
      this.#asking.set(name, (this.#asking.get(name) ?? 1) - 1);
    });
    this.#inFlight.set(digest, asking);
    return asking;
  }

  async #ask(text: string, digest: string, token: VerifiedToken): Promise<TokenCause | undefined> {
    const { introspection, hosts: rules, name } = token.issuer;
    if (introspection === undefined) return undefined;
    const { url, clientId, cacheSeconds } = introspection;
    try {
      const secret = this.#secrets.get(name);
      if (secret === undefined) throw new DocumentError('the secret of the client was not read');
      const form = {
        body: new URLSearchParams({ token: text, token_type_hint: 'access_token' }).toString(),
        authorization: basic(clientId, secret),
      };
      const cause = judge(await this.#documents.read({ url, rules, form }), token);
      this.#keep(digest, { cause, until: this.#clock.monotonic() + cacheSeconds * 1000 });
      return cause;
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      this.#pausedUntil.set(name, this.#clock.monotonic() + PAUSE_MS);
      return 'introspection_unavailable';
    }
  }

  #keep(digest: string, answer: Answer): void {
    this.#answers.delete(digest);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size < MAX_ANSWERS) break;
      this.#answers.delete(oldest);
    }
    this.#answers.set(digest, answer);
  }
}

function judge(answer: JsonObject, { issuer, claims }: VerifiedToken): TokenCause | undefined {
  if (answer['active'] !== true) return 'inactive';
  const isSame =
    (answer['sub'] === undefined || answer['sub'] === claims.subject) &&
    (answer['iss'] === undefined || answer['iss'] === issuer.issuer) &&
    (answer['jti'] === undefined || answer['jti'] === claims.tokenId);
  return isSame ? undefined : 'introspection_mismatch';
}

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ v: text }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`, 'utf8').toString('base64')}`;
}
