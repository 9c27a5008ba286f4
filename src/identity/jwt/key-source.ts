/**
 * The keys of one issuer, kept fresh. Invariants: verification waits for the network only while there are no usable
 * keys or a key is new; one question at a time; a failing issuer is asked ever less often, and its last good keys
 * serve for a limited time; unknown key ids, which anybody can invent, cost at most one question per pause.
 */
import type { Clock } from '../../domain/clock.ts';
import { messageOf } from '../../domain/errors.ts';
import { checkUrl } from './host-rules.ts';
import type { Issuer } from './issuer.ts';
import { KeySet, type VerificationKey } from './key-set.ts';
import { DocumentError, type Documents } from './remote-documents.ts';

/** Age at which keys are fetched anew in the background, in milliseconds. */
export const REFRESH_AFTER_MS = 300_000;
/** Shortest time between two questions for the sake of an unknown key id, in milliseconds. */
export const UNKNOWN_KEY_PAUSE_MS = 30_000;
/** First and longest pause after a failure, in milliseconds; it doubles in between. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;

/** Hears of a fetch that failed or succeeded after failures. Must not throw. */
export type KeyObserver = (issuer: string, failure: string | undefined) => void;

/** What was found for a token. */
export type KeyFinding =
  | { readonly keys: readonly VerificationKey[] }
  | { readonly keys?: undefined; readonly cause: 'unknown_key' | 'keys_unavailable' };

export class KeySource {
  readonly #issuer: Issuer;
  readonly #documents: Documents;
  readonly #clock: Clock;
  readonly #observe: KeyObserver;
  #set: KeySet | undefined;
  /** Monotonic instants in milliseconds. */
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #retryAt = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MIN_MS;
  #failing = false;
  #inFlight: Promise<void> | undefined;

  constructor(issuer: Issuer, documents: Documents, clock: Clock, observe: KeyObserver) {
    this.#issuer = issuer;
    this.#documents = documents;
    this.#clock = clock;
    this.#observe = observe;
  }

  /** Keys that may have signed a token with this header. */
  async find(alg: string, kid: string | undefined): Promise<KeyFinding> {
    if (this.#current === undefined) await this.#refresh();
    else if (this.#isDue()) void this.#refresh();
    const known = this.#current;
    if (known === undefined) return { cause: 'keys_unavailable' };
    const keys = known.candidates(alg, kid);
    if (keys.length > 0) return { keys };
    // the issuer may have rotated: ask once, however many such tokens come
    if (this.#clock.monotonic() - this.#askedAt < UNKNOWN_KEY_PAUSE_MS && this.#inFlight === undefined) {
      return { cause: 'unknown_key' };
    }
    await this.#refresh();
    const renewed = this.#current?.candidates(alg, kid) ?? [];
    return renewed.length > 0 ? { keys: renewed } : { cause: 'unknown_key' };
  }

  /** Whether a key that verified before is still the issuer's. Starts a refresh in the background when it is due. */
  stands(key: VerificationKey): boolean {
    if (this.#isDue()) void this.#refresh();
    return this.#current?.has(key) ?? false;
  }

  /** Fetches the keys ahead of the first token. Never rejects. */
  warm(): Promise<void> {
    return this.#refresh();
  }

  /** The last good keys, while they may be used. */
  get #current(): KeySet | undefined {
    const age = this.#clock.monotonic() - this.#fetchedAt;
    return age <= Math.max(this.#issuer.staleKeysMs, REFRESH_AFTER_MS) ? this.#set : undefined;
  }

  #isDue(): boolean {
    const now = this.#clock.monotonic();
    return now - this.#fetchedAt >= REFRESH_AFTER_MS && now >= this.#retryAt;
  }

  /** One fetch for everybody who waits; none while a failure is recent. Never rejects. */
  #refresh(): Promise<void> {
    if (this.#inFlight !== undefined) return this.#inFlight;
    if (this.#clock.monotonic() < this.#retryAt) return Promise.resolve();
    const fetching = this.#fetch().finally(() => {
      this.#inFlight = undefined;
    });
    this.#inFlight = fetching;
    return fetching;
  }

  async #fetch(): Promise<void> {
    this.#askedAt = this.#clock.monotonic();
    const { issuer, hosts, algorithms } = this.#issuer;
    try {
      const url = this.#issuer.jwksUri ?? (await this.#discover());
      const document = await this.#documents.read({ url, rules: hosts });
      const set = await KeySet.read(document, algorithms);
      if (set === undefined) throw new DocumentError('the document holds no key set that can be used');
      this.#set = set;
      this.#fetchedAt = this.#clock.monotonic();
      this.#retryMs = RETRY_MIN_MS;
      this.#retryAt = Number.NEGATIVE_INFINITY;
      if (this.#failing) this.#observe(issuer, undefined);
      this.#failing = false;
    } catch (error) {
      this.#retryAt = this.#clock.monotonic() + this.#retryMs;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
      this.#failing = true;
      this.#observe(issuer, messageOf(error));
    }
  }

  /** The address of the keys by the issuer's own document (OpenID Connect Discovery §4.3: `issuer` must be equal). */
  async #discover(): Promise<string> {
    const { issuer, hosts } = this.#issuer;
    const base = issuer.endsWith('/') ? issuer.slice(0, -1) : issuer;
    const document = await this.#documents.read({
      url: `${base}/.well-known/openid-configuration`,
      rules: hosts,
    });
    if (document['issuer'] !== issuer) throw new DocumentError('the discovery document names another issuer');
    const uri = document['jwks_uri'];
    if (typeof uri !== 'string') throw new DocumentError('the discovery document names no `jwks_uri`');
    const objection = checkUrl(uri, hosts, '`jwks_uri`');
    if (objection !== undefined) throw new DocumentError(objection);
    return uri;
  }
}
